//! The value of an expression on a request.

use clampd_model::{AgentState, EntityKind, Expr, Field};

use crate::{
    Request,
    parameter::parameter,
    value::{Set, Value, literal},
};

/// Why a policy could not be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// A value is not of the kind that is wanted; in a validated policy it always is.
    #[error("a value is of the wrong kind")]
    Kind,
    /// An attribute or parameter is asked for that is not there.
    #[error("an attribute or parameter is not there")]
    Missing,
    /// A calculation leaves the range of whole numbers.
    #[error("a calculation leaves the range of whole numbers")]
    Overflow,
}

/// A request whose policies are being evaluated. Expressions are trees that came by JSON, whose
/// depth is bounded, and every member is visited at most once.
#[derive(Debug)]
pub(crate) struct Evaluation<'a>(&'a Request<'a>);

type Outcome<'a> = Result<Value<'a>, EvaluationError>;

impl<'a> Evaluation<'a> {
    pub(crate) fn of(request: &'a Request<'a>) -> Self {
        Self(request)
    }

    pub(crate) fn value(&self, expr: &'a Expr) -> Outcome<'a> {
        match expr {
            Expr::Principal => Ok(self.principal()),
            Expr::Resource => Ok(self.resource()),
            Expr::Action => Ok(Value::Entity(EntityKind::Action, self.0.action.as_str())),
            Expr::Field(field) => self.field(*field).ok_or(EvaluationError::Missing),
            Expr::Has(field) => Ok(Value::Bool(self.has(*field))),
            Expr::Parameter(kind, path) => {
                parameter(self.0.context.parameters, *kind, path).ok_or(EvaluationError::Missing)
            }
            Expr::HasParameter(kind, path) => Ok(Value::Bool(
                parameter(self.0.context.parameters, *kind, path).is_some(),
            )),
            Expr::Not(of) => Ok(Value::Bool(!self.truth(of)?)),
            Expr::Neg(of) => number(self.long(of)?.checked_neg()),
            Expr::IsEmpty(of) => Ok(Value::Bool(self.set(of)?.is_empty())),
            Expr::And(all) => self.until(all, false),
            Expr::Or(any) => self.until(any, true),
            Expr::If(parts) => {
                let (condition, then, otherwise) = parts.as_ref();
                self.value(if self.truth(condition)? {
                    then
                } else {
                    otherwise
                })
            }
            Expr::Like(of, pieces) => Ok(Value::Bool(is_like(self.text(of)?, pieces))),
            _ => match pair(expr) {
                Some((a, b)) => self.operation(expr, self.value(a)?, self.value(b)?),
                None => literal(expr),
            },
        }
    }

    /// An operation on two values.
    fn operation(&self, expr: &Expr, a: Value<'a>, b: Value<'a>) -> Outcome<'a> {
        match (expr, a, b) {
            (Expr::Eq(_), a, b) => Ok(Value::Bool(a.equals(b))),
            (Expr::Less(_), Value::Long(a), Value::Long(b))
            | (Expr::Less(_), Value::Decimal(a), Value::Decimal(b)) => Ok(Value::Bool(a < b)),
            (Expr::LessEq(_), Value::Long(a), Value::Long(b))
            | (Expr::LessEq(_), Value::Decimal(a), Value::Decimal(b)) => Ok(Value::Bool(a <= b)),
            (Expr::Add(_), Value::Long(a), Value::Long(b)) => number(a.checked_add(b)),
            (Expr::Sub(_), Value::Long(a), Value::Long(b)) => number(a.checked_sub(b)),
            (Expr::Mul(_), Value::Long(a), Value::Long(b)) => number(a.checked_mul(b)),
            (Expr::In(_), Value::Entity(kind, id), b) => self.is_in((kind, id), b),
            (Expr::Contains(_), Value::Set(a), b) => Ok(Value::Bool(a.contains(b))),
            (Expr::ContainsAll(_), Value::Set(a), Value::Set(b)) => {
                Ok(Value::Bool(a.contains_all(b)))
            }
            (Expr::ContainsAny(_), Value::Set(a), Value::Set(b)) => {
                Ok(Value::Bool(a.contains_any(b)))
            }
            _ => Err(EvaluationError::Kind),
        }
    }

    /// Whether an entity is another one, or one of several, or belongs to it.
    fn is_in(&self, entity: (EntityKind, &str), other: Value<'_>) -> Outcome<'a> {
        let mut is_in = false;
        match other {
            Value::Entity(kind, id) => is_in = self.belongs(entity, (kind, id)),
            Value::Set(set) => {
                for member in set.members() {
                    let Value::Entity(kind, id) = member else {
                        return Err(EvaluationError::Kind);
                    };
                    is_in |= self.belongs(entity, (kind, id));
                }
            }
            _ => return Err(EvaluationError::Kind),
        }
        Ok(Value::Bool(is_in))
    }

    fn belongs(&self, entity: (EntityKind, &str), other: (EntityKind, &str)) -> bool {
        let is = |value: Value<'_>| value.equals(Value::Entity(entity.0, entity.1));
        entity == other
            || match other {
                (EntityKind::Group, id) => {
                    is(self.principal()) && self.0.principal.groups.iter().any(|g| g == id)
                }
                (EntityKind::Category, id) => {
                    is(self.resource()) && self.0.resource.category.as_str() == id
                }
                _ => false,
            }
    }

    /// Cedar's `&&` and `||`: evaluated from the left until one is `end`.
    fn until(&self, parts: &'a [Expr], end: bool) -> Outcome<'a> {
        for part in parts {
            if self.truth(part)? == end {
                return Ok(Value::Bool(end));
            }
        }
        Ok(Value::Bool(!end))
    }

    fn principal(&self) -> Value<'a> {
        Value::Entity(EntityKind::Agent, self.0.principal.id.as_str())
    }

    fn resource(&self) -> Value<'a> {
        Value::Entity(EntityKind::Tool, &self.0.resource.name)
    }

    fn has(&self, field: Field) -> bool {
        match field {
            Field::Session => self.0.context.session_labels.is_some(),
            other => self.field(other).is_some(),
        }
    }

    fn field(&self, field: Field) -> Option<Value<'a>> {
        let Request {
            principal,
            resource,
            context,
            ..
        } = self.0;
        Some(match field {
            Field::AgentId => Value::Text(principal.id.as_str()),
            Field::AgentState => Value::Text(AgentState::as_str(principal.state)),
            Field::AgentScopes => Value::Set(Set::Texts(principal.scopes)),
            Field::AgentPurpose => Value::Text(principal.purpose?),
            Field::ToolName => Value::Text(&resource.name),
            Field::ToolCategory => Value::Text(resource.category.as_str()),
            Field::ToolScope => Value::Text(&resource.scope),
            Field::ToolUpstream => Value::Text(resource.upstream.as_deref()?),
            Field::Risk => Value::Decimal(context.risk.ten_thousandths()),
            Field::Labels => Value::Set(Set::Texts(context.labels)),
            Field::Rules => Value::Set(Set::Texts(context.rules)),
            Field::Hour => Value::Long(context.hour()),
            Field::Weekday => Value::Long(context.weekday()),
            Field::TargetHost => Value::Text(context.target_host?),
            Field::DelegationDepth => Value::Long(context.delegation_depth()),
            Field::DelegationConfidence => Value::Text(context.delegation.confidence),
            Field::DelegationMembers => Value::Set(Set::Agents(context.delegation.members)),
            Field::CallsLastMinute => Value::Long(i64::from(context.calls_last_minute?)),
            // It is asked for, never read as a whole.
            Field::Session => return None,
            Field::SessionLabels => Value::Set(Set::Texts(context.session_labels?)),
        })
    }

    fn truth(&self, expr: &'a Expr) -> Result<bool, EvaluationError> {
        match self.value(expr)? {
            Value::Bool(value) => Ok(value),
            _ => Err(EvaluationError::Kind),
        }
    }

    fn long(&self, expr: &'a Expr) -> Result<i64, EvaluationError> {
        match self.value(expr)? {
            Value::Long(value) => Ok(value),
            _ => Err(EvaluationError::Kind),
        }
    }

    fn text(&self, expr: &'a Expr) -> Result<&'a str, EvaluationError> {
        match self.value(expr)? {
            Value::Text(text) => Ok(text),
            _ => Err(EvaluationError::Kind),
        }
    }

    fn set(&self, expr: &'a Expr) -> Result<Set<'a>, EvaluationError> {
        match self.value(expr)? {
            Value::Set(set) => Ok(set),
            _ => Err(EvaluationError::Kind),
        }
    }
}

/// The two sides of an operation on two values.
fn pair(expr: &Expr) -> Option<(&Expr, &Expr)> {
    match expr {
        Expr::Eq(sides)
        | Expr::Less(sides)
        | Expr::LessEq(sides)
        | Expr::Add(sides)
        | Expr::Sub(sides)
        | Expr::Mul(sides)
        | Expr::In(sides)
        | Expr::Contains(sides)
        | Expr::ContainsAll(sides)
        | Expr::ContainsAny(sides) => Some((&sides.0, &sides.1)),
        _ => None,
    }
}

fn number<'a>(result: Option<i64>) -> Outcome<'a> {
    result.map(Value::Long).ok_or(EvaluationError::Overflow)
}

/// Whether `text` begins with the first piece, ends with the last and has the others in between,
/// in their order; a single piece is the whole text.
fn is_like(text: &str, pieces: &[String]) -> bool {
    let (first, rest) = match pieces {
        [] => return false,
        [whole] => return text == whole,
        [first, rest @ ..] => (first, rest),
    };
    let Some((last, middle)) = rest.split_last() else {
        return false;
    };
    let inner = text
        .strip_prefix(first.as_str())
        .and_then(|rest| rest.strip_suffix(last.as_str()));
    let Some(mut inner) = inner else {
        return false;
    };
    for piece in middle {
        match inner.split_once(piece.as_str()) {
            Some((_, after)) => inner = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::is_like;

    #[test]
    fn a_wildcard_stands_for_any_text() {
        for (pattern, text, wanted) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("*", "", true),
            ("*@acme.com", "joe@acme.com", true),
            ("*@acme.com", "joe@acme.com.evil", false),
            ("db.*", "db.", true),
            ("db.*", "dbx", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-bb-c", true),
            ("a*b*c", "a-c", false),
            ("a**b", "ab", true),
            ("*é*", "caféteria", true),
            ("*ab*ab*", "abab", true),
            ("*ab*ab*", "aba", false),
        ] {
            let pieces: Vec<String> = pattern.split('*').map(str::to_owned).collect();
            assert_eq!(is_like(text, &pieces), wanted, "{text} like {pattern}");
        }
    }
}
