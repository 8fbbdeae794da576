//! The control plane's process: arguments in, exit code out.

use std::{
    io::{IsTerminal as _, Write as _},
    process::ExitCode,
};

use clampd_control_plane::{
    config::{
        Arguments, Command, OrganisationArguments, ServeArguments, Settings, StorageArguments,
    },
    service,
    store::FirstKeys,
};
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_env("CLAMPD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.command {
        Command::Init(new) => print(&organisation(new, service::initialise)?),
        Command::AddOrg(new) => print(&organisation(new, service::add_organisation)?),
        Command::Openapi => {
            let text = clampd_control_plane::openapi()?;
            Ok(writeln!(std::io::stdout(), "{text}")?)
        }
        Command::Serve(arguments) => {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?;
            runtime.block_on(serve(&arguments))
        }
    }
}

type Make = fn(&StorageArguments, Option<String>, &str) -> anyhow::Result<FirstKeys>;

fn organisation(new: OrganisationArguments, make: Make) -> anyhow::Result<FirstKeys> {
    make(&new.storage, new.org_id, &new.org_name)
}

fn print(keys: &FirstKeys) -> anyhow::Result<()> {
    let text = serde_json::to_string(keys)?;
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}

async fn serve(arguments: &ServeArguments) -> anyhow::Result<()> {
    // Listened for before the first request, so that none is missed.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let settings = Settings::from(arguments);
    let running = service::start(&arguments.storage, arguments.listen, settings).await?;
    tracing::info!(address = %running.address, "serving");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    running.stop().await
}
