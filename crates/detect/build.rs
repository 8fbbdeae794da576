//! Writes the decompositions that folding needs as one small table.
//!
//! The `unicode-normalization` crate is the source; its own tables also serve composition and
//! both canonical forms, and would be a tenth of the filter. Left out are marks, which folding
//! drops, and characters that folding never asks for.

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

use unicode_normalization::char::decompose_compatible;

fn main() -> Result<(), Box<dyn Error>> {
    let out = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    let (mut keys, mut ends, mut pool) = (Vec::new(), Vec::new(), String::new());
    let mut runs: Vec<(u32, u32, u32)> = Vec::new();
    for c in '\u{a0}'..='\u{2ffff}' {
        let mut parts = Vec::new();
        decompose_compatible(c, |part| parts.push(part));
        if parts == [c] || ('\u{ac00}'..='\u{d7a3}').contains(&c) {
            continue;
        }
        parts.retain(|part| !is_mark(*part));
        let code = u32::from(c);
        if let Ok(key) = u16::try_from(code) {
            pool.extend(parts);
            keys.push(key);
            ends.push(u16::try_from(pool.len())?);
        } else if let [to] = parts.as_slice() {
            let to = u32::from(*to);
            match runs.last_mut() {
                Some((first, last, base)) if code == *last + 1 && to == *base + (code - *first) => {
                    *last = code;
                }
                _ => runs.push((code, code, to)),
            }
        }
    }
    let mut table = String::new();
    writeln!(table, "static KEYS: &[u16] = &{keys:?};")?;
    writeln!(table, "static ENDS: &[u16] = &{ends:?};")?;
    writeln!(table, "static POOL: &str = {pool:?};")?;
    writeln!(table, "static RUNS: &[(u32, u32, u32)] = &{runs:?};")?;
    fs::write(Path::new(&out).join("decompositions.rs"), table)?;
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}

/// The marks that folding leaves out; `fold.rs` has the same.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{64b}'..='\u{655}' | '\u{640}')
}
