//! The operator's hand: the `clampd` command.
//!
//! Arguments in, exit code out: 0 when all was as wanted, 1 when something was not, 2 when the
//! command was not understood. What each verb does is in the file of its name.

mod agent;
mod arguments;
mod audit;
mod auto_kill;
mod cluster;
mod context;
mod control_plane;
mod demo;
mod error;
mod gateway;
mod global;
mod http;
mod key;
mod output;
mod policy;
mod rules;
mod scan;
mod settings;
mod table;
mod time;
mod tool;
mod trial;
mod watch;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;

use crate::{
    arguments::{Arguments, Verb},
    error::CliError,
    output::Output,
};

/// How a verb ended when nothing stood in its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Everything was as wanted.
    AsWanted,
    /// The verb did its work, and what it found is not as wanted.
    NotAsWanted,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = Output::stdout();
    let outcome = run(arguments, &mut out).and_then(|outcome| {
        out.flush()?;
        Ok(outcome)
    });
    match outcome {
        Ok(Outcome::AsWanted) => ExitCode::SUCCESS,
        Ok(Outcome::NotAsWanted) => ExitCode::FAILURE,
        // Whoever read our output has seen enough, as `head` does.
        Err(CliError::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // What was written before the error still belongs before it.
            let _ = out.flush();
            let _ = writeln!(io::stderr(), "clampd: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(arguments: Arguments, out: &mut Output) -> Result<Outcome, CliError> {
    let Arguments { verb, global } = arguments;
    let global = &global;
    match verb {
        Verb::Agent(verb) => agent::run(verb, global, out),
        Verb::Kill(arguments) => agent::kill(&arguments, global, out),
        Verb::AutoKill(verb) => auto_kill::run(&verb, global, out),
        Verb::Policy(verb) => policy::run(&verb, global, out),
        Verb::Settings(verb) => settings::run(&verb, global, out),
        Verb::Tool(verb) => tool::run(&verb, global, out),
        Verb::Key(verb) => key::run(&verb, global, out),
        Verb::Audit(verb) => audit::run(&verb, global, out),
        Verb::Cluster(verb) => cluster::run(&verb, global, out),
        Verb::Watch(arguments) => watch::run(&arguments, global, out),
        Verb::Demo(arguments) => demo::run(&arguments, global, out),
        Verb::Test(arguments) => trial::run(&arguments, global, out),
        Verb::Rules(verb) => rules::run(&verb, global, out),
        Verb::Scan(arguments) => scan::run(&arguments, out),
        Verb::Context(verb) => context::run(verb, global, out),
        Verb::Config(verb) => context::run_config(&verb, global, out),
    }
}
