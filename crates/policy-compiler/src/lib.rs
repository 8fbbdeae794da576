//! Cedar policies: parsed, validated by the schema, lowered into the compact form that `policy`
//! evaluates. What cannot be is refused here, with its line and column, before it is in force.
//!
//! Never in the filter: Cedar is three megabytes of WebAssembly.

mod annotations;
mod lower;
mod question;
mod remark;
mod shape;
mod templates;

use std::{collections::HashSet, str::FromStr as _};

use cedar_policy::{PolicySet, Schema, ValidationMode, Validator};
use cedar_policy_core::ast;
use clampd_model::Policy;

use crate::{
    annotations::{Annotations, effect_of},
    lower::{actions, condition},
};
pub use crate::{
    question::{
        AskedAgent, AskedContext, AskedDelegation, AskedSession, AskedTool, Confidence,
        Explanation, Failed, Named, Question,
    },
    remark::{Refusal, Remark},
    templates::{BASE_ID, BASE_TEXT, TEMPLATES, Template},
};

/// The schema that policies are validated by, in Cedar's own notation.
pub const SCHEMA_TEXT: &str = include_str!("schema.cedarschema");

/// The longest text of policies, in bytes.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// The most policies in one text.
pub const POLICIES_MAX: usize = 100;

/// Compiles texts of policies.
#[derive(Debug)]
pub struct Compiler(Validator);

/// The schema of this release cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the built-in schema does not parse: {0}")]
pub struct SchemaBroken(String);

/// A text of policies that may be put in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// The policies, in the text's order.
    pub policies: Vec<Policy>,
    /// What is doubtful, such as a policy that never applies.
    pub warnings: Vec<Remark>,
}

impl Compiler {
    /// A compiler with the built-in schema.
    ///
    /// # Errors
    /// Never in a release: a test reads the schema.
    pub fn new() -> Result<Self, SchemaBroken> {
        let schema = Schema::from_cedarschema_str(SCHEMA_TEXT);
        let (schema, _) = schema.map_err(|error| SchemaBroken(error.to_string()))?;
        Ok(Self(Validator::new(schema)))
    }

    /// Compiles `text`, the document of that name. A policy is called as its document is, with
    /// `/` and its `@id` or its number after that where the document needs it.
    ///
    /// # Errors
    /// Everything that is wrong in it, in the text's order.
    pub fn compile(&self, document: &str, text: &str) -> Result<Compiled, Refusal> {
        let refused = |remark: Remark| Refusal(vec![remark]);
        if text.len() > TEXT_BYTES_MAX {
            let message = format!("the text is longer than {TEXT_BYTES_MAX} bytes");
            return Err(refused(Remark::at(text, TEXT_BYTES_MAX, message)));
        }
        shape::check(text).map_err(refused)?;
        let parsed = PolicySet::from_str(text).map_err(|errors| parse_refusal(text, &errors))?;
        let named = name_all(document, text, &parsed).map_err(refused)?;
        let set: &ast::PolicySet = named.as_ref();
        let mut policies: Vec<&ast::Policy> = set.policies().collect();
        policies.sort_by_key(|policy| start_of(policy));
        let result = self.0.validate(&named, ValidationMode::Strict);
        let mut remarks: Vec<Remark> = result
            .validation_errors()
            .map(|error| Remark::of(text, error).about(error.policy_id().to_string()))
            .collect();
        let warnings = result
            .validation_warnings()
            .map(|warning| Remark::of(text, warning).about(warning.policy_id().to_string()))
            .collect();
        let mut lowered = Vec::new();
        for policy in policies {
            match lower_policy(text, policy) {
                Ok(policy) => lowered.push(policy),
                Err(remark) => remarks.push(remark.about(policy.id().to_string())),
            }
        }
        if remarks.is_empty() {
            return Ok(Compiled {
                policies: lowered,
                warnings,
            });
        }
        remarks.sort_by_key(|remark| (remark.line, remark.column));
        Err(Refusal(remarks))
    }
}

fn parse_refusal(text: &str, errors: &cedar_policy::ParseErrors) -> Refusal {
    Refusal(errors.iter().map(|e| Remark::of(text, e)).collect())
}

fn start_of(policy: &ast::Policy) -> usize {
    policy
        .loc()
        .map_or(0, cedar_policy_core::parser::Loc::start)
}

/// The same policies, each with its name. Templates have no place in a bundle.
fn name_all(document: &str, text: &str, parsed: &PolicySet) -> Result<PolicySet, Remark> {
    if let Some(template) = parsed.templates().next() {
        let template: &ast::Template = template.as_ref();
        let message = "templates cannot be lowered; name the entity instead of the slot";
        return Err(Remark::at_loc(text, template.loc(), message));
    }
    let mut policies: Vec<&cedar_policy::Policy> = parsed.policies().collect();
    policies.sort_by_key(|policy| start_of((*policy).as_ref()));
    if policies.is_empty() {
        return Err(Remark::at(text, text.len(), "the text holds no policy"));
    }
    if policies.len() > POLICIES_MAX {
        let message = format!("the text holds more than {POLICIES_MAX} policies");
        return Err(Remark::at(text, text.len(), message));
    }
    let is_alone = policies.len() == 1;
    let mut named = PolicySet::new();
    let mut names = HashSet::new();
    for (at, policy) in policies.into_iter().enumerate() {
        let syntax: &ast::Policy = policy.as_ref();
        let annotations = Annotations::of(syntax)
            .map_err(|(loc, message)| Remark::at_loc(text, loc.as_ref(), message))?;
        let name = match annotations.id {
            Some(own) => format!("{document}/{own}"),
            None if is_alone => document.to_owned(),
            None => format!("{document}/{}", at + 1),
        };
        let wrong = |message: String| Remark::at_loc(text, syntax.loc(), message);
        if !names.insert(name.clone()) {
            return Err(wrong(format!("two policies are named `{name}`")));
        }
        let id = cedar_policy::PolicyId::new(name);
        named
            .add(policy.new_id(id))
            .map_err(|error| wrong(error.to_string()))?;
    }
    Ok(named)
}

fn lower_policy(text: &str, policy: &ast::Policy) -> Result<Policy, Remark> {
    let annotations = Annotations::of(policy)
        .map_err(|(loc, message)| Remark::at_loc(text, loc.as_ref(), message))?;
    let unlowered = |refused: lower::Unlowered| {
        let loc = refused.loc.as_ref().or(policy.loc());
        let message = format!("cannot be lowered: it {}", refused.message);
        Remark::at_loc(text, loc, message)
    };
    Ok(Policy {
        id: policy.id().to_string(),
        effect: effect_of(policy),
        mode: annotations.mode,
        reason: annotations.reason,
        scope: annotations.scope,
        actions: actions(policy).map_err(unlowered)?,
        when: condition(policy).map_err(unlowered)?,
    })
}
