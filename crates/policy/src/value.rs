//! The values that expressions have. They borrow; none is copied.

use clampd_model::{AgentId, EntityKind, Expr};

use crate::expression::EvaluationError;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Bool(bool),
    Long(i64),
    Decimal(i64),
    Text(&'a str),
    Entity(EntityKind, &'a str),
    Set(Set<'a>),
}

/// A set, wherever its members stand.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Set<'a> {
    Texts(&'a [String]),
    Agents(&'a [AgentId]),
    Literals(&'a [Expr]),
}

impl Value<'_> {
    /// Cedar's `==`: values of different kinds are different, sets are equal by their members.
    pub(crate) fn equals(self, other: Value<'_>) -> bool {
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Long(a), Value::Long(b)) | (Value::Decimal(a), Value::Decimal(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Entity(kind, a), Value::Entity(other, b)) => kind == other && a == b,
            (Value::Set(a), Value::Set(b)) => a.contains_all(b) && b.contains_all(a),
            _ => false,
        }
    }
}

impl<'a> Set<'a> {
    pub(crate) fn is_empty(self) -> bool {
        self.len() == 0
    }

    pub(crate) fn contains(self, value: Value<'_>) -> bool {
        self.members().any(|member| member.equals(value))
    }

    pub(crate) fn contains_all(self, other: Set<'_>) -> bool {
        other.members().all(|member| self.contains(member))
    }

    pub(crate) fn contains_any(self, other: Set<'_>) -> bool {
        other.members().any(|member| self.contains(member))
    }

    pub(crate) fn members(self) -> impl Iterator<Item = Value<'a>> {
        (0..self.len()).filter_map(move |at| match self {
            Self::Texts(texts) => texts.get(at).map(|text| Value::Text(text)),
            Self::Agents(agents) => agents
                .get(at)
                .map(|agent| Value::Entity(EntityKind::Agent, agent.as_str())),
            Self::Literals(literals) => literals.get(at).and_then(|l| literal(l).ok()),
        })
    }

    fn len(self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Agents(agents) => agents.len(),
            Self::Literals(literals) => literals.len(),
        }
    }
}

/// The value of a literal; anything else is no literal.
pub(crate) fn literal(expr: &Expr) -> Result<Value<'_>, EvaluationError> {
    Ok(match expr {
        Expr::Bool(value) => Value::Bool(*value),
        Expr::Long(value) => Value::Long(*value),
        Expr::Decimal(value) => Value::Decimal(*value),
        Expr::Text(text) => Value::Text(text),
        Expr::Entity(kind, id) => Value::Entity(*kind, id),
        Expr::Set(members) => Value::Set(Set::Literals(members)),
        _ => return Err(EvaluationError::Kind),
    })
}
