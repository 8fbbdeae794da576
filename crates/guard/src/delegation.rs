//! Agents that act for agents.

use clampd_model::AgentId;

use crate::{ErrorCode, Head, Refusal, Snapshot, identity::may_act};

/// The longest chain, the caller included.
pub(crate) const DEPTH_MAX: usize = 5;

const CHAIN_HEADER: &str = "x-clampd-delegation-chain";
const TRACE_HEADER: &str = "x-clampd-delegation-trace";
const CONFIDENCE_HEADER: &str = "x-clampd-delegation-confidence";

/// What a request says of the agents behind it. Without proof it is only declared.
#[derive(Debug, Clone, Default)]
pub(crate) struct Delegation {
    /// Root first, the caller last; empty without delegation.
    pub(crate) chain: Vec<AgentId>,
    pub(crate) trace_id: Option<String>,
}

impl Delegation {
    /// Reads the headers.
    pub(crate) fn from_head(head: &Head) -> Result<Self, Refusal> {
        if head.has(CONFIDENCE_HEADER)
            && !matches!(
                head.value(CONFIDENCE_HEADER),
                Some("verified" | "inferred" | "declared")
            )
        {
            return Err(ErrorCode::InvalidDelegationConfidence
                .because("delegation confidence must be verified, inferred or declared"));
        }
        let chain = match (head.has(CHAIN_HEADER), head.value(CHAIN_HEADER)) {
            (false, _) => Vec::new(),
            (true, None) => return Err(invalid("must be one readable header")),
            (true, Some(csv)) => parse_chain(csv.split(',').map(str::trim))?,
        };
        Ok(Self {
            chain,
            trace_id: trace_id(head.value(TRACE_HEADER))?,
        })
    }

    /// Adds what the body says; both must agree where both speak.
    pub(crate) fn with_body(
        self,
        chain: Option<Vec<String>>,
        trace: Option<&str>,
    ) -> Result<Self, Refusal> {
        let trace_id = trace_id(trace)?.or(self.trace_id);
        let Some(chain) = chain.filter(|c| !c.is_empty()) else {
            return Ok(Self { trace_id, ..self });
        };
        let chain = parse_chain(chain.iter().map(String::as_str))?;
        if !self.chain.is_empty() && self.chain != chain {
            return Err(invalid("in header and body must be the same"));
        }
        Ok(Self { chain, trace_id })
    }

    /// Checks the chain against what is in force: it ends in the caller, and every member is
    /// known and may act.
    pub(crate) fn check(&self, snapshot: &Snapshot, caller: &AgentId) -> Result<(), Refusal> {
        let Some(last) = self.chain.last() else {
            return Ok(());
        };
        if !last.as_str().eq_ignore_ascii_case(caller.as_str()) {
            return Err(invalid("must end in the calling agent"));
        }
        for member in &self.chain {
            let known = snapshot.agent_folded(member.as_str()).ok_or_else(|| {
                ErrorCode::DelegationUnknownCaller.because("a delegating agent is not registered")
            })?;
            may_act(snapshot, &known.id)?;
        }
        Ok(())
    }

    /// How sure it is: what a request says of itself is declared, whatever its headers call it.
    pub(crate) fn confidence(&self) -> &'static str {
        if self.chain.is_empty() {
            "none"
        } else {
            "declared"
        }
    }

    /// Those who had the caller act for them, root first.
    pub(crate) fn delegators(&self) -> &[AgentId] {
        self.chain.split_last().map_or(&[], |(_, before)| before)
    }
}

fn parse_chain<'a>(members: impl Iterator<Item = &'a str>) -> Result<Vec<AgentId>, Refusal> {
    let mut chain: Vec<AgentId> = Vec::new();
    for member in members {
        if chain.len() == DEPTH_MAX {
            return Err(invalid("must have at most 5 members"));
        }
        let id = AgentId::parse(member).map_err(|_| invalid("has a member that is no agent id"))?;
        if chain
            .iter()
            .any(|known| known.as_str().eq_ignore_ascii_case(member))
        {
            return Err(invalid("has a cycle"));
        }
        chain.push(id);
    }
    Ok(chain)
}

fn trace_id(text: Option<&str>) -> Result<Option<String>, Refusal> {
    match text.filter(|t| !t.is_empty()) {
        None => Ok(None),
        Some(t) if t.len() <= 128 && t.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(Some(t.to_owned()))
        }
        Some(_) => Err(invalid(
            "has a trace id that is not 1 to 128 visible ASCII characters",
        )),
    }
}

fn invalid(what: &str) -> Refusal {
    ErrorCode::InvalidDelegationChain.because(format!("delegation chain {what}"))
}

#[cfg(test)]
mod tests {
    use super::{Delegation, Head};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[track_caller]
    fn check(header: &str, body: &[&str], wanted: Result<usize, &str>) {
        let head = Head::new(vec![("x-clampd-delegation-chain".into(), header.into())]);
        let head = if header.is_empty() {
            Head::default()
        } else {
            head
        };
        let body = body.iter().map(|s| (*s).to_owned()).collect();
        let got = Delegation::from_head(&head).and_then(|d| d.with_body(Some(body), None));
        match wanted {
            Ok(members) => assert_eq!(got.unwrap().chain.len(), members),
            Err(word) => assert!(got.unwrap_err().message.contains(word)),
        }
    }

    #[test]
    fn a_chain_is_short_without_cycle_and_said_once() {
        check("", &[], Ok(0));
        check("a, b", &[], Ok(2));
        check("", &["a", "b"], Ok(2));
        check("a,b", &["a", "b"], Ok(2));
        check("a,b", &["a", "c"], Err("same"));
        check("a,B,b", &[], Err("cycle"));
        check("a,b,c,d,e", &[], Ok(5));
        check("a,b,c,d,e,f", &[], Err("at most 5"));
        check("a,,b", &[], Err("no agent id"));
    }
}
