//! Micro-tokens that are worth nothing any more, and what an exchange must know.

use std::cell::OnceCell;

use clampd_model::{Agent, AgentClaims, AgentState, Tool};
use clampd_token::{AgentJwtError, verify_agent_jwt};

use super::{
    Store, StoreError, agents::state_of, credentials::agent_with_credential, sessions::is_ended,
    sql::OptionalExtension, sql_integer, tools::approved_tool,
};

/// What became of an attempt to use a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spending {
    /// It was good, and is used now.
    Spent,
    /// It was used before.
    AlreadyUsed,
    /// It was revoked, or its agent is not known.
    Revoked,
    /// Its agent may not act.
    Inactive(AgentState),
    /// A kill ended its session.
    SessionEnded,
}

/// What an exchange is decided on.
#[derive(Debug)]
pub(crate) struct ExchangeFacts {
    pub(crate) caller: Result<(AgentClaims, Agent, AgentState), AgentJwtError>,
    pub(crate) tool: Option<Tool>,
    /// Whether a kill ended the session that is asked for.
    pub(crate) is_session_ended: bool,
}

impl Store {
    /// Verifies an agent's JWT against the register and looks up the tool, in one snapshot.
    pub(crate) async fn exchange_facts(
        &self,
        org_id: String,
        agent_jwt: String,
        tool: String,
        session_id: Option<String>,
        now: u64,
    ) -> Result<ExchangeFacts, StoreError> {
        let master = self.master().clone();
        self.read(move |connection| {
            let looked_up = OnceCell::new();
            let claims = verify_agent_jwt(&agent_jwt, now, |id| {
                let found = looked_up.get_or_init(|| {
                    agent_with_credential(connection, &org_id, id.as_str(), &master)
                });
                found
                    .as_ref()
                    .ok()?
                    .as_ref()
                    .map(|(agent, _)| &agent.credential)
            });
            let caller = match (claims, looked_up.into_inner()) {
                (_, Some(Err(error))) => return Err(error),
                (Ok(claims), Some(Ok(Some((agent, state))))) => Ok((claims, agent, state)),
                (Err(error), _) => Err(error),
                (Ok(_), _) => Err(AgentJwtError::UnknownAgent),
            };
            let is_session_ended = match (&caller, &session_id) {
                (Ok((_, agent, _)), Some(session_id)) => {
                    is_ended(connection, &org_id, agent.id.as_str(), session_id)?
                }
                _ => false,
            };
            Ok(ExchangeFacts {
                is_session_ended,
                caller,
                tool: approved_tool(connection, &org_id, &tool)?,
            })
        })
        .await
    }

    /// Uses the token up, if its agent may act and nobody was first. Of any number of calls at the
    /// same time exactly one is told [`Spending::Spent`].
    pub(crate) async fn spend_token(
        &self,
        org_id: String,
        agent_id: String,
        session_id: Option<String>,
        jti: String,
        expires_at: u64,
    ) -> Result<Spending, StoreError> {
        self.write(move |write| {
            match state_of(write.connection, &org_id, &agent_id)? {
                Some(AgentState::Active) => {}
                Some(state) => return Ok(Spending::Inactive(state)),
                None => return Ok(Spending::Revoked),
            }
            if let Some(session_id) = &session_id
                && is_ended(write.connection, &org_id, &agent_id, session_id)?
            {
                return Ok(Spending::SessionEnded);
            }
            let spent = write
                .connection
                .prepare_cached(
                    "INSERT INTO cp_tokens_spent (org_id, jti, how, expires_at)
                     VALUES (?1, ?2, 'used', ?3) ON CONFLICT DO NOTHING",
                )?
                .execute((&org_id, &jti, sql_integer(expires_at)))?;
            if spent == 1 {
                return Ok(Spending::Spent);
            }
            let how: Option<String> = write
                .connection
                .prepare_cached("SELECT how FROM cp_tokens_spent WHERE org_id = ?1 AND jti = ?2")?
                .query_row((&org_id, &jti), |row| row.get(0))
                .optional()?;
            Ok(if how.as_deref() == Some("revoked") {
                Spending::Revoked
            } else {
                Spending::AlreadyUsed
            })
        })
        .await
    }

    /// Makes the token worth nothing, used or not.
    pub(crate) async fn revoke_token(
        &self,
        org_id: String,
        jti: String,
        expires_at: u64,
    ) -> Result<(), StoreError> {
        self.write(move |write| {
            write
                .connection
                .prepare_cached(
                    "INSERT INTO cp_tokens_spent (org_id, jti, how, expires_at)
                     VALUES (?1, ?2, 'revoked', ?3)
                     ON CONFLICT (org_id, jti) DO UPDATE SET how = excluded.how",
                )?
                .execute((&org_id, &jti, sql_integer(expires_at)))?;
            Ok(())
        })
        .await
    }

    /// Forgets tokens that expired before `now`; their time alone refuses them.
    pub(crate) async fn purge_spent_tokens(&self, now: u64) -> Result<usize, StoreError> {
        const SQL: &str =
            "DELETE FROM cp_tokens_spent WHERE (org_id, jti) IN (SELECT org_id, jti FROM
            cp_tokens_spent WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)";
        self.purge(SQL, sql_integer(now)).await
    }
}
