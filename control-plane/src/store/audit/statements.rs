//! The signed statements about a trail: made when it grows and when it is cut, checked before that.
//!
//! Whoever edits the database without the master key cannot make one, and a trail whose statement
//! does not fit is never signed again: the next event would vouch for the edit.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use clampd_token::{
    AuditStatement, AuditStatementKind, AuditWalk, SigningKey, derive_audit_key,
    sign_audit_statement, verify_audit_statement,
};

use crate::{
    clock,
    seal::MasterKey,
    store::{
        Noun, StoreError,
        founding::token_key_label,
        from_sql_integer,
        sql::{Connection, OptionalExtension as _},
    },
};

/// Each organisation's key for statements, opened once; they never change.
#[derive(Debug)]
pub(in crate::store) struct AuditKeys {
    master: Arc<MasterKey>,
    known: Mutex<HashMap<String, SigningKey>>,
}

impl AuditKeys {
    pub(in crate::store) fn new(master: Arc<MasterKey>) -> Self {
        Self {
            master,
            known: Mutex::default(),
        }
    }

    /// The organisation's key.
    pub(in crate::store) fn of(
        &self,
        connection: &Connection,
        org_id: &str,
    ) -> Result<SigningKey, StoreError> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = known().get(org_id) {
            return Ok(key.clone());
        }
        let sealed: Vec<u8> = connection
            .prepare_cached("SELECT token_key FROM cp_organisations WHERE id = ?1")?
            .query_row([org_id], |row| row.get(0))
            .optional()?
            .ok_or(StoreError::NotFound(Noun::Organisation))?;
        let seed = self.master.open(&token_key_label(org_id), &sealed)?;
        let seed: [u8; 32] = seed
            .try_into()
            .map_err(|_| StoreError::Unreadable(Noun::Organisation))?;
        let key = derive_audit_key(&seed);
        known().insert(org_id.to_owned(), key.clone());
        Ok(key)
    }
}

/// Where a trail begins and ends, and what is signed of it.
#[derive(Debug, Clone)]
pub(in crate::store) struct TrailEnds {
    /// Before its first event.
    pub(in crate::store) begin: AuditWalk,
    /// At its last event.
    pub(in crate::store) end: AuditWalk,
    /// The statement that it ends there; none when it does not fit, or the cut's does not.
    pub(in crate::store) statement: Option<String>,
    /// The statement about what was removed before its first event.
    pub(in crate::store) cut: Option<String>,
}

impl TrailEnds {
    pub(in crate::store) fn read(
        connection: &Connection,
        org_id: &str,
        key: &SigningKey,
    ) -> Result<Self, StoreError> {
        let (seq, chain_hash, statement, cut): (i64, String, String, Option<String>) = connection
            .prepare_cached(
                "SELECT audit_seq, audit_head, audit_statement, audit_cut
                 FROM cp_organisations WHERE id = ?1",
            )?
            .query_row([org_id], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?;
        let end = AuditWalk {
            seq: from_sql_integer(seq),
            chain_hash,
        };
        let read = |text: &str, kind: AuditStatementKind| {
            let read = verify_audit_statement(text, &key.verifying_key()).ok();
            read.filter(|read| read.audit == kind && read.org_id == org_id)
        };
        let begin = match &cut {
            None => Some(AuditWalk::default()),
            Some(cut) => read(cut, AuditStatementKind::Cut).map(|cut| AuditWalk {
                seq: cut.seq,
                chain_hash: cut.chain_hash,
            }),
        };
        let fits = read(&statement, AuditStatementKind::Head)
            .is_some_and(|statement| end.stands_at(&statement));
        Ok(Self {
            statement: (fits && begin.is_some()).then_some(statement),
            begin: begin.unwrap_or_default(),
            end,
            cut,
        })
    }
}

/// A statement about the event that the walk stands at.
pub(in crate::store) fn signed(
    kind: AuditStatementKind,
    org_id: &str,
    at: &AuditWalk,
    key: &SigningKey,
) -> String {
    let statement = AuditStatement {
        audit: kind,
        org_id: org_id.to_owned(),
        seq: at.seq,
        chain_hash: at.chain_hash.clone(),
        iat: clock::unix_seconds(),
    };
    sign_audit_statement(&statement, key)
}
