//! `clampd rules`: what the rules are.

use std::path::Path;

use clampd_rule_compiler::{RuleSource, compile_dir};

use crate::error::CliError;

/// Reads and checks the rules of a directory; the error names every file and rule at fault.
pub(crate) fn compile(dir: &Path) -> Result<Vec<RuleSource>, CliError> {
    compile_dir(dir).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        CliError::Rules(lines.join("\n"))
    })
}
