//! What can stand in a verb's way, in words for the person who typed it.

use std::{io, path::PathBuf};

/// Why a verb did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The command asks for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// A file could not be read or written.
    #[error("`{}`: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nobody takes our output.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// The rules cannot be used.
    #[error("{0}")]
    Rules(String),
    /// The configuration cannot be used.
    #[error("`{}`: {reason}", path.display())]
    Config {
        /// Its file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// What the command names is not there.
    #[error("{0}")]
    NotFound(String),
    /// What the command would make is there already.
    #[error("{0}")]
    AlreadyThere(String),
    /// A service gave no answer, or none that can be read.
    #[error("no answer from the {service} at {url}: {reason}")]
    NoAnswer {
        /// Which: `control plane` or `gateway`.
        service: &'static str,
        /// Where it was looked for.
        url: String,
        /// Why.
        reason: String,
    },
    /// A service refused.
    #[error("the {service} refused ({status} {code}): {message}{}", hint(code))]
    Refused {
        /// Which.
        service: &'static str,
        /// Its HTTP status.
        status: u16,
        /// Its `error_code`.
        code: String,
        /// Its sentence.
        message: String,
    },
}

/// What would help against a refusal.
fn hint(code: &str) -> &'static str {
    match code {
        "missing_api_key" | "invalid_api_key" => {
            "; set `api_token` in the context, or CLAMPD_API_TOKEN"
        }
        _ => "",
    }
}

impl CliError {
    /// What the process ends with: 2 when the command was at fault, else 1.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            _ => 1,
        }
    }

    /// For a file that could not be read or written.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }
}
