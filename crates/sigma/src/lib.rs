//! Sigma rules to rule files.
//!
//! [`import`] reads Sigma rules (specification 2.1) and gives a file of our own grammar that the
//! rule compiler accepts. It never makes a weaker rule without saying so: what a rule here cannot
//! say makes the rule be refused, or, where [`Breadth::Broader`] is asked for, find more than the
//! Sigma rule does, with the reason. Where files come from and go to is the caller's.

mod condition;
mod document;
mod draft;
mod meaning;
mod pattern;
mod source;
mod value;
mod write;
mod yaml;

use std::collections::BTreeSet;

use clampd_detect::{Detector, Leaf, Place, Rule};
use clampd_model::{Severity, Surface, ToolCategory};
use clampd_rule_compiler::{check, parse};

use crate::{
    document::SigmaRule,
    draft::{Draft, Shape},
    meaning::{Above, ORDER},
    yaml::Node,
};

/// The bytes of one file.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;
/// The rules of one import.
pub const RULES_MAX: usize = 2_000;

/// The words of one rule.
const WORDS_MAX: usize = 1_000;

/// What becomes of a rule of which a part cannot be carried over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Breadth {
    /// It is refused.
    #[default]
    AsWritten,
    /// It is imported without that part where it then finds more, and refused where it would find
    /// less.
    Broader,
}

/// A file with Sigma rules.
#[derive(Clone, Copy, Debug)]
pub struct SigmaFile<'f> {
    /// Its name, for telling.
    pub name: &'f str,
    /// Its text.
    pub text: &'f str,
}

/// What an import came to.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// The rule file; `None` when no rule was imported.
    pub toml: Option<String>,
    /// Every Sigma rule and what became of it, in order.
    pub rules: Vec<Imported>,
}

/// What became of one Sigma rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The file that it stands in.
    pub file: String,
    /// Its title, where it has one.
    pub title: String,
    /// The ids of the rules that it became; none when it was refused.
    pub ids: Vec<String>,
    /// Why it was refused, or what it finds beyond what the Sigma rule finds.
    pub lost: Vec<String>,
    /// In what else it differs.
    pub notes: Vec<String>,
}

impl Imported {
    /// Whether it was carried over with nothing lost.
    pub fn is_whole(&self) -> bool {
        !self.ids.is_empty() && self.lost.is_empty()
    }
}

/// Imports the rules of these files. `beside` are the rules that will be in force with them: no
/// counter-example may meet one of those.
pub fn import(files: &[SigmaFile<'_>], breadth: Breadth, beside: &[Rule]) -> Import {
    let mut import = Import::default();
    let mut drafts = Vec::new();
    let mut taken = BTreeSet::new();
    for file in files {
        let told = |title: &str| Imported {
            file: file.name.to_owned(),
            title: title.to_owned(),
            ..Imported::default()
        };
        let documents = match documents(file) {
            Ok(documents) => documents,
            Err(reason) => {
                import.rules.push(Imported {
                    lost: vec![reason],
                    ..told("")
                });
                continue;
            }
        };
        for document in documents {
            let mut imported = told(document::title(&document).unwrap_or_default());
            if import.rules.len() >= RULES_MAX {
                imported
                    .lost
                    .push(format!("an import has at most {RULES_MAX} rules"));
                import.rules.push(imported);
                return finish(import, drafts, beside);
            }
            let made = document::read(&document)
                .and_then(|rule| drafted(&rule, breadth, &mut taken, &mut imported));
            match made {
                Ok(made) => drafts.extend(made),
                Err(reason) => imported.lost = vec![reason],
            }
            import.rules.push(imported);
        }
    }
    finish(import, drafts, beside)
}

fn documents(file: &SigmaFile<'_>) -> Result<Vec<Node>, String> {
    if file.text.len() > FILE_BYTES_MAX {
        return Err(format!("it is longer than {FILE_BYTES_MAX} bytes"));
    }
    let mut documents = yaml::documents(file.text)?;
    documents.retain(|document| *document != Node::Null);
    if documents.is_empty() {
        Err("no rule is in it".to_owned())
    } else {
        Ok(documents)
    }
}

/// The drafts of one rule; what is lost and noted goes to `imported`.
fn drafted(
    rule: &SigmaRule,
    breadth: Breadth,
    taken: &mut BTreeSet<String>,
    imported: &mut Imported,
) -> Result<Vec<Draft>, String> {
    let Above { cases, lost } = rule.meaning.above()?;
    let mut cases =
        cases.ok_or_else(|| format!("nothing is left to look for: {}", lost.join("; ")))?;
    // Two parts in an order can be looked for in that order when they are all that there is.
    let only_order =
        matches!(cases.as_slice(), [case] if case.groups.len() == 2) && lost == [ORDER];
    if only_order {
        cases.iter_mut().for_each(|case| case.in_order = true);
    } else {
        imported.lost.extend(lost);
    }
    imported.notes.extend(rule.notes.iter().cloned());
    let shapes: Vec<Shape> = cases.iter().map(Shape::of).collect();
    for shape in &shapes {
        imported.lost.extend(shape.lost.iter().cloned());
        imported.notes.extend(shape.notes.iter().cloned());
    }
    for told in [&mut imported.lost, &mut imported.notes] {
        told.sort_unstable();
        told.dedup();
    }
    if breadth == Breadth::AsWritten && !imported.lost.is_empty() {
        return Err(format!(
            "it cannot be carried over whole: {}",
            imported.lost.join("; ")
        ));
    }
    let words =
        |shape: &Shape| shape.near.iter().map(Vec::len).sum::<usize>() + shape.literals.len();
    if shapes.iter().any(|shape| words(shape) > WORDS_MAX) {
        return Err(format!(
            "it would become a rule with more than {WORDS_MAX} words"
        ));
    }
    let drafts = shapes.into_iter().zip(&cases).map(|(shape, case)| Draft {
        id: id(&rule.title, taken),
        name: rule.title.clone(),
        severity: rule.severity,
        why: rule.why.clone(),
        references: rule.references.clone(),
        tools: rule.tools,
        literals: shape.literals,
        near: shape.near,
        in_order: case.in_order,
        pattern: shape.pattern,
        before: shape.before,
        should_match: shape.should_match,
        nearly: shape.nearly,
        should_not_match: None,
    });
    let drafts: Vec<Draft> = drafts.collect();
    imported.ids = drafts.iter().map(|draft| draft.id.clone()).collect();
    Ok(drafts)
}

/// The longest id, less what tells two of them apart.
const SLUG_BYTES_MAX: usize = 50;

fn id(title: &str, taken: &mut BTreeSet<String>) -> String {
    let words = title
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let mut slug = "sigma".to_owned();
    for word in words {
        if slug.len() + 1 + word.len() > SLUG_BYTES_MAX {
            break;
        }
        slug.push('-');
        slug.push_str(&word.to_ascii_lowercase());
    }
    let numbered = (2..).map(|nth| format!("{slug}-{nth}"));
    let mut ids = std::iter::once(slug.clone()).chain(numbered);
    let free = ids.find(|id| !taken.contains(id)).unwrap_or(slug);
    taken.insert(free.clone());
    free
}

/// Gives every draft a counter-example, has the compiler judge them, and takes out what it
/// refuses.
fn finish(mut import: Import, mut drafts: Vec<Draft>, beside: &[Rule]) -> Import {
    counter_examples(&mut drafts, beside);
    // Each round takes a draft out at least.
    for _ in 0..=drafts.len() {
        if drafts.is_empty() {
            return import;
        }
        let toml = write::file(&drafts);
        let errors = match parse("sigma.toml", &toml, &|list| Err(list.to_owned())) {
            Ok(rules) => check(&rules),
            Err(errors) => errors,
        };
        if errors.is_empty() {
            import.toml = Some(toml);
            return import;
        }
        for error in errors {
            let refused = error.rule.unwrap_or_default();
            for rule in import
                .rules
                .iter_mut()
                .filter(|rule| rule.ids.contains(&refused))
            {
                // A part of a rule is less than the rule.
                drafts.retain(|draft| !rule.ids.contains(&draft.id));
                rule.lost = vec![format!("the rule compiler refuses it: {}", error.reason)];
                rule.ids.clear();
            }
        }
    }
    import
}

/// Texts that meet no rule, for rules of a single word.
const PLAIN: &[&str] = &["list the open tickets of this week", "print the report"];

fn counter_examples(drafts: &mut [Draft], beside: &[Rule]) {
    let parsed = parse("sigma.toml", &write::file(drafts), &|list| {
        Err(list.to_owned())
    });
    let rules: Vec<Rule> = parsed
        .into_iter()
        .flatten()
        .map(|source| source.rule)
        .collect();
    let Ok(detector) = Detector::new([beside, &rules].concat()) else {
        return;
    };
    for draft in drafts {
        let (tool, name) = draft
            .tools
            .first()
            .map_or(("", "text"), |tool| source::example_call(*tool));
        let place = Place {
            surface: Surface::Params,
            tool,
            category: ToolCategory::Other,
        };
        let passes = |text: &&str| {
            let found = detector.scan(&place, [Leaf { name, text }]);
            !found
                .findings
                .iter()
                .any(|f| f.rule_id == draft.id.as_str() || f.severity >= Severity::High)
        };
        let nearly = draft.nearly.iter().map(String::as_str);
        draft.should_not_match = nearly
            .chain(PLAIN.iter().copied())
            .find(passes)
            .map(str::to_owned);
    }
}
