//! The file of `--config`: what flags and environment do not say.

use std::{ffi::OsString, fs, path::PathBuf};

use anyhow::{Context as _, bail};
use clap::{ArgAction, CommandFactory as _, FromArgMatches as _};
use toml::{Table, Value};

use super::Arguments;

/// What a file must not say: the key that seals secrets, which belongs elsewhere than what it
/// seals, and what is said once for one start.
const NOT_IN_A_FILE: [&str; 3] = ["master_key", "config", "check"];

impl Arguments {
    /// Reads flags, environment and the file that they may name. Prints and ends the process where
    /// a flag is wrong, or help is asked for.
    ///
    /// # Errors
    /// When the file cannot be read, or says what no flag could.
    pub fn read() -> anyhow::Result<Self> {
        let flags: Vec<OsString> = std::env::args_os().collect();
        let mut command = Self::command();
        if let Some(path) = named(&flags) {
            let shown = path.display();
            let text = fs::read_to_string(&path).with_context(|| format!("reading `{shown}`"))?;
            let table: Table = text.parse().with_context(|| format!("reading `{shown}`"))?;
            for (name, value) in table {
                command = with_default(command, &name, &value)
                    .with_context(|| format!("reading `{shown}`"))?;
            }
        }
        let matches = command.get_matches_from(flags);
        Self::from_arg_matches(&matches).map_err(|error| error.exit())
    }
}

/// The file that the flags name, or else the environment.
fn named(flags: &[OsString]) -> Option<PathBuf> {
    let mut flags = flags.iter().skip(1);
    while let Some(flag) = flags.next() {
        match flag.to_str() {
            Some("--config") => return flags.next().map(PathBuf::from),
            Some(flag) => {
                if let Some(path) = flag.strip_prefix("--config=") {
                    return Some(path.into());
                }
            }
            None => {}
        }
    }
    std::env::var_os("CLAMPD_CONFIG").map(PathBuf::from)
}

/// The command, with the value in the place of the flag's default wherever there is such a flag.
fn with_default(
    mut command: clap::Command,
    name: &str,
    value: &Value,
) -> anyhow::Result<clap::Command> {
    let id = name.replace('-', "_");
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        _ => bail!("`{name}` must be a text or a whole number"),
    };
    // It is said once and holds as long as the process.
    let text: &'static str = text.leak();
    let mut is_known = false;
    for subcommand in command.get_subcommands_mut() {
        let has = |argument: &clap::Arg| {
            argument.get_id() == id.as_str() && matches!(argument.get_action(), ArgAction::Set)
        };
        if NOT_IN_A_FILE.contains(&id.as_str()) || !subcommand.get_arguments().any(has) {
            continue;
        }
        is_known = true;
        *subcommand =
            std::mem::take(subcommand).mut_arg(&id, |argument| argument.default_value(text));
    }
    if !is_known {
        bail!("`{name}` is nothing that a file can say");
    }
    Ok(command)
}
