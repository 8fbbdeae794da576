//! Compiles `rules/` into the rows and the packed texts that `src/lib.rs` includes.

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules");
    let out = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    for entry in [rules.clone(), rules.join("words")] {
        emit(&format!("cargo::rerun-if-changed={}", entry.display()));
    }
    let compiled = match clampd_rule_compiler::compile_dir(&rules) {
        Ok(compiled) => compiled,
        Err(errors) => {
            for error in &errors {
                let text = error.to_string();
                text.lines()
                    .for_each(|line| emit(&format!("cargo::error={line}")));
            }
            return Err(format!("{} errors in rules/", errors.len()).into());
        }
    };
    let table = clampd_rule_compiler::emit(&compiled);
    let packed = miniz_oxide::deflate::compress_to_vec(table.texts.as_bytes(), 10);
    let out = Path::new(&out);
    fs::write(out.join("rows.rs"), table.rows)?;
    fs::write(out.join("texts.deflate"), packed)?;
    Ok(())
}

fn emit(line: &str) {
    println!("{line}");
}
