//! The operator's hand: the `clampd` command.
//!
//! Arguments in, exit code out: 0 when all was as wanted, 1 when something was not, 2 when the
//! command was not understood. What each verb does is in the file of its name.

mod arguments;
mod error;
mod output;
mod rules;
mod scan;

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
    let outcome = run(arguments.verb, &mut out).and_then(|outcome| {
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
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb, out: &mut Output) -> Result<Outcome, CliError> {
    match verb {
        Verb::Scan(arguments) => scan::run(&arguments, out),
    }
}
