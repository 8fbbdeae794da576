//! Paths that climb out of their directory (CWE-22).

use super::{Signal, Signals};

/// Notes each run of two or more `../` (or `..\`, `....//`, `..;/`) in folded text.
pub(super) fn recognise(text: &str, signals: &mut Signals) {
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find("..")) {
        let start = from + at;
        let rest = text.as_bytes().get(start..).unwrap_or_default();
        let (steps, length) = climb(rest);
        if steps >= 2 {
            signals.put(Signal::PathClimb, start);
        }
        from = start + length.max(2);
    }
}

/// How many steps up the bytes begin with, and how long they are.
fn climb(bytes: &[u8]) -> (usize, usize) {
    let mut at = 0;
    let mut steps = 0;
    loop {
        let count = |at: usize, of: &[u8]| {
            bytes
                .iter()
                .skip(at)
                .take(8)
                .take_while(|b| of.contains(b))
                .count()
        };
        let dots = count(at, b".");
        if dots < 2 {
            return (steps, at);
        }
        let odd = count(at + dots, b";|,");
        let slashes = count(at + dots + odd, b"/\\");
        if slashes == 0 {
            return (steps, at + dots);
        }
        steps += 1;
        at += dots + odd + slashes;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Signal, Signals};
    use super::recognise;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn two_steps_up_are_a_climb() {
        for (text, climbs) in [
            ("../../etc/passwd", true),
            (r"..\..\windows", true),
            ("....//....//etc", true),
            ("..;/..;/admin", true),
            ("../readme.md", false),
            ("wait... and see.. / or", false),
            ("a..b", false),
            ("..", false),
        ] {
            let mut signals = Signals::default();
            recognise(text, &mut signals);
            assert_eq!(signals.contains(Signal::PathClimb), climbs, "{text}");
        }
    }
}
