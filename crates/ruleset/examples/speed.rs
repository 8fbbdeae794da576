//! How fast the built-in rules judge honest texts by kind and size, and rows from standard input:
//! one line of JSON a measurement. `tests/bench/detect.py` runs it natively and in WebAssembly.

#![expect(clippy::print_stdout, reason = "the lines are what it is for")]
#![expect(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "the texts are made of lists that are there"
)]

use std::{
    error::Error,
    hint::black_box,
    io::{self, BufRead},
    time::Duration,
};

use clampd_detect::{Detector, Findings, Leaf, Place};
use clampd_model::{Surface, ToolCategory};
use clampd_ruleset::RULES;
use serde_json::{Value, json};

#[path = "../tests/support/honest.rs"]
mod honest;

const SIZES_KIB: [usize; 3] = [1, 16, 128];
/// A measurement is the best of so many, each at least so long, since others use the machine too.
const ROUNDS: usize = 12;
const ROUND: Duration = Duration::from_millis(12);

/// Usage: `speed` for honest texts; `speed rows` for lines `{surface, text | tool, params}`.
fn main() -> Result<(), Box<dyn Error>> {
    let begun = now();
    let detector = Detector::new(*RULES)?;
    let ready_ms = (now() - begun).as_secs_f64() * 1e3;
    if std::env::args().nth(1).as_deref() == Some("rows") {
        return rows(&detector);
    }
    println!("{}", json!({"ready_ms": ready_ms}));
    for kind in honest::KINDS {
        for kib in SIZES_KIB {
            let text = honest::text(kind, kib * 1024);
            let leaves = [Leaf {
                name: "",
                text: &text,
            }];
            let seconds = best(|| detector.scan(&place(Surface::Prompt, ""), leaves));
            println!(
                "{}",
                json!({"kind": kind.0, "kib": kib, "seconds": seconds})
            );
        }
    }
    Ok(())
}

/// What this process has had of a processor.
#[cfg(not(target_family = "wasm"))]
fn now() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(now).unwrap_or_default()
}

/// A clock, which is what the process has had of a processor where `tests/bench/wasi.mjs` runs it.
#[cfg(target_family = "wasm")]
fn now() -> Duration {
    static BEGUN: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    BEGUN.elapsed()
}

/// The seconds that one scan takes.
fn best(scan: impl Fn() -> Findings) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let begun = now();
        let mut scans = 0_u32;
        loop {
            black_box(scan());
            scans += 1;
            let spent = now() - begun;
            if spent >= ROUND {
                return spent.as_secs_f64() / f64::from(scans);
            }
        }
    });
    rounds.fold(f64::INFINITY, f64::min)
}

/// Judges every row, round after round, and gives the fastest round.
fn rows(detector: &Detector) -> Result<(), Box<dyn Error>> {
    let lines: Vec<String> = io::stdin().lock().lines().collect::<Result<_, _>>()?;
    let rows: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line))
        .collect::<Result<_, _>>()?;
    let rounds = (0..5).map(|_| {
        let begun = now();
        for row in &rows {
            black_box(judge(detector, row));
        }
        (now() - begun).as_secs_f64()
    });
    let seconds = rounds.fold(f64::INFINITY, f64::min);
    let bytes: usize = lines.iter().map(String::len).sum();
    println!(
        "{}",
        json!({"rows": rows.len(), "bytes": bytes, "seconds": seconds})
    );
    Ok(())
}

fn judge(detector: &Detector, row: &Value) -> Findings {
    let text = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default();
    let surface = match text("surface") {
        "call" => Surface::Params,
        "output" => Surface::Response,
        _ => Surface::Prompt,
    };
    let mut leaves = Vec::new();
    match row.get("params") {
        Some(params) => strings("", params, &mut leaves),
        None => leaves.push(Leaf {
            name: "",
            text: text("text"),
        }),
    }
    detector.scan(&place(surface, text("tool")), leaves)
}

fn place(surface: Surface, tool: &str) -> Place<'_> {
    Place {
        surface,
        tool,
        category: ToolCategory::Other,
    }
}

fn strings<'a>(name: &'a str, value: &'a Value, leaves: &mut Vec<Leaf<'a>>) {
    match value {
        Value::String(text) => leaves.push(Leaf { name, text }),
        Value::Array(items) => items.iter().for_each(|item| strings(name, item, leaves)),
        Value::Object(members) => {
            for (name, member) in members {
                strings(name, member, leaves);
            }
        }
        _ => {}
    }
}
