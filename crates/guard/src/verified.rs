//! Agents' JWTs that were found good under one bundle, by hash, until they expire.
//!
//! They belong to a snapshot: a credential that changes comes with another one.

use std::{cell::RefCell, collections::HashMap};

use clampd_model::AgentClaims;
use clampd_token::{AgentJwtError, CLOCK_SKEW_SECONDS, sha256};

/// The most that are known at once; then all are forgotten.
const TOKENS_MAX: usize = 1_024;

/// What is known of tokens, by their SHA-256.
#[derive(Debug, Default)]
pub(crate) struct Verified(RefCell<HashMap<[u8; 32], AgentClaims>>);

impl Verified {
    /// The claims of a token that was verified before, or those that `verify` finds.
    ///
    /// # Errors
    /// What `verify` says is wrong; that is never kept.
    pub(crate) fn claims(
        &self,
        token: &str,
        now_seconds: u64,
        verify: impl FnOnce() -> Result<AgentClaims, AgentJwtError>,
    ) -> Result<AgentClaims, AgentJwtError> {
        let hash = sha256(token.as_bytes());
        let known = self.0.borrow().get(&hash).cloned();
        let is_current =
            |claims: &AgentClaims| claims.exp.saturating_add(CLOCK_SKEW_SECONDS) > now_seconds;
        if let Some(claims) = known.filter(is_current) {
            return Ok(claims);
        }
        let claims = verify()?;
        let mut known = self.0.borrow_mut();
        if known.len() >= TOKENS_MAX {
            known.clear();
        }
        known.insert(hash, claims.clone());
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use clampd_model::{AgentClaims, AgentId};
    use clampd_token::AgentJwtError;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{TOKENS_MAX, Verified};

    fn claims(exp: u64) -> AgentClaims {
        AgentClaims {
            sub: AgentId::parse("scout").unwrap(),
            iss: None,
            iat: None,
            exp,
            aud: None,
            scopes: None,
        }
    }

    #[test]
    fn a_good_token_is_verified_once_and_a_bad_one_each_time() {
        let verified = Verified::default();
        let asked = Cell::new(0);
        let look = |token: &str, now, found: Result<AgentClaims, AgentJwtError>| {
            verified.claims(token, now, || {
                asked.set(asked.get() + 1);
                found
            })
        };
        for _ in 0..3 {
            assert!(look("good", 10, Ok(claims(100))).is_ok());
            assert!(look("bad", 10, Err(AgentJwtError::InvalidSignature)).is_err());
        }
        assert_eq!(asked.get(), 1 + 3);
        // Past its end it is looked at again, and that says no.
        assert!(look("good", 129, Ok(claims(100))).is_ok());
        assert!(look("good", 130, Err(AgentJwtError::OutsideValidity)).is_err());
    }

    #[test]
    fn no_more_are_known_than_there_is_room_for() {
        let verified = Verified::default();
        for nth in 0..3 * TOKENS_MAX {
            let token = nth.to_string();
            verified.claims(&token, 0, || Ok(claims(1))).unwrap();
            assert!(verified.0.borrow().len() <= TOKENS_MAX);
        }
    }
}
