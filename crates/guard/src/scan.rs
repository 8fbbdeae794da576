//! `/v1/scan-input`, `/v1/scan-output` and `/v1/inspect`: texts and answers by themselves.

use clampd_detect::{Findings, Place};
use clampd_model::{Action, ObservedResponse, Surface, ToolCategory, Verdict};
use clampd_token::sha256_hex;

use crate::{
    ErrorCode, Guard, HeaderChanges, Judgement, Micros, Refusal, Snapshot,
    admit::Endpoint,
    consult::{Asked, prompt_tool},
    decide::{judge_answer, judge_text},
    inspection::{bound_records, records_in},
    leaves::Leaves,
    record,
    reply::{ProxyResponse, Reply, ScanResponse, pii_found, secrets_found},
    tool_call::{Admitted, Fields, response_of, tool_name},
};

impl Guard {
    /// Judges the body of `/v1/scan-input` or `/v1/scan-output`.
    pub(crate) fn scan(
        &self,
        snapshot: &Snapshot,
        admitted: &Admitted,
        body: &[u8],
        now: Micros,
    ) -> Result<Judgement, Refusal> {
        let mut fields = Fields::read(body)?;
        let text = fields.string("text")?;
        let is_output = admitted.endpoint == Endpoint::ScanOutput;
        let surface = if is_output {
            Surface::Response
        } else {
            Surface::Prompt
        };
        let place = Place {
            surface,
            tool: "",
            category: ToolCategory::Other,
        };
        let findings = self.find(snapshot, &place, &Leaves::text(&text))?;
        let subject = admitted.caller.subject(None);
        let settings = snapshot.settings();
        let decision = if is_output {
            judge_answer(settings, &subject, &findings, None)
        } else {
            let decision = judge_text(settings, &subject, &findings);
            Asked::about(Action::Prompt, admitted, &prompt_tool()).of_policies(snapshot, decision)
        };
        let allowed = decision.verdict.lets_pass();
        let event = record::begin(admitted, snapshot, admitted.endpoint.action());
        let mut event = record::with_decision(event, &decision);
        event.prompt_hash = Some(sha256_hex(text.as_bytes()));
        if is_output {
            event.response = Some(observed(text.len(), &findings));
        }
        let as_error = !allowed && !admitted.caller.is_sdk;
        let response = ScanResponse {
            request_id: admitted.meta.request_id.clone(),
            allowed,
            result: if allowed { "allowed" } else { "blocked" },
            risk_score: decision.risk,
            denial_reason: decision.denial_reason.clone(),
            matched_rules: decision.matched_rules.clone(),
            latency_ms: now.saturating_sub(admitted.meta.started) / 1_000,
            pii_found: is_output.then(|| pii_found(&findings.pii_counts())),
            secrets_found: is_output.then(|| secrets_found(&findings.secret_counts())),
            error: as_error.then(|| {
                format!(
                    "content blocked: {}",
                    decision.denial_reason.as_deref().unwrap_or("risk")
                )
            }),
            error_code: as_error.then_some(ErrorCode::ContentBlocked.as_str()),
        };
        let status = if as_error {
            ErrorCode::ContentBlocked.status()
        } else {
            200
        };
        Ok(Judgement {
            verdict: decision.verdict,
            headers: HeaderChanges::default(),
            reply: Some(Reply::json(status, &response)),
            events: vec![record::end(event, now)],
            watching: None,
        })
    }

    /// Judges the body of `/v1/inspect`: what a tool answered.
    pub(crate) fn inspect(
        &self,
        snapshot: &Snapshot,
        admitted: &Admitted,
        body: &[u8],
        now: Micros,
    ) -> Result<Judgement, Refusal> {
        let mut fields = Fields::read(body)?;
        let tool = tool_name(fields.string("tool")?)?;
        let response_data = fields.any("response_data")?;
        fields.optional_string("request_id")?;
        let scope_token = fields
            .optional_string("scope_token")?
            .filter(|t| !t.is_empty());
        let known = snapshot.tool(&tool);
        let findings = self.find_in_response(snapshot, known, &response_data)?;
        let subject = admitted.caller.subject(known);
        // The caller has the answer already, so nothing can be masked in it.
        let decision = judge_answer(snapshot.settings(), &subject, &findings, None);
        let records = records_in(&response_data);
        let decision = bound_records(snapshot, admitted, known, records, decision);
        let decision = match known {
            Some(known) => {
                Asked::about(Action::Respond, admitted, known).of_policies(snapshot, decision)
            }
            None => decision,
        };
        let event = record::begin(admitted, snapshot, admitted.endpoint.action());
        let mut event = record::with_decision(event, &decision);
        event.tool_name = tool;
        event.response = Some(ObservedResponse {
            records,
            ..observed(response_data.to_string().len(), &findings)
        });
        let response = response_of(&decision, &admitted.meta, "", now);
        let allowed = decision.verdict != Verdict::Deny;
        let response = ProxyResponse {
            scope_token: scope_token.filter(|_| allowed),
            ..response
        };
        Ok(Judgement {
            verdict: decision.verdict,
            headers: HeaderChanges::default(),
            reply: Some(Reply::json(200, &response)),
            events: vec![record::end(event, now)],
            watching: None,
        })
    }
}

fn observed(bytes: usize, findings: &Findings) -> ObservedResponse {
    ObservedResponse {
        status: 200,
        bytes: bytes as u64,
        records: None,
        pii: record::sensitive_counts(findings),
        latency_us: 0,
    }
}
