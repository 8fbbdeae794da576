//! What can stand in a verb's way, in words for the person who typed it.

use std::{io, path::PathBuf};

/// Why a verb did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
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
}

impl CliError {
    /// For a file that could not be read or written.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }
}
