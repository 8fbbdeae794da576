//! Cedar's own authorizer, asked the same.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    str::FromStr as _,
};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicyId,
    PolicySet, Request as CedarRequest, RestrictedExpression as Value, Schema,
};
use clampd_model::{Effect, Policy, PolicyMode};
use clampd_policy::Request;
use clampd_policy_compiler::SCHEMA_TEXT;
use serde_json::Value as Json;

/// What either side answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) is_allowed: bool,
    pub(crate) determining: BTreeSet<String>,
    pub(crate) errors: BTreeSet<String>,
    /// The policies that apply and are not enforced.
    pub(crate) advisory: BTreeSet<String>,
}

pub(crate) struct Reference {
    authorizer: Authorizer,
    schema: Schema,
    enforced: PolicySet,
    /// Each policy that is not enforced, alone.
    advisory: Vec<PolicySet>,
}

impl Reference {
    /// The policies of a text, which were compiled to these.
    pub(crate) fn new(text: &str, compiled: &[Policy]) -> Self {
        let parsed = PolicySet::from_str(text).unwrap();
        let (mut enforced, mut advisory) = (PolicySet::new(), vec![]);
        for (at, policy) in compiled.iter().enumerate() {
            let source = parsed
                .policy(&PolicyId::new(format!("policy{at}")))
                .unwrap();
            let named = source.new_id(PolicyId::new(&policy.id));
            let is_advisory = policy.mode == PolicyMode::Monitor
                || (policy.mode == PolicyMode::Flag && policy.effect == Effect::Forbid);
            if is_advisory {
                advisory.push(PolicySet::from_policies([named]).unwrap());
            } else {
                enforced.add(named).unwrap();
            }
        }
        Self {
            authorizer: Authorizer::new(),
            schema: Schema::from_cedarschema_str(SCHEMA_TEXT).unwrap().0,
            enforced,
            advisory,
        }
    }

    pub(crate) fn answer(&self, request: &Request<'_>, is_checked: bool) -> Answer {
        let schema = is_checked.then_some(&self.schema);
        let entities = entities(request, schema);
        let asked = CedarRequest::new(
            uid("Agent", request.principal.id.as_str()),
            uid("Action", request.action.as_str()),
            uid("Tool", &request.resource.name),
            context(request),
            schema,
        )
        .unwrap();
        let mut answer = self.ask(&self.enforced, &asked, &entities);
        for alone in &self.advisory {
            let Answer {
                determining,
                errors,
                ..
            } = self.ask(alone, &asked, &entities);
            answer.advisory.extend(determining);
            answer.errors.extend(errors);
        }
        answer
    }

    fn ask(&self, policies: &PolicySet, asked: &CedarRequest, entities: &Entities) -> Answer {
        let response = self.authorizer.is_authorized(asked, policies, entities);
        let diagnostics = response.diagnostics();
        let failed = diagnostics.errors().map(|error| match error {
            cedar_policy::AuthorizationError::PolicyEvaluationError(error) => {
                error.policy_id().to_string()
            }
        });
        Answer {
            is_allowed: response.decision() == Decision::Allow,
            determining: diagnostics.reason().map(ToString::to_string).collect(),
            errors: failed.collect(),
            advisory: BTreeSet::new(),
        }
    }
}

fn uid(kind: &str, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(EntityTypeName::from_str(kind).unwrap(), EntityId::new(id))
}

fn text(text: &str) -> Value {
    Value::new_string(text.to_owned())
}

fn texts(all: &[String]) -> Value {
    Value::new_set(all.iter().map(|one| text(one)))
}

fn entities(request: &Request<'_>, schema: Option<&Schema>) -> Entities {
    let Request {
        principal,
        resource,
        ..
    } = request;
    let mut agent = HashMap::from([
        ("id".to_owned(), text(principal.id.as_str())),
        ("state".to_owned(), text(principal.state.as_str())),
        ("scopes".to_owned(), texts(principal.scopes)),
    ]);
    if let Some(purpose) = principal.purpose {
        agent.insert("purpose".to_owned(), text(purpose));
    }
    let category = resource.category.as_str();
    let mut tool = HashMap::from([
        ("name".to_owned(), text(&resource.name)),
        ("category".to_owned(), text(category)),
        ("scope".to_owned(), text(&resource.scope)),
    ]);
    if let Some(upstream) = &resource.upstream {
        tool.insert("upstream".to_owned(), text(upstream));
    }
    let groups: HashSet<EntityUid> = principal.groups.iter().map(|g| uid("Group", g)).collect();
    let mut tags = Tags::default();
    tags.collect(None, request.context.parameters);
    let with_tags = |kind: &str, tags: Vec<(String, Value)>| {
        Entity::new_with_tags(uid(kind, "call"), [], [], tags).unwrap()
    };
    let all = [
        Entity::new(uid("Agent", principal.id.as_str()), agent, groups).unwrap(),
        Entity::new(
            uid("Tool", &resource.name),
            tool,
            HashSet::from([uid("Category", category)]),
        )
        .unwrap(),
        with_tags("Texts", tags.texts),
        with_tags("Numbers", tags.numbers),
        with_tags("Flags", tags.flags),
    ];
    Entities::from_entities(all, schema).unwrap()
}

/// Parameters laid out by their paths, as the schema tells them.
#[derive(Default)]
struct Tags {
    texts: Vec<(String, Value)>,
    numbers: Vec<(String, Value)>,
    flags: Vec<(String, Value)>,
}

impl Tags {
    fn collect(&mut self, path: Option<&str>, value: &Json) {
        let below = |step: &str| match path {
            None => step.to_owned(),
            Some(path) => format!("{path}.{step}"),
        };
        match value {
            Json::Object(fields) => fields.iter().for_each(|(name, value)| {
                let step = name.replace('\\', "\\\\").replace('.', "\\.");
                self.collect(Some(&below(&step)), value);
            }),
            Json::Array(items) => items
                .iter()
                .enumerate()
                .for_each(|(at, value)| self.collect(Some(&below(&at.to_string())), value)),
            // What is no object has no paths.
            leaf => {
                if let Some(path) = path {
                    self.leaf(path, leaf);
                }
            }
        }
    }

    fn leaf(&mut self, path: &str, leaf: &Json) {
        let number = match leaf {
            Json::Number(number) => number.as_f64(),
            Json::String(text) => text.parse().ok(),
            _ => None,
        };
        if let Some(number) = number {
            let decimal = Value::new_decimal(format!("{number:.4}"));
            self.numbers.push((path.to_owned(), decimal));
        }
        match leaf {
            Json::String(one) => self.texts.push((path.to_owned(), text(one))),
            Json::Bool(flag) => self.flags.push((path.to_owned(), Value::new_bool(*flag))),
            _ => {}
        }
    }
}

fn context(request: &Request<'_>) -> Context {
    let context = &request.context;
    let members = context.delegation.members.iter();
    let members = members.map(|agent| Value::new_entity_uid(uid("Agent", agent.as_str())));
    let delegation = record([
        ("depth", Value::new_long(context.delegation_depth())),
        ("confidence", text(context.delegation.confidence)),
        ("members", Value::new_set(members)),
    ]);
    let tags = |kind| Value::new_entity_uid(uid(kind, "call"));
    let mut pairs = vec![
        (
            "risk",
            Value::new_decimal(format!("{:.4}", context.risk.value())),
        ),
        ("labels", texts(context.labels)),
        ("rules", texts(context.rules)),
        ("hour", Value::new_long(context.hour())),
        ("weekday", Value::new_long(context.weekday())),
        ("delegation", delegation),
        (
            "parameters",
            record([
                ("text", tags("Texts")),
                ("number", tags("Numbers")),
                ("flag", tags("Flags")),
            ]),
        ),
    ];
    if let Some(host) = context.target_host {
        pairs.push(("target_host", text(host)));
    }
    if let Some(calls) = context.calls_last_minute {
        pairs.push(("calls_last_minute", Value::new_long(i64::from(calls))));
    }
    if let Some(labels) = context.session_labels {
        pairs.push(("session", record([("labels", texts(labels))])));
    }
    let pairs = pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    Context::from_pairs(pairs).unwrap()
}

fn record<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let fields = fields.map(|(name, value)| (name.to_owned(), value));
    Value::new_record(fields).unwrap()
}
