//! The attacks: texts and calls, ours to read, in `attacks.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::CliError;

const ATTACKS: &str = include_str!("../../attacks.toml");

/// One attack.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attack {
    /// sqli, xss, ssrf, shell, traversal or injection.
    pub(super) category: String,
    /// What it tries, for people.
    pub(super) name: String,
    /// A text for a model, or …
    text: Option<String>,
    /// … a tool …
    tool: Option<String>,
    /// … and its parameters.
    #[serde(default)]
    params: BTreeMap<String, String>,
}

/// A request that carries an attack.
pub(super) struct Shot {
    pub(super) path: &'static str,
    pub(super) body: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    attack: Vec<Attack>,
}

/// Every attack, in the file's order.
pub(super) fn read() -> Result<Vec<Attack>, CliError> {
    let file: Result<File, _> = toml::from_str(ATTACKS);
    let file = file.map_err(|e| CliError::Rules(format!("attacks.toml: {}", e.message())))?;
    Ok(file.attack)
}

impl Attack {
    /// The request.
    pub(super) fn shot(&self) -> Shot {
        match (&self.tool, &self.text) {
            (Some(tool), _) => Shot {
                path: "/v1/verify",
                body: json!({ "tool": tool, "params": self.params, "target_url": "" }),
            },
            (None, text) => Shot {
                path: "/v1/scan-input",
                body: json!({ "text": text.as_deref().unwrap_or_default() }),
            },
        }
    }

    /// The tool, or nothing for a text.
    pub(super) fn tool(&self) -> &str {
        self.tool.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use clampd_detect::{Detector, Leaf, Place};
    use clampd_model::{Surface, ToolCategory};

    use super::read;

    #[test]
    fn every_category_has_texts_and_most_have_calls() {
        let attacks = read().unwrap();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut names = BTreeSet::new();
        for attack in &attacks {
            *counts.entry(attack.category.as_str()).or_default() += 1;
            assert!(names.insert(&attack.name), "`{}` stands twice", attack.name);
            assert_ne!(
                attack.text.is_some(),
                attack.tool.is_some(),
                "{}",
                attack.name
            );
            assert_eq!(
                attack.tool.is_some(),
                !attack.params.is_empty(),
                "{}",
                attack.name
            );
        }
        let categories: Vec<&str> = counts.keys().copied().collect();
        assert_eq!(
            categories,
            ["injection", "shell", "sqli", "ssrf", "traversal", "xss"]
        );
        assert!(counts.values().all(|count| *count >= 6), "{counts:?}");
    }

    #[test]
    fn the_first_attack_of_each_category_is_found_by_the_built_in_rules() {
        let detector = Detector::new(*clampd_ruleset::RULES).unwrap();
        let mut seen = BTreeSet::new();
        for attack in read().unwrap() {
            if !seen.insert(attack.category.clone()) {
                continue;
            }
            let place = Place {
                surface: if attack.tool.is_some() {
                    Surface::Params
                } else {
                    Surface::Prompt
                },
                tool: attack.tool(),
                category: ToolCategory::Other,
            };
            let texts = attack.params.iter().map(|(name, text)| Leaf { name, text });
            let text = attack.text.iter().map(|text| Leaf { name: "", text });
            let findings = detector.scan(&place, texts.chain(text));
            assert!(findings.risk().value() >= 0.7, "{}", attack.name);
        }
    }
}
