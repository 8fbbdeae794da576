//! The one way to standard output.
//!
//! Lines are gathered and written together; a verb that waits for something flushes first.

use std::io::{self, BufWriter, Write};

use serde::Serialize;
use serde_json::Value;

use crate::global::Global;

/// Where a verb writes what it was asked for.
pub(crate) struct Output(BufWriter<Box<dyn Write>>);

impl Output {
    /// To the process's standard output.
    pub(crate) fn stdout() -> Self {
        Self::to(io::stdout())
    }

    /// To any writer.
    pub(crate) fn to(writer: impl Write + 'static) -> Self {
        Self(BufWriter::with_capacity(64 * 1024, Box::new(writer)))
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, line: impl AsRef<str>) -> io::Result<()> {
        self.0.write_all(line.as_ref().as_bytes())?;
        self.0.write_all(b"\n")
    }

    /// Writes a value as one line of JSON.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, value)?;
        self.0.write_all(b"\n")
    }

    /// Says that something was done: as a line, or with `--json` as JSON.
    pub(crate) fn done(
        &mut self,
        global: &Global,
        line: impl AsRef<str>,
        value: &Value,
    ) -> io::Result<()> {
        if global.json {
            self.json_line(value)
        } else {
            self.line(line)
        }
    }

    /// Hands on what was gathered.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
