//! Texts of 128 KiB made to be slow, beside honest ones of the same size: no text may take more
//! than [`MILLISECONDS_MAX`], and the table says how many times the plain one each takes.
//!
//! Time is what the process has had of a processor, so that a busy machine changes little.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]
#![expect(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "the texts are made of lists that are there"
)]

use std::{
    cell::RefCell,
    collections::BTreeMap,
    error::Error,
    hint::black_box,
    time::Duration,
};

use clampd_detect::{Detector, Leaf, Place};
use clampd_model::{Surface, ToolCategory};
use clampd_ruleset::RULES;
use criterion::Criterion;

#[path = "../../crates/ruleset/tests/support/encode.rs"]
mod encode;
#[path = "../../crates/ruleset/tests/support/honest.rs"]
mod honest;
#[path = "../../crates/ruleset/tests/support/hostile.rs"]
mod hostile;

const MILLISECONDS_MAX: f64 = 20.0;
const BYTES: usize = 128 * 1024;
/// What the others are compared with.
const PLAIN: &str = "honest prose";

fn main() -> Result<(), Box<dyn Error>> {
    let detector = Detector::new(*RULES)?;
    let hostile = hostile::texts().into_iter();
    let honest = honest::KINDS.iter();
    let honest = honest.map(|kind| (format!("honest {}", kind.0), honest::text(kind, BYTES)));
    let texts = hostile
        .map(|(name, text)| (name.to_owned(), text))
        .chain(honest);
    let best = RefCell::new(BTreeMap::<String, Duration>::new());
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(300))
        .without_plots()
        .configure_from_args();
    let mut group = criterion.benchmark_group("128 KiB");
    for (name, text) in texts {
        for surface in [Surface::Prompt, Surface::Response] {
            let id = format!("{name} ({})", surface.as_str());
            group.bench_function(&id, |bencher| {
                bencher.iter_custom(|times| {
                    let spent = scan(&detector, surface, &text, times);
                    let each = spent / u32::try_from(times).unwrap_or(u32::MAX);
                    let mut best = best.borrow_mut();
                    let known = best.entry(id.clone()).or_insert(each);
                    *known = each.min(*known);
                    spent
                });
            });
        }
    }
    group.finish();
    criterion.final_summary();
    table(best.into_inner())
}

fn scan(detector: &Detector, surface: Surface, text: &str, times: u64) -> Duration {
    let place = Place {
        surface,
        tool: "",
        category: ToolCategory::Other,
    };
    let begun = cpu_time();
    for _ in 0..times {
        black_box(detector.scan(&place, [Leaf { name: "", text }]));
    }
    cpu_time() - begun
}

/// What this process has had of a processor.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(now).unwrap_or_default()
}

/// Prints the best of each, slowest first.
fn table(best: BTreeMap<String, Duration>) -> Result<(), Box<dyn Error>> {
    let milliseconds = |spent: Duration| spent.as_secs_f64() * 1e3;
    let plain = best.get(&format!("{PLAIN} (prompt)")).copied();
    let mut rows: Vec<_> = best.into_iter().collect();
    rows.sort_unstable_by_key(|(_, spent)| std::cmp::Reverse(*spent));
    println!("\n{:>9}  {:>7}  text", "ms", "÷ plain");
    for (name, spent) in &rows {
        let ratio = plain.map_or(f64::NAN, |plain| milliseconds(*spent) / milliseconds(plain));
        println!("{:>9.3}  {ratio:>7.1}  {name}", milliseconds(*spent));
    }
    match rows.first() {
        Some((name, spent)) if milliseconds(*spent) > MILLISECONDS_MAX => {
            Err(format!("`{name}` takes more than {MILLISECONDS_MAX} ms").into())
        }
        _ => Ok(()),
    }
}
