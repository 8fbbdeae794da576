//! What holds of every text that is judged.

use std::sync::LazyLock;

use clampd_detect::{Detector, Findings, Leaf, Place, fold as folded, fuzzing};
use clampd_model::{Decoding, Surface, ToolCategory};

/// A folded text is bounded, folds to itself, and does not depend on the case of what it was.
pub fn fold(text: &str) {
    let once = folded(text);
    let most = fuzzing::folded_bytes_max(text.len()) + CHARACTER_BYTES_MAX;
    assert!(
        once.len() <= most,
        "{} bytes became {}",
        text.len(),
        once.len()
    );
    // Korean letters of the compatibility blocks become single letters, which are put together
    // only where they stand so from the beginning.
    let pieces = |c| matches!(c, '\u{1100}'..='\u{11ff}');
    if !once.contains(pieces) {
        assert_eq!(folded(&once), once, "folded twice");
    }
    assert_eq!(
        folded(&text.to_ascii_uppercase()),
        once,
        "folded from upper case"
    );
    assert_eq!(
        folded(&text.to_ascii_lowercase()),
        once,
        "folded from lower case"
    );
    let controls = |c: char| c.is_ascii_control() && c != '\n';
    assert!(!once.contains(controls), "controls are left");
    assert!(
        !once.contains("  ") && !once.contains("\n\n"),
        "blanks are left"
    );
}

/// What one character that is still resolved when the bound is reached comes to.
const CHARACTER_BYTES_MAX: usize = 64;

/// A step of decoding gives little more than it took, and only so many texts.
pub fn decode(text: &str) {
    let decoded = fuzzing::decoded(text);
    assert!(decoded.len() <= fuzzing::decoded_max(text.len()).texts);
    let most = fuzzing::folded_bytes_max(text.len()) * 3 / 2 + CHARACTER_BYTES_MAX;
    for one in decoded {
        assert!(
            one.len() <= most,
            "{} bytes became {}",
            text.len(),
            one.len()
        );
    }
}

/// What is seen in SQL stands inside the text.
pub fn sql(text: &str) {
    inside(&folded(text), fuzzing::sql);
}

/// What is seen of addresses stands inside the text.
pub fn address(text: &str) {
    inside(&folded(text), fuzzing::addresses);
}

fn inside(text: &str, seen: fn(&str) -> Vec<(clampd_detect::Signal, usize)>) {
    let signals = seen(text);
    for (signal, at) in &signals {
        assert!(
            text.is_char_boundary(*at),
            "{signal:?} at {at} of {}",
            text.len()
        );
    }
    assert_eq!(seen(text), signals, "seen differently the second time");
}

/// A scan costs no more than its limits say, says the same again, and does not look at case.
pub fn scan(text: &str) {
    static DETECTOR: LazyLock<Detector> = LazyLock::new(|| {
        Detector::new(*clampd_ruleset::RULES).expect("the built-in rules are ready")
    });
    for (surface, tool, name) in PLACES {
        let place = Place {
            surface: *surface,
            tool,
            category: ToolCategory::Other,
        };
        let of = |text: &str| DETECTOR.scan(&place, [Leaf { name, text }]);
        fuzzing::take_work();
        let findings = of(text);
        bounded(text, fuzzing::take_work());
        assert_eq!(of(text), findings, "found differently the second time");
        let ids: Vec<_> = findings
            .findings
            .iter()
            .map(|finding| &finding.rule_id)
            .collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "one finding a rule, by id");
        assert_eq!(findings.counts.len(), findings.findings.len());
        assert!(findings.counts.iter().all(|count| *count > 0));
        let written = folded(text);
        for finding in findings
            .findings
            .iter()
            .filter(|finding| as_written(finding))
        {
            let at = finding.offset as usize;
            assert!(written.is_char_boundary(at), "{} at {at}", finding.rule_id);
        }
        let upper = of(&text.to_ascii_uppercase());
        assert_eq!(plain_rules(&findings), plain_rules(&upper), "in upper case");
        let leaf = Leaf { name, text };
        let twice = DETECTOR.scan(&place, [leaf, leaf]);
        assert_eq!(twice.rule_ids(), findings.rule_ids(), "said twice");
    }
}

const PLACES: &[(Surface, &str, &str)] = &[
    (Surface::Prompt, "", ""),
    (Surface::Params, "user.lookup", "name"),
    (Surface::Params, "database.query", "sql"),
    (Surface::Params, "shell.exec", "command"),
    (Surface::Response, "http.fetch", ""),
    (Surface::Descriptor, "", ""),
];

/// Each text that is decoded is judged as it is and in at most three other readings.
fn bounded(text: &str, work: fuzzing::Work) {
    const READINGS: usize = 4;
    let decoded = fuzzing::decoded_max(text.len());
    let texts = (decoded.texts + 2) * READINGS;
    assert!(work.texts <= texts, "{} texts were judged", work.texts);
    let bytes = fuzzing::folded_bytes_max(text.len() + decoded.bytes) * READINGS
        + texts * fuzzing::folded_bytes_max(CHARACTER_BYTES_MAX);
    assert!(
        work.bytes <= bytes,
        "{} bytes were judged of {}",
        work.bytes,
        text.len()
    );
}

/// The rules that were met with nothing but folding: decodings such as base64 do look at case.
fn plain_rules(findings: &Findings) -> Vec<&str> {
    let plain = findings
        .findings
        .iter()
        .filter(|finding| as_written(finding));
    plain.map(|finding| finding.rule_id.as_ref()).collect()
}

fn as_written(finding: &clampd_model::Finding) -> bool {
    finding.decodings.iter().all(|step| {
        matches!(
            step,
            Decoding::Compatibility | Decoding::Homoglyph | Decoding::ZeroWidth | Decoding::Bidi
        )
    })
}
