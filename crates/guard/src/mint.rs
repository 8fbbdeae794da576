//! Getting the micro-token of an allowed call.

use clampd_model::{MICRO_TOKEN_TTL_SECONDS, MicroTokenClaims, Secret, Tool, TrustLevel};
use clampd_token::{ISSUER, TOKEN_BYTES_MAX, sign_micro_token_hs256};
use serde_json::Value;

use crate::{
    Answer, Callout, Config, ErrorCode, Micros, Mint, MintFailure, Refusal, Snapshot,
    json::parse_strict, tool_call::JudgedCall,
};

/// An allowed call that waits for its token.
#[derive(Debug)]
pub struct Minting {
    pub(crate) call: JudgedCall,
}

/// A token and how it came about.
#[derive(Debug)]
pub(crate) struct Minted {
    pub(crate) token: String,
    pub(crate) degraded: bool,
}

/// What to do first for a token.
pub(crate) enum MintStart {
    /// It is here.
    Minted(Minted),
    /// The control plane must be asked.
    Ask(Callout),
}

/// RFC 8693 section 2.1.
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// RFC 8693 section 3.
const JWT_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";

/// Starts minting, as configured.
pub(crate) fn start(
    config: &Config,
    snapshot: &Snapshot,
    call: &JudgedCall,
    now: Micros,
) -> Result<MintStart, Refusal> {
    match config.mint {
        Mint::Local => sign_here(snapshot, call, now, None).map(|token| {
            MintStart::Minted(Minted {
                token,
                degraded: false,
            })
        }),
        Mint::Exchange => exchange(config, call).map(MintStart::Ask),
    }
}

/// Reads the control plane's answer. An answer that says no is a no; only silence, an error of
/// its own or nonsense counts as its being away.
pub(crate) fn finish(
    config: &Config,
    snapshot: &Snapshot,
    call: &JudgedCall,
    answer: Option<Answer>,
    now: Micros,
) -> Result<Minted, Refusal> {
    if let Some(answer) = answer {
        let said = parse_strict(&answer.body).unwrap_or_default();
        let token = said.get("access_token").and_then(Value::as_str);
        if let Some(token) = token.filter(|token| answer.status == 200 && is_token(token)) {
            return Ok(Minted {
                token: token.to_owned(),
                degraded: false,
            });
        }
        if matches!(answer.status, 400 | 403 | 404) && said.is_object() {
            return Err(match said.get("error_code").and_then(Value::as_str) {
                Some("agent_killed") => ErrorCode::AgentKilled.because("agent is killed"),
                Some("agent_suspended") => ErrorCode::AgentSuspended.because("agent is suspended"),
                Some("session_ended") => {
                    ErrorCode::SessionEnded.because("session was ended by a kill; begin another")
                }
                Some("agent_not_found") => {
                    ErrorCode::AgentNotFound.because("agent is not registered")
                }
                Some("tool_not_registered" | "tool_not_found") => {
                    ErrorCode::ToolNotRegistered.because("tool is not in the catalogue")
                }
                _ => ErrorCode::ControlPlaneUnavailable
                    .because("the control plane granted no token for this call"),
            });
        }
    }
    match config.mint_failure {
        MintFailure::Deny => Err(ErrorCode::ControlPlaneUnavailable
            .because("no token could be had from the control plane")),
        MintFailure::Degrade => {
            sign_here(snapshot, call, now, Some(TrustLevel::Degraded)).map(|token| Minted {
                token,
                degraded: true,
            })
        }
    }
}

fn exchange(config: &Config, call: &JudgedCall) -> Result<Callout, Refusal> {
    let jwt = call.admitted.caller.jwt.as_ref().ok_or_else(|| {
        ErrorCode::MissingJwt.because("the control plane signs for nobody without a JWT")
    })?;
    let mut form = Form::default();
    form.add("grant_type", GRANT_TYPE);
    form.add("subject_token", jwt.expose());
    form.add("subject_token_type", JWT_TYPE);
    form.add("tool", &call.tool.name);
    form.add("call_binding", &call.call_binding);
    form.add("scope", call.scope());
    if let Some(session) = &call.admitted.meta.session_id {
        form.add("session_id", session);
    }
    Ok(form.into_callout(config, "/v1/tokens/exchange", &config.control_plane.key))
}

fn sign_here(
    snapshot: &Snapshot,
    call: &JudgedCall,
    now: Micros,
    trust_level: Option<TrustLevel>,
) -> Result<String, Refusal> {
    let mint = snapshot.local_mint().ok_or_else(|| {
        ErrorCode::ControlPlaneUnavailable.because("this proxy has no key to mint with")
    })?;
    let Tool {
        audience, binding, ..
    } = &call.tool;
    let iat = now / 1_000_000;
    let claims = MicroTokenClaims {
        iss: ISSUER.to_owned(),
        aud: audience.clone(),
        sub: call.admitted.caller.agent.clone(),
        scope: call.scope().to_owned(),
        iat,
        exp: iat + MICRO_TOKEN_TTL_SECONDS,
        jti: call.admitted.meta.jti.clone(),
        tool_binding: binding.clone(),
        call_binding: call.call_binding.clone(),
        session_id: call.admitted.meta.session_id.clone(),
        trust_level,
    };
    Ok(sign_micro_token_hs256(&claims, &mint.key_id, &mint.key))
}

/// Whether a text can stand in a header as a token: what the control plane sends is believed, but
/// never so far that it could add a header.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= TOKEN_BYTES_MAX
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// `application/x-www-form-urlencoded`.
#[derive(Default)]
pub(crate) struct Form(String);

impl Form {
    /// The call that posts it to the control plane with that key.
    pub(crate) fn into_callout(self, config: &Config, path: &str, key: &Secret) -> Callout {
        let kind = "application/x-www-form-urlencoded";
        let body = self.0.into_bytes();
        config.control_plane.post(path, kind, key, body)
    }

    pub(crate) fn add(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                self.0.push(char::from(byte));
            } else {
                use std::fmt::Write as _;
                let _ = write!(self.0, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_form_value_cannot_start_another_field() {
        let mut form = Form::default();
        form.add("a", "1&b=2 é");
        form.add("c", "x");
        assert_eq!(form.0, "a=1%26b%3D2%20%C3%A9&c=x");
    }
}
