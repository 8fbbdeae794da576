//! Compact policies as the bundle carries them: Cedar that was validated and lowered.
//!
//! `policy-compiler` makes them of Cedar's text, `policy` evaluates them.

mod code;

use serde::{Deserialize, Serialize};

use crate::words::words;

pub use self::code::InvalidExpr;

/// One policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its name, unique in the organisation: that of its document, and after a slash its own where
    /// the document holds several.
    pub id: String,
    /// What it does to what it applies to.
    pub effect: Effect,
    /// Whether its effect is enforced.
    #[serde(default, skip_serializing_if = "PolicyMode::is_enforce")]
    pub mode: PolicyMode,
    /// `@reason`: why, in words for the person or agent that is refused.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// `@scope`: what a permitted call's token is narrowed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The actions that it can apply to.
    pub actions: Actions,
    /// When it applies; always, where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Expr>,
}

words! {
    /// What a policy does.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(rename_all = "lowercase"))]
    pub enum Effect {
        /// Allows what no policy forbids.
        Permit = "permit",
        /// Stops it, whatever permits it.
        Forbid = "forbid",
    }
}

words! {
    /// Whether a policy's effect is enforced.
    #[derive(Default)]
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(rename_all = "lowercase"))]
    pub enum PolicyMode {
        /// It decides.
        #[default]
        Enforce = "enforce",
        /// `@flag`: a forbid marks what it would stop; a permit allows and marks.
        Flag = "flag",
        /// `@monitor`: it is evaluated and told, and decides nothing.
        Monitor = "monitor",
    }
}

impl PolicyMode {
    fn is_enforce(&self) -> bool {
        *self == Self::Enforce
    }
}

words! {
    /// What an agent wants to do.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(rename_all = "lowercase"))]
    pub enum Action {
        /// Call a tool.
        Call = "call",
        /// Take what a tool answered.
        Respond = "respond",
        /// See a tool in a list.
        List = "list",
        /// Say something to a model.
        Prompt = "prompt",
        /// Have another agent call a tool in its name.
        Delegate = "delegate",
    }
}

/// A set of actions; in JSON a number, one bit an action in the order of [`Action::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actions(u8);

impl Actions {
    /// All of them.
    pub const ALL: Self = Self(0b1_1111);

    /// Whether `action` is in it.
    pub fn contains(self, action: Action) -> bool {
        self.0 & (1 << (action as u8)) != 0
    }
}

impl FromIterator<Action> for Actions {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        Self(actions.into_iter().fold(0, |bits, a| bits | 1 << (a as u8)))
    }
}

/// An expression of Cedar, as far as it can be lowered. In JSON a text in a notation of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Expr {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Long(i64),
    /// `decimal("…")`, in ten-thousandths.
    Decimal(i64),
    /// A text.
    Text(String),
    /// An entity by its name.
    Entity(EntityKind, String),
    /// A set of literals.
    Set(Vec<Expr>),
    /// `principal`
    Principal,
    /// `resource`
    Resource,
    /// `action`
    Action,
    /// An attribute.
    Field(Field),
    /// Whether an attribute is there.
    Has(Field),
    /// A parameter of the call, by its path.
    Parameter(ParameterKind, Vec<String>),
    /// Whether the call has that parameter, of that kind.
    HasParameter(ParameterKind, Vec<String>),
    /// `!a`
    Not(Box<Expr>),
    /// `-a`
    Neg(Box<Expr>),
    /// `a.isEmpty()`
    IsEmpty(Box<Expr>),
    /// `a && b && …`
    And(Vec<Expr>),
    /// `a || b || …`
    Or(Vec<Expr>),
    /// `if a then b else c`
    If(Box<(Expr, Expr, Expr)>),
    /// `a == b`
    Eq(Box<(Expr, Expr)>),
    /// `a < b` of whole numbers or decimals.
    Less(Box<(Expr, Expr)>),
    /// `a <= b` of whole numbers or decimals.
    LessEq(Box<(Expr, Expr)>),
    /// `a + b`
    Add(Box<(Expr, Expr)>),
    /// `a - b`
    Sub(Box<(Expr, Expr)>),
    /// `a * b`
    Mul(Box<(Expr, Expr)>),
    /// `a in b`, where b is an entity or a set of them.
    In(Box<(Expr, Expr)>),
    /// `a.contains(b)`
    Contains(Box<(Expr, Expr)>),
    /// `a.containsAll(b)`
    ContainsAll(Box<(Expr, Expr)>),
    /// `a.containsAny(b)`
    ContainsAny(Box<(Expr, Expr)>),
    /// `a like "…"`: the pieces between the pattern's wildcards.
    Like(Box<Expr>, Vec<String>),
}

/// The kinds of entities that policies can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntityKind {
    /// `Agent::"…"`
    Agent,
    /// `Group::"…"`: agents are in it.
    Group,
    /// `Tool::"…"`
    Tool,
    /// `Category::"…"`: tools are in it.
    Category,
    /// `Action::"…"`
    Action,
}

/// The kinds of parameters that policies can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParameterKind {
    /// A string.
    Text,
    /// A number, or a string that is spelt like one.
    Number,
    /// `true` or `false`.
    Flag,
}

macro_rules! fields {
    ($($(#[doc = $doc:literal])+ $variant:ident = $path:literal,)+) => {
        /// What policies can ask about, beside parameters. Their order is part of the bundle's
        /// format: new ones stand at the end.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Field { $($(#[doc = $doc])+ $variant,)+ }

        impl Field {
            /// Every field.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name in Cedar.
            pub fn path(self) -> &'static str {
                match self { $(Self::$variant => $path,)+ }
            }
        }
    };
}

fields! {
    /// Text: the agent's id.
    AgentId = "principal.id",
    /// Text: `active`, `suspended` or `killed`.
    AgentState = "principal.state",
    /// Set of texts: what the agent holds, and the resource's scope where that covers it.
    AgentScopes = "principal.scopes",
    /// Text, where the agent has one.
    AgentPurpose = "principal.purpose",
    /// Text: the tool's name.
    ToolName = "resource.name",
    /// Text: the tool's category.
    ToolCategory = "resource.category",
    /// Text: the scope that the tool asks for.
    ToolScope = "resource.scope",
    /// Text, where the tool has one: the URL that calls are forwarded to.
    ToolUpstream = "resource.upstream",
    /// Decimal, 0 to 1.
    Risk = "context.risk",
    /// Set of texts: the categories of the rules that matched.
    Labels = "context.labels",
    /// Set of texts: the rules that matched.
    Rules = "context.rules",
    /// 0 to 23, UTC.
    Hour = "context.hour",
    /// 1, Monday, to 7, Sunday, UTC.
    Weekday = "context.weekday",
    /// Text, where the call names a target: its host.
    TargetHost = "context.target_host",
    /// How many agents stand in the chain, the caller included; 1 without delegation.
    DelegationDepth = "context.delegation.depth",
    /// Text: `none`, `declared`, `inferred` or `verified`.
    DelegationConfidence = "context.delegation.confidence",
    /// Set of agents: the chain; empty without delegation.
    DelegationMembers = "context.delegation.members",
    /// Where calls are counted: the agent's in the last minute.
    CallsLastMinute = "context.calls_last_minute",
    /// Where the session is known: what is known of it.
    Session = "context.session",
    /// Set of texts, where the session is known: its marks.
    SessionLabels = "context.session.labels",
}
