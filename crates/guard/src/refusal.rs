//! Why a request is refused before it is judged: the error body and status of each reason.

use serde::Serialize;

use crate::reply::Reply;

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $status:literal $code:literal,)+) => {
        /// A reason for refusal, with its HTTP status and `error_code`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[doc = $doc])+ $variant,)+ }

        impl ErrorCode {
            /// The HTTP status.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// The word in `error_code`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }
        }
    };
}

error_codes! {
    /// No `X-AG-Key`.
    MissingApiKey = 401 "missing_api_key",
    /// An `X-AG-Key` that is not known.
    InvalidApiKey = 401 "invalid_api_key",
    /// No agent JWT.
    MissingJwt = 401 "missing_jwt",
    /// An agent JWT that does not verify.
    InvalidJwt = 401 "invalid_jwt",
    /// A body that is not what the endpoint reads.
    InvalidBody = 400 "invalid_body",
    /// A session id of the wrong form.
    InvalidSessionId = 400 "invalid_session_id",
    /// A delegation chain of the wrong form, too deep, or with a cycle.
    InvalidDelegationChain = 400 "invalid_delegation_chain",
    /// A delegation confidence that is no known word.
    InvalidDelegationConfidence = 400 "invalid_delegation_confidence",
    /// A header that is there twice, or is unreadable, where one reading is needed.
    InvalidHeader = 400 "invalid_header",
    /// The agent, or one that delegated to it, was killed.
    AgentKilled = 403 "agent_killed",
    /// The agent, or one that delegated to it, is suspended.
    AgentSuspended = 403 "agent_suspended",
    /// The session had begun when its agent was killed.
    SessionEnded = 403 "session_ended",
    /// The API key is another organisation's than the agent.
    OrgMismatch = 403 "org_mismatch",
    /// A delegating agent is not known.
    DelegationUnknownCaller = 403 "delegation_unknown_caller",
    /// The tool is not among those that the request itself allows.
    UnauthorizedTool = 403 "unauthorized_tool",
    /// The target lies under no upstream of the tool.
    SsrfBlocked = 403 "ssrf_blocked",
    /// What was sent was judged dangerous, and there is no better way to say so.
    ContentBlocked = 403 "content_blocked",
    /// A protocol upgrade: what follows could not be inspected.
    UpgradeRefused = 403 "upgrade_refused",
    /// The JWT names an agent that is not registered.
    AgentNotFound = 404 "agent_not_found",
    /// Nothing is here.
    NotFound = 404 "not_found",
    /// The endpoint answers another method.
    MethodNotAllowed = 405 "method_not_allowed",
    /// The micro-token was used before.
    ReplayDetected = 409 "replay_detected",
    /// The body is larger than the gateway reads.
    PayloadTooLarge = 413 "payload_too_large",
    /// The body is encoded in a way that cannot be inspected.
    UnsupportedEncoding = 415 "unsupported_encoding",
    /// The tool is not in the catalogue.
    ToolNotRegistered = 422 "tool_not_registered",
    /// The upstream's answer is in no form that can be judged.
    UnreadableAnswer = 502 "unreadable_answer",
    /// The agent is over its bounds; it may try again later.
    RateLimited = 429 "rate_limited",
    /// The session is over its calls.
    SessionBudgetExceeded = 429 "session_budget_exceeded",
    /// No bundle is in force.
    NotReady = 503 "not_ready",
    /// The control plane is needed and does not answer.
    ControlPlaneUnavailable = 503 "control_plane_unavailable",
}

/// A refusal: its code and one sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub code: ErrorCode,
    /// The reason in words; never anything that the request said.
    pub message: String,
    /// When it may be tried again, and the bound that was reached.
    again: Option<Again>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Again {
    seconds: u64,
    most: Option<u64>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
    error_code: &'a str,
    request_id: &'a str,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            again: None,
        }
    }

    /// The same, and it may be tried again in so many seconds.
    #[must_use]
    pub(crate) fn again_in(self, seconds: u64) -> Self {
        let again = Some(Again {
            seconds,
            most: None,
        });
        Self { again, ..self }
    }

    /// The same, with the bound that was reached.
    #[must_use]
    pub(crate) fn bounded_by(self, most: u64) -> Self {
        let again = self.again.map(|again| Again {
            most: Some(most),
            ..again
        });
        Self { again, ..self }
    }

    /// In how many seconds it may be tried again.
    #[cfg(test)]
    pub(crate) fn again_seconds(&self) -> Option<u64> {
        self.again.map(|again| again.seconds)
    }

    /// Says in a reply's headers when it may be tried again (RFC 9110 section 10.2.3).
    pub(crate) fn tell_again(&self, mut reply: Reply) -> Reply {
        if let Some(Again { seconds, most }) = self.again {
            let reset = seconds.to_string();
            reply.headers.push(("retry-after", reset.clone()));
            if let Some(most) = most {
                reply.headers.extend([
                    ("x-ratelimit-limit", most.to_string()),
                    ("x-ratelimit-remaining", "0".to_owned()),
                    ("x-ratelimit-reset", reset),
                ]);
            }
        }
        reply
    }

    /// The answer: `{error, error_code, request_id}`.
    pub fn reply(&self, request_id: &str) -> Reply {
        let body = ErrorBody {
            error: &self.message,
            error_code: self.code.as_str(),
            request_id,
        };
        Reply::json(self.code.status(), &body)
    }
}

impl ErrorCode {
    /// A refusal for this reason.
    pub fn because(self, message: impl Into<String>) -> Refusal {
        Refusal::new(self, message)
    }
}
