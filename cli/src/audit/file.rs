//! `clampd audit verify --file`: an exported trail, checked without asking anybody.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::{Path, PathBuf},
};

use clampd_token::{
    AUDIT_CHAIN_COLUMNS, AUDIT_KEY_ID, AuditBroken, AuditStatement, AuditStatementKind, AuditWalk,
    VerifyingKey, audit_line, verify_audit_statement,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{Outcome, error::CliError, global::Global, output::Output};

/// The longest line that is read: an event is at most 64 KiB, and JSON in JSON is escaped.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// What the first line of an export says that it is.
const EXPORT: &str = "clampd-audit-v1";

/// The first line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beginning {
    export: String,
    org_id: String,
    /// The number and hash of the event before the first.
    after: u64,
    chain_hash: String,
    /// The statement about what the retention removed.
    cut: Option<String>,
}

/// What was found.
#[derive(Debug, Default)]
struct Found {
    org_id: String,
    /// Whether it begins where the trail does, or where a signed cut does.
    is_from_the_beginning: bool,
    first: u64,
    last: u64,
    /// Why it is not to be believed.
    fault: Option<String>,
}

/// What an export is checked against.
#[derive(Debug)]
struct Keys {
    key: VerifyingKey,
    /// Statements that were kept elsewhere, to compare with.
    kept: Vec<AuditStatement>,
}

/// Checks the export in `file` by the keys in `jwks`, and against statements that were kept.
pub(super) fn verify(
    file: &Path,
    jwks: &Path,
    kept: &[PathBuf],
    global: &Global,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    let keys = Keys::read(jwks, kept)?;
    let reader = BufReader::new(File::open(file).map_err(CliError::file(file))?);
    let found = check(reader, &keys).map_err(CliError::file(file))?;
    report(&found, global, out)
}

impl Keys {
    fn read(jwks: &Path, kept: &[PathBuf]) -> Result<Self, CliError> {
        let read = |path: &Path| std::fs::read_to_string(path).map_err(CliError::file(path));
        let set: Value = serde_json::from_str(&read(jwks)?).unwrap_or_default();
        let keys = set.get("keys").and_then(Value::as_array);
        let key = keys.into_iter().flatten().find_map(|key| {
            let is_ours = key.get("kid")?.as_str()? == AUDIT_KEY_ID;
            let x = key.get("x")?.as_str()?;
            is_ours.then(|| VerifyingKey::parse(x).ok())?
        });
        let key = key.ok_or_else(|| {
            let shown = jwks.display();
            CliError::Usage(format!(
                "`{shown}` holds no key with the id `{AUDIT_KEY_ID}`"
            ))
        })?;
        let mut statements = Vec::new();
        for path in kept {
            let statement = verify_audit_statement(read(path)?.trim(), &key)
                .map_err(|error| CliError::Usage(format!("`{}`: {error}", path.display())))?;
            statements.push(statement);
        }
        Ok(Self {
            key,
            kept: statements,
        })
    }

    /// The statement of that kind about that organisation's trail, if the key signed it.
    fn statement(
        &self,
        text: &str,
        kind: AuditStatementKind,
        org_id: &str,
    ) -> Option<AuditStatement> {
        let statement = verify_audit_statement(text, &self.key).ok()?;
        (statement.audit == kind && statement.org_id == org_id).then_some(statement)
    }
}

fn check(mut lines: impl BufRead, keys: &Keys) -> io::Result<Found> {
    let mut found = Found::default();
    match walk(&mut lines, keys, &mut found)? {
        Ok(()) => {}
        Err(fault) => found.fault = Some(fault),
    }
    Ok(found)
}

/// Walks along the export; what is wrong with it is the inner error.
fn walk(
    lines: &mut impl BufRead,
    keys: &Keys,
    found: &mut Found,
) -> io::Result<Result<(), String>> {
    let Some(first) = next_line(lines)? else {
        return Ok(Err("the file is empty".to_owned()));
    };
    let beginning: Beginning = match serde_json::from_str(&first) {
        Ok(beginning) => beginning,
        Err(_) => return Ok(Err("the first line is not that of an export".to_owned())),
    };
    if beginning.export != EXPORT {
        return Ok(Err(format!("the first line does not say `{EXPORT}`")));
    }
    found.org_id.clone_from(&beginning.org_id);
    let mut walk = AuditWalk {
        seq: beginning.after,
        chain_hash: beginning.chain_hash.clone(),
    };
    found.is_from_the_beginning = begins(&beginning, &walk, keys);
    found.first = walk.seq.saturating_add(1);
    found.last = walk.seq;
    if walk.seq == 0 && !walk.chain_hash.is_empty() {
        return Ok(Err(
            "the first line names a hash before the first event".to_owned()
        ));
    }
    let mut passed = compared(&walk, &beginning.org_id, keys);
    while let Some(line) = next_line(lines)? {
        let row: Map<String, Value> = match serde_json::from_str(&line) {
            Ok(row) => row,
            Err(_) => return Ok(Err(format!("the line after event {} is no JSON", walk.seq))),
        };
        if row.contains_key("statement") {
            return ended(lines, &row, &walk, &beginning.org_id, keys, &passed);
        }
        if let Err(fault) = step(&mut walk, row, &line, &beginning.org_id) {
            return Ok(Err(fault));
        }
        found.last = walk.seq;
        passed.extend(compared(&walk, &beginning.org_id, keys));
    }
    Ok(Err(format!(
        "the file is cut off after event {}: its last line is missing",
        walk.seq
    )))
}

/// Whether nothing is missing before the first event.
fn begins(beginning: &Beginning, walk: &AuditWalk, keys: &Keys) -> bool {
    if walk.seq == 0 {
        return true;
    }
    let cut = beginning
        .cut
        .as_deref()
        .and_then(|cut| keys.statement(cut, AuditStatementKind::Cut, &beginning.org_id));
    cut.is_some_and(|cut| walk.stands_at(&cut))
}

/// The numbers of the kept statements that say what the walk has found.
fn compared(walk: &AuditWalk, org_id: &str, keys: &Keys) -> Vec<u64> {
    let here = keys
        .kept
        .iter()
        .filter(|kept| kept.org_id == org_id && walk.stands_at(kept));
    here.map(|kept| kept.seq).collect()
}

/// Takes one event. Its line must be the one way to write it: two keys of one name, or one that the
/// chain does not hold, would be read differently elsewhere.
fn step(
    walk: &mut AuditWalk,
    mut row: Map<String, Value>,
    line: &str,
    org_id: &str,
) -> Result<(), String> {
    let altered = || AuditBroken(walk.seq.saturating_add(1)).to_string();
    if row.get("org_id").and_then(Value::as_str) != Some(org_id) {
        return Err(altered());
    }
    let columns: Option<Vec<Value>> = AUDIT_CHAIN_COLUMNS
        .iter()
        .map(|column| row.remove(*column))
        .collect();
    let chain_hash = row.remove("chain_hash");
    let chain_hash = chain_hash.as_ref().and_then(Value::as_str);
    let (Some(columns), Some(chain_hash)) = (columns, chain_hash) else {
        return Err(altered());
    };
    if audit_line(&columns, chain_hash) != line {
        return Err(altered());
    }
    walk.step(columns, chain_hash)
        .map_err(|broken| broken.to_string())
}

/// Compares the end of the file with what is signed about it.
fn ended(
    lines: &mut impl BufRead,
    row: &Map<String, Value>,
    walk: &AuditWalk,
    org_id: &str,
    keys: &Keys,
    passed: &[u64],
) -> io::Result<Result<(), String>> {
    if next_line(lines)?.is_some() {
        return Ok(Err("there are lines after the last one".to_owned()));
    }
    let text = row.get("statement").and_then(Value::as_str);
    let signed = text.and_then(|text| keys.statement(text, AuditStatementKind::Head, org_id));
    let Some(signed) = signed else {
        return Ok(Err(
            "the last line is not signed by the trail's key".to_owned()
        ));
    };
    if !walk.stands_at(&signed) {
        return Ok(Err(format!(
            "the file ends with event {}, and signed as the last is event {}",
            walk.seq, signed.seq
        )));
    }
    let missed = keys.kept.iter().find(|kept| !passed.contains(&kept.seq));
    Ok(match missed {
        None => Ok(()),
        Some(kept) => Err(format!(
            "event {}, of which a statement was kept, is not in the file as it was",
            kept.seq
        )),
    })
}

fn next_line(lines: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = lines.by_ref().take(LINE_BYTES_MAX).read_line(&mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if !line.ends_with('\n') {
        let why = "a line is cut off or too long";
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    line.pop();
    Ok(Some(line))
}

fn report(found: &Found, global: &Global, out: &mut Output) -> Result<Outcome, CliError> {
    let events = found.last.saturating_sub(found.first.saturating_sub(1));
    if global.json {
        out.json_line(&json!({
            "valid": found.fault.is_none(), "org_id": found.org_id, "events": events,
            "first": found.first, "last": found.last,
            "from_the_beginning": found.is_from_the_beginning, "fault": found.fault,
        }))?;
    } else if let Some(fault) = &found.fault {
        out.line(format!("✗ {fault}"))?;
    } else {
        out.line(format!(
            "✓ {events} events, {} to {}, each as it was written",
            found.first, found.last
        ))?;
        if !found.is_from_the_beginning {
            out.line(format!(
                "  what was before event {} is not in the file",
                found.first
            ))?;
        }
    }
    Ok(match found.fault {
        None => Outcome::AsWanted,
        Some(_) => Outcome::NotAsWanted,
    })
}
