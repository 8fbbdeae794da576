//! The annotations of a policy: what we know, nothing else.

use cedar_policy_core::{ast, parser::Loc};
use clampd_model::{Effect, PolicyMode};

const REASON_BYTES_MAX: usize = 1_024;
const SCOPE_BYTES_MAX: usize = 128;
const NAME_BYTES_MAX: usize = 64;

/// The annotations of one policy.
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    /// `@id`
    pub(crate) id: Option<String>,
    pub(crate) mode: PolicyMode,
    pub(crate) reason: String,
    pub(crate) scope: Option<String>,
}

/// What cannot be, and where.
pub(crate) type Wrong = (Option<Loc>, String);

impl Annotations {
    pub(crate) fn of(policy: &ast::Policy) -> Result<Self, Wrong> {
        let mut read = Self::default();
        for (name, annotation) in policy.annotations() {
            let value = annotation.val.as_str();
            let name: &str = name.as_ref();
            read.take(name, value, policy.effect() == ast::Effect::Permit)
                .map_err(|wanted| {
                    let loc = annotation.loc.clone().or_else(|| policy.loc().cloned());
                    (loc, format!("annotation `@{name}` {wanted}"))
                })?;
        }
        Ok(read)
    }

    fn take(&mut self, name: &str, value: &str, is_permit: bool) -> Result<(), &'static str> {
        match name {
            "id" => {
                let is_name = (1..=NAME_BYTES_MAX).contains(&value.len())
                    && value
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"_.:-".contains(&b));
                demand(is_name, "must be 1 to 64 characters of A-Z a-z 0-9 _ . : -")?;
                self.id = Some(value.to_owned());
            }
            "reason" => {
                let is_sentence = (1..=REASON_BYTES_MAX).contains(&value.len())
                    && !value.chars().any(char::is_control);
                demand(
                    is_sentence,
                    "must be 1 to 1024 bytes, no control characters",
                )?;
                value.clone_into(&mut self.reason);
            }
            "flag" | "monitor" => {
                demand(value.is_empty(), "takes no value")?;
                demand(
                    self.mode == PolicyMode::Enforce,
                    "does not go with another mode",
                )?;
                self.mode = if name == "flag" {
                    PolicyMode::Flag
                } else {
                    PolicyMode::Monitor
                };
            }
            "scope" => {
                demand(is_permit, "is for a permit")?;
                demand(
                    is_scope(value),
                    "must be one scope of 1 to 128 printable characters",
                )?;
                self.scope = Some(value.to_owned());
            }
            _ => return Err("is not known: id, reason, flag, monitor, scope are"),
        }
        Ok(())
    }
}

/// Cedar's effect as ours.
pub(crate) fn effect_of(policy: &ast::Policy) -> Effect {
    match policy.effect() {
        ast::Effect::Permit => Effect::Permit,
        ast::Effect::Forbid => Effect::Forbid,
    }
}

fn is_scope(text: &str) -> bool {
    (1..=SCOPE_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}

fn demand(holds: bool, wanted: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(wanted) }
}
