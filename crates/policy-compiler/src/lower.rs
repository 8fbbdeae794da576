//! From Cedar's syntax tree to the compact form; what has no compact form is refused at its place.

use std::str::FromStr as _;

use cedar_policy_core::{
    ast::{self, BinaryOp, ExprKind, Literal, PatternElem, UnaryOp, Var},
    parser::Loc,
};
use clampd_model::{Action, Actions, EntityKind, Expr, Field, ParameterKind};

/// How deep a lowered expression may be.
const DEPTH_MAX: usize = 24;
/// The most members that one set, `&&` or `||` may have.
const MEMBERS_MAX: usize = 256;

/// What cannot be lowered.
#[derive(Debug)]
pub(crate) struct Unlowered {
    pub(crate) loc: Option<Loc>,
    pub(crate) message: String,
}

type Lowered<T> = Result<T, Unlowered>;

/// The actions that the policy's head names.
pub(crate) fn actions(policy: &ast::Policy) -> Lowered<Actions> {
    let named: Vec<&ast::EntityUID> = match policy.action_constraint() {
        ast::ActionConstraint::Any => return Ok(Actions::ALL),
        ast::ActionConstraint::Eq(action) => vec![action.as_ref()],
        ast::ActionConstraint::In(actions) => actions.iter().map(AsRef::as_ref).collect(),
    };
    let of = |uid: &&ast::EntityUID| {
        let id: &str = uid.eid().as_ref();
        let known = Action::ALL.into_iter().find(|a| a.as_str() == id);
        known.ok_or_else(|| unlowered(uid.loc(), format!("action `{id}` is not known")))
    };
    named.iter().map(of).collect()
}

/// When the policy applies, its head's actions aside; nothing where it always does.
pub(crate) fn condition(policy: &ast::Policy) -> Lowered<Option<Expr>> {
    let scope = [
        policy.principal_constraint().as_expr(),
        policy.resource_constraint().as_expr(),
    ];
    let mut all = Vec::new();
    for part in scope.iter().chain(policy.non_scope_constraints()) {
        match lower(part, 0)? {
            Expr::Bool(true) => {}
            Expr::And(parts) => all.extend(parts),
            part => all.push(part),
        }
    }
    Ok(match all.len() {
        0 => None,
        1 => all.pop(),
        _ => Some(Expr::And(all)),
    })
}

fn lower(expr: &ast::Expr, depth: usize) -> Lowered<Expr> {
    let loc = expr.source_loc();
    if depth > DEPTH_MAX {
        return Err(unlowered(loc, "is nested too deeply"));
    }
    let inner = |expr: &ast::Expr| lower(expr, depth + 1);
    let boxed = |expr: &ast::Expr| inner(expr).map(Box::new);
    Ok(match expr.expr_kind() {
        ExprKind::Lit(value) => literal(value, loc)?,
        ExprKind::Var(Var::Principal) => Expr::Principal,
        ExprKind::Var(Var::Resource) => Expr::Resource,
        ExprKind::Var(Var::Action) => Expr::Action,
        ExprKind::Var(Var::Context) => return Err(whole("context", loc)),
        ExprKind::If {
            test_expr,
            then_expr,
            else_expr,
        } => Expr::If(Box::new((
            inner(test_expr)?,
            inner(then_expr)?,
            inner(else_expr)?,
        ))),
        ExprKind::And { .. } => Expr::And(chain(expr, depth, |kind| match kind {
            ExprKind::And { left, right } => Some((left, right)),
            _ => None,
        })?),
        ExprKind::Or { .. } => Expr::Or(chain(expr, depth, |kind| match kind {
            ExprKind::Or { left, right } => Some((left, right)),
            _ => None,
        })?),
        ExprKind::UnaryApp { op, arg } => match op {
            UnaryOp::Not => Expr::Not(boxed(arg)?),
            UnaryOp::Neg => Expr::Neg(boxed(arg)?),
            UnaryOp::IsEmpty => Expr::IsEmpty(boxed(arg)?),
        },
        ExprKind::BinaryApp {
            op: BinaryOp::GetTag,
            arg1,
            arg2,
        } => {
            let (kind, path) = parameter(arg1, arg2)?;
            Expr::Parameter(kind, path)
        }
        ExprKind::BinaryApp {
            op: BinaryOp::HasTag,
            arg1,
            arg2,
        } => {
            let (kind, path) = parameter(arg1, arg2)?;
            Expr::HasParameter(kind, path)
        }
        ExprKind::BinaryApp { op, arg1, arg2 } => {
            let sides = Box::new((inner(arg1)?, inner(arg2)?));
            operation(*op, sides).ok_or_else(|| unlowered(loc, "uses an unknown operator"))?
        }
        ExprKind::ExtensionFunctionApp { fn_name, args } => {
            extension(&fn_name.to_string(), args, loc, depth)?
        }
        ExprKind::GetAttr { .. } => {
            let path = path_of(expr).ok_or_else(|| unlowered(loc, ATTRIBUTE))?;
            match field(&path).filter(|field| *field != Field::Session) {
                Some(field) => Expr::Field(field),
                None => return Err(whole(&path, loc)),
            }
        }
        ExprKind::HasAttr { expr, attr } => has(expr, &[attr.as_str()], loc)?,
        ExprKind::ExtHasAttr { expr, attrs } => {
            let attrs: Vec<&str> = attrs.iter().map(|attr| attr.as_str()).collect();
            has(expr, &attrs, loc)?
        }
        ExprKind::Like { expr, pattern } => Expr::Like(boxed(expr)?, pieces(pattern.get_elems())),
        ExprKind::Is { expr, entity_type } => is(expr, entity_type, loc)?,
        ExprKind::Set(members) => set(members, depth)?,
        ExprKind::Record(_) => {
            return Err(unlowered(loc, "holds a record, which has no compact form"));
        }
        ExprKind::Slot(_) => return Err(unlowered(loc, "is a template; name the entity instead")),
        _ => return Err(unlowered(loc, "has no compact form")),
    })
}

const ATTRIBUTE: &str =
    "asks for an attribute of something else than principal, resource and context";

/// The operands of a chain of `&&` or of `||`, from the left. Chains lean to the left, and can be
/// long without being deep.
fn chain<'e>(
    expr: &'e ast::Expr,
    depth: usize,
    sides: impl Fn(
        &'e ExprKind,
    ) -> Option<(&'e std::sync::Arc<ast::Expr>, &'e std::sync::Arc<ast::Expr>)>,
) -> Lowered<Vec<Expr>> {
    let mut at = expr;
    let mut operands = Vec::new();
    while let Some((left, right)) = sides(at.expr_kind()) {
        operands.push(right.as_ref());
        at = left;
    }
    operands.push(at);
    if operands.len() > MEMBERS_MAX {
        return Err(unlowered(expr.source_loc(), "has too many operands"));
    }
    let lowered = operands.into_iter().rev();
    lowered.map(|operand| lower(operand, depth + 1)).collect()
}

fn literal(value: &Literal, loc: Option<&Loc>) -> Lowered<Expr> {
    Ok(match value {
        Literal::Bool(value) => Expr::Bool(*value),
        Literal::Long(value) => Expr::Long(*value),
        Literal::String(text) => Expr::Text(text.to_string()),
        Literal::EntityUID(uid) => {
            let kind = match uid.entity_type().to_string().as_str() {
                "Agent" => EntityKind::Agent,
                "Group" => EntityKind::Group,
                "Tool" => EntityKind::Tool,
                "Category" => EntityKind::Category,
                "Action" => EntityKind::Action,
                _ => {
                    return Err(unlowered(
                        loc,
                        format!("names {uid}, which has no compact form"),
                    ));
                }
            };
            let id: &str = uid.eid().as_ref();
            Expr::Entity(kind, id.to_owned())
        }
    })
}

fn operation(op: BinaryOp, sides: Box<(Expr, Expr)>) -> Option<Expr> {
    Some(match op {
        BinaryOp::Eq => Expr::Eq(sides),
        BinaryOp::Less => Expr::Less(sides),
        BinaryOp::LessEq => Expr::LessEq(sides),
        BinaryOp::Add => Expr::Add(sides),
        BinaryOp::Sub => Expr::Sub(sides),
        BinaryOp::Mul => Expr::Mul(sides),
        BinaryOp::In => Expr::In(sides),
        BinaryOp::Contains => Expr::Contains(sides),
        BinaryOp::ContainsAll => Expr::ContainsAll(sides),
        BinaryOp::ContainsAny => Expr::ContainsAny(sides),
        BinaryOp::GetTag | BinaryOp::HasTag => return None,
    })
}

/// `decimal("…")` and the comparisons of decimals.
fn extension(name: &str, args: &[ast::Expr], loc: Option<&Loc>, depth: usize) -> Lowered<Expr> {
    if name == "decimal" {
        let [arg] = args else {
            return Err(unlowered(loc, "decimal wants one text"));
        };
        return match arg.expr_kind() {
            ExprKind::Lit(Literal::String(text)) => decimal(text)
                .map(Expr::Decimal)
                .ok_or_else(|| unlowered(loc, "holds a decimal that is none")),
            _ => Err(unlowered(
                loc,
                "makes a decimal of something else than a literal",
            )),
        };
    }
    let [a, b] = args else {
        return Err(unlowered(
            loc,
            format!("calls `{name}`, which has no compact form"),
        ));
    };
    let sides = |a, b| Ok(Box::new((lower(a, depth + 1)?, lower(b, depth + 1)?)));
    Ok(match name {
        "lessThan" => Expr::Less(sides(a, b)?),
        "lessThanOrEqual" => Expr::LessEq(sides(a, b)?),
        "greaterThan" => Expr::Less(sides(b, a)?),
        "greaterThanOrEqual" => Expr::LessEq(sides(b, a)?),
        _ => {
            return Err(unlowered(
                loc,
                format!("calls `{name}`, which has no compact form"),
            ));
        }
    })
}

/// Cedar's decimals: digits, a point, one to four digits.
fn decimal(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.')?;
    if !(1..=4).contains(&fraction.len()) || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    i64::from_str(&format!("{whole}{fraction:0<4}")).ok()
}

/// `context.session.labels` and its like, as it is written.
fn path_of(expr: &ast::Expr) -> Option<String> {
    match expr.expr_kind() {
        ExprKind::Var(var) => Some(var.to_string()),
        ExprKind::GetAttr { expr, attr } => Some(format!("{}.{attr}", path_of(expr)?)),
        _ => None,
    }
}

fn field(path: &str) -> Option<Field> {
    Field::ALL.iter().copied().find(|f| f.path() == path)
}

/// Whether what is at `expr` has an attribute, and that the next one, and so on.
fn has(expr: &ast::Expr, attrs: &[&str], loc: Option<&Loc>) -> Lowered<Expr> {
    let mut path = path_of(expr).ok_or_else(|| unlowered(loc, ATTRIBUTE))?;
    let mut all = Vec::new();
    for attr in attrs {
        path = format!("{path}.{attr}");
        let is_record = Field::ALL
            .iter()
            .any(|field| field.path().starts_with(&format!("{path}.")));
        match field(&path) {
            Some(field) => all.push(Expr::Has(field)),
            None if is_record || is_parameters(&path) => {}
            None => return Ok(Expr::Bool(false)),
        }
    }
    Ok(match all.len() {
        0 => Expr::Bool(true),
        1 => all.swap_remove(0),
        _ => Expr::And(all),
    })
}

fn is_parameters(path: &str) -> bool {
    path == "context.parameters" || parameter_kind(path).is_some()
}

fn parameter_kind(path: &str) -> Option<ParameterKind> {
    match path {
        "context.parameters.text" => Some(ParameterKind::Text),
        "context.parameters.number" => Some(ParameterKind::Number),
        "context.parameters.flag" => Some(ParameterKind::Flag),
        _ => None,
    }
}

fn parameter(of: &ast::Expr, name: &ast::Expr) -> Lowered<(ParameterKind, Vec<String>)> {
    let kind = path_of(of).as_deref().and_then(parameter_kind);
    let kind = kind.ok_or_else(|| {
        unlowered(
            of.source_loc(),
            "asks for tags of something else than parameters",
        )
    })?;
    let ExprKind::Lit(Literal::String(path)) = name.expr_kind() else {
        return Err(unlowered(
            name.source_loc(),
            "names a parameter by something else than a literal",
        ));
    };
    let steps = steps(path).ok_or_else(|| {
        unlowered(
            name.source_loc(),
            "names a parameter with a backslash before something else than `.` and `\\`",
        )
    })?;
    if steps.len() > DEPTH_MAX {
        return Err(unlowered(name.source_loc(), "is nested too deeply"));
    }
    Ok((kind, steps))
}

/// The steps of a parameter's path: split at dots that have no backslash before them.
fn steps(path: &str) -> Option<Vec<String>> {
    let mut steps = vec![];
    let mut step = String::new();
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        match character {
            '.' => steps.push(std::mem::take(&mut step)),
            '\\' => step.push(characters.next().filter(|c| ".\\".contains(*c))?),
            other => step.push(other),
        }
    }
    steps.push(step);
    Some(steps)
}

fn pieces(pattern: &[PatternElem]) -> Vec<String> {
    let mut pieces = vec![];
    let mut piece = String::new();
    for elem in pattern {
        match elem {
            PatternElem::Char(character) => piece.push(*character),
            PatternElem::Wildcard => pieces.push(std::mem::take(&mut piece)),
        }
    }
    pieces.push(piece);
    pieces
}

/// `principal is Agent` and its like, which the schema decides.
fn is(expr: &ast::Expr, entity_type: &ast::EntityType, loc: Option<&Loc>) -> Lowered<Expr> {
    let own = match expr.expr_kind() {
        ExprKind::Var(Var::Principal) => "Agent",
        ExprKind::Var(Var::Resource) => "Tool",
        ExprKind::Var(Var::Action) => "Action",
        _ => {
            return Err(unlowered(
                loc,
                "asks for the type of something else than principal, resource and action",
            ));
        }
    };
    Ok(Expr::Bool(entity_type.to_string() == own))
}

fn set(members: &[ast::Expr], depth: usize) -> Lowered<Expr> {
    let member = |expr: &ast::Expr| {
        let lowered = lower(expr, depth + 1)?;
        let is_literal = matches!(
            lowered,
            Expr::Bool(_) | Expr::Long(_) | Expr::Decimal(_) | Expr::Text(_) | Expr::Entity(..)
        );
        if is_literal {
            Ok(lowered)
        } else {
            Err(unlowered(
                expr.source_loc(),
                "puts something else than a literal into a set",
            ))
        }
    };
    if members.len() > MEMBERS_MAX {
        let first = members.first().and_then(ast::Expr::source_loc);
        return Err(unlowered(first, "holds a set with too many members"));
    }
    members
        .iter()
        .map(member)
        .collect::<Lowered<_>>()
        .map(Expr::Set)
}

fn whole(path: &str, loc: Option<&Loc>) -> Unlowered {
    unlowered(
        loc,
        format!("uses `{path}` as a whole; use one of its attributes"),
    )
}

fn unlowered(loc: Option<&Loc>, message: impl Into<String>) -> Unlowered {
    Unlowered {
        loc: loc.cloned(),
        message: message.into(),
    }
}
