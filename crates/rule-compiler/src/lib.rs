//! Rule files to checked rules to one table.
//!
//! [`compile_dir`] reads a folder of TOML files, refuses what is wrong with the file, the rule
//! and the text named, and has every example judged by `detect`, the engine that runs in the
//! proxy. [`emit`] writes the rules as a table to build in. [`compile_own`] compiles a file of an
//! organisation's own. What the rules say is `rules/`'s.

mod check;
mod emit;
mod own;
mod source;

use std::path::{Path, PathBuf};

pub use check::check;
pub use emit::{Table, emit};
pub use own::{Cost, FILE_BYTES_MAX, compile_own};
pub use source::{CallExample, Example, RuleSource, WrittenAs, parse};

/// Why rules are refused: the file, the rule and the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{file}:{} {}{reason}",
    line.map(|line| format!("{line}:")).unwrap_or_default(),
    rule.as_ref().map(|rule| format!("rule `{rule}`: ")).unwrap_or_default()
)]
pub struct CompileError {
    /// The file, relative to the folder.
    pub file: String,
    /// The line that the rule begins at, from 1.
    pub line: Option<usize>,
    /// The rule's id, where one is at fault.
    pub rule: Option<String>,
    /// What is wrong and what was wanted.
    pub reason: String,
}

/// Reads, checks and sorts the rules of a folder: `*.toml`, with the word lists that they name.
///
/// # Errors
/// Everything that is wrong, not only the first.
pub fn compile_dir(dir: &Path) -> Result<Vec<RuleSource>, Vec<CompileError>> {
    let files = files(dir).map_err(|e| {
        vec![CompileError {
            file: dir.display().to_string(),
            line: None,
            rule: None,
            reason: e.to_string(),
        }]
    })?;
    let mut rules = Vec::new();
    let mut errors = Vec::new();
    for path in files {
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match std::fs::read_to_string(&path) {
            Ok(text) => match parse(&file, &text, &|list| read_list(dir, list)) {
                Ok(mut parsed) => rules.append(&mut parsed),
                Err(mut refused) => errors.append(&mut refused),
            },
            Err(e) => errors.push(CompileError {
                file,
                line: None,
                rule: None,
                reason: e.to_string(),
            }),
        }
    }
    rules.sort_by(|a: &RuleSource, b| a.id.cmp(&b.id));
    errors.extend(check(&rules));
    if errors.is_empty() {
        Ok(rules)
    } else {
        Err(errors)
    }
}

fn files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    Ok(files)
}

fn read_list(dir: &Path, list: &str) -> Result<String, String> {
    let inside = list
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_/.".contains(&b))
        && !list.contains("..")
        && !list.starts_with('/');
    if !inside {
        return Err(format!(
            "word list `{list}` must be a path below the rules' folder"
        ));
    }
    std::fs::read_to_string(dir.join(list)).map_err(|e| format!("word list `{list}`: {e}"))
}
