//! `clampd demo`: a breach, played by real agents through the real pipeline.
//!
//! Agents are registered for the play, their calls go to the gateway, and the kill is a kill. What
//! was made for it is taken back at the end: keys are deleted, agents suspended.

mod cast;
mod scenario;

use std::{
    io::{self, IsTerminal as _},
    sync::mpsc,
    thread,
};

use clap::{Args, ValueEnum};

use self::{cast::Cast, scenario::Told};
use crate::{
    Outcome, cluster::health, control_plane::ControlPlane, error::CliError, global::Global,
    output::Output, watch,
};

/// What is played, and where it is shown.
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// What is played
    #[arg(long, default_value = "breach")]
    scenario: Scenario,
    /// Print lines instead of showing the dashboard
    #[arg(long)]
    plain: bool,
    /// The API key that agents send; one is made for the play when not given
    #[arg(
        long,
        value_name = "KEY",
        env = "CLAMPD_API_KEY",
        hide_env_values = true
    )]
    key: Option<String>,
}

/// A play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// Safe calls pass, dangerous ones are blocked, and the agent that tries them is killed
    Breach,
}

/// Plays it; not as wanted when a call came out otherwise than it should.
pub(crate) fn run(
    arguments: &DemoArguments,
    global: &Global,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    let Scenario::Breach = arguments.scenario;
    out.line("Starting demo scenario: breach")?;
    out.line("Checking cluster services...")?;
    out.flush()?;
    let services = health::of_cluster(global)?;
    if let Some(service) = services.iter().find(|service| !service.is_well) {
        let health::Health {
            name, url, detail, ..
        } = service;
        let words = format!("the {name} at {url} is not well: {detail}");
        return Err(CliError::NotFound(words));
    }
    out.line("Gateway reachable")?;
    out.line("Registering demo agents...")?;
    out.flush()?;
    let control_plane = ControlPlane::of(global)?;
    let cast = Cast::hire(&control_plane, arguments.key.as_deref(), global)?;
    let is_plain = arguments.plain || global.json || !io::stdout().is_terminal();
    let played = if is_plain {
        out.line("Agents ready. Demo events:")?;
        plain(&cast, &control_plane, out)
    } else {
        out.line("Agents ready. Launching TUI + demo events...")?;
        out.flush()?;
        beside_the_dashboard(&cast, &control_plane, global)
    };
    // Agents that nobody needs any more must not stay able to act, whatever happened.
    let dismissed = cast.dismiss(&control_plane);
    let told = played?;
    dismissed?;
    if !is_plain {
        told.iter().try_for_each(|told| out.line(told.line()))?;
    }
    let (met, all) = (told.iter().filter(|told| told.is_met()).count(), told.len());
    out.line(format!("{met} of {all} as expected"))?;
    Ok(if met == all {
        Outcome::AsWanted
    } else {
        Outcome::NotAsWanted
    })
}

fn plain(
    cast: &Cast,
    control_plane: &ControlPlane,
    out: &mut Output,
) -> Result<Vec<Told>, CliError> {
    let mut all = Vec::new();
    scenario::play(cast, control_plane, |told| {
        out.line(told.line())?;
        out.flush()?;
        all.push(told);
        Ok(())
    })?;
    Ok(all)
}

fn beside_the_dashboard(
    cast: &Cast,
    control_plane: &ControlPlane,
    global: &Global,
) -> Result<Vec<Told>, CliError> {
    let (tell, told) = mpsc::channel();
    thread::scope(|threads| {
        let play = threads.spawn(move || {
            scenario::play(cast, control_plane, |step| {
                // The dashboard shows what happens; this is for the summary after it.
                let _ = tell.send(step);
                thread::sleep(scenario::PAUSE);
                Ok(())
            })
        });
        let shown = watch::show(global);
        let played = play.join();
        shown?;
        played.map_err(|_| CliError::NotFound("the play broke off".to_owned()))?
    })?;
    Ok(told.iter().collect())
}
