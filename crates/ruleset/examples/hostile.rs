//! Prints how long each hostile text of 128 KiB takes to scan, slowest first.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::{error::Error, time::Instant};

use clampd_detect::{Detector, Leaf, Place};
use clampd_model::{Surface, ToolCategory};
use clampd_ruleset::RULES;

#[path = "../tests/support/encode.rs"]
mod encode;
#[path = "../tests/support/hostile.rs"]
mod hostile;

fn main() -> Result<(), Box<dyn Error>> {
    let detector = Detector::new(RULES)?;
    let mut rows = Vec::new();
    for (name, text) in hostile::texts() {
        for surface in [Surface::Prompt, Surface::Response] {
            let place = Place {
                surface,
                tool: "",
                category: ToolCategory::Other,
            };
            let times = (0..3).map(|_| {
                let begun = Instant::now();
                std::hint::black_box(detector.scan(
                    &place,
                    [Leaf {
                        name: "",
                        text: &text,
                    }],
                ));
                begun.elapsed()
            });
            rows.push((times.min().unwrap_or_default(), name, surface));
        }
    }
    rows.sort_unstable_by_key(|(took, ..)| std::cmp::Reverse(*took));
    for (took, name, surface) in rows {
        println!("{took:>12.2?}  {name} ({})", surface.as_str());
    }
    Ok(())
}
