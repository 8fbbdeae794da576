//! Organisations: their signing keys, their settings, their revision.

use clampd_model::Settings;
use clampd_token::{SigningKey, derive_audit_key};

use super::{
    Noun, SectionName, Store, StoreError,
    founding::{bundle_key_label, token_key_label},
    from_sql_integer,
    sql::{Connection, OptionalExtension},
    sql_integer,
};
use crate::seal::MasterKey;

/// An organisation's signing keys.
#[derive(Debug)]
pub(crate) struct SigningKeys {
    /// Signs bundles.
    pub(crate) bundle: SigningKey,
    /// Signs micro-tokens.
    pub(crate) token: SigningKey,
    /// Signs statements about the audit trail.
    pub(crate) audit: SigningKey,
}

/// An organisation as it is shown.
#[derive(Debug, Clone)]
pub(crate) struct Organisation {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) revision: u64,
    pub(crate) created_at: u64,
}

impl Store {
    /// The organisation.
    pub(crate) async fn organisation(&self, org_id: String) -> Result<Organisation, StoreError> {
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "SELECT id, name, revision, created_at FROM cp_organisations WHERE id = ?1",
                )?
                .query_row([&org_id], |row| {
                    Ok(Organisation {
                        id: row.get(0)?,
                        name: row.get(1)?,
                        revision: from_sql_integer(row.get(2)?),
                        created_at: from_sql_integer(row.get(3)?),
                    })
                })
                .optional()?
                .ok_or(StoreError::NotFound(Noun::Organisation))
        })
        .await
    }

    /// The organisation's signing keys, opened.
    pub(crate) async fn signing_keys(&self, org_id: String) -> Result<SigningKeys, StoreError> {
        let master = self.master().clone();
        self.read(move |connection| {
            let (bundle, token): (Vec<u8>, Vec<u8>) = connection
                .prepare_cached("SELECT bundle_key, token_key FROM cp_organisations WHERE id = ?1")?
                .query_row([&org_id], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?
                .ok_or(StoreError::NotFound(Noun::Organisation))?;
            let bundle = open_seed(&master, &bundle_key_label(&org_id), &bundle)?;
            let token = open_seed(&master, &token_key_label(&org_id), &token)?;
            Ok(SigningKeys {
                bundle: SigningKey::from_seed(bundle),
                audit: derive_audit_key(&token),
                token: SigningKey::from_seed(token),
            })
        })
        .await
    }

    /// Moves every organisation whose local minting keys are of another epoch to `epoch`.
    pub(crate) async fn begin_mint_epoch(&self, epoch: u64) -> Result<(), StoreError> {
        self.write(move |write| {
            let behind: Vec<String> = write
                .connection
                .prepare_cached("SELECT id FROM cp_organisations WHERE mint_epoch <> ?1")?
                .query_map([sql_integer(epoch)], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            for org_id in behind {
                write
                    .connection
                    .prepare_cached("UPDATE cp_organisations SET mint_epoch = ?2 WHERE id = ?1")?
                    .execute((&org_id, sql_integer(epoch)))?;
                write.touch(&org_id, &[SectionName::LocalMint])?;
            }
            Ok(())
        })
        .await
    }

    /// The organisation's revision.
    pub(crate) async fn revision(&self, org_id: String) -> Result<u64, StoreError> {
        self.read(move |connection| super::bundle::read_revision(connection, &org_id))
            .await
    }
}

pub(super) fn read_settings(connection: &Connection, org_id: &str) -> Result<Settings, StoreError> {
    let text: String = connection
        .prepare_cached("SELECT settings FROM cp_organisations WHERE id = ?1")?
        .query_row([org_id], |row| row.get(0))?;
    serde_json::from_str(&text).map_err(|_| StoreError::Unreadable(Noun::Organisation))
}

fn open_seed(master: &MasterKey, label: &str, sealed: &[u8]) -> Result<[u8; 32], StoreError> {
    let seed = master.open(label, sealed)?;
    seed.try_into()
        .map_err(|_| StoreError::Unreadable(Noun::Organisation))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{MasterKey, Store};
    use crate::{
        config::StorageArguments,
        store::{BundleRequest, Spending, initialise},
    };

    fn store_in(directory: &tempfile::TempDir) -> Store {
        let storage = StorageArguments::in_directory(directory.path());
        initialise(&storage, Some("o".to_owned()), "o").unwrap();
        let master = MasterKey::load(&storage).unwrap();
        Store::open(storage.database().unwrap(), master).unwrap().0
    }

    #[tokio::test]
    async fn a_new_epoch_brings_new_local_keys_and_nothing_else() {
        let directory = tempfile::TempDir::new().unwrap();
        let store = store_in(&directory);
        let keys = Arc::new(store.signing_keys("o".to_owned()).await.unwrap());
        let request = |since| BundleRequest {
            org_id: "o".to_owned(),
            proxy_id: "p".to_owned(),
            since,
            keys: Arc::clone(&keys),
            now: 0,
            validity_seconds: 60,
            base_policies: std::sync::Arc::default(),
        };
        let before = store.bundle(request(0)).await.unwrap();
        let mint = before.sections.local_mint.unwrap().entries;
        let epoch: u64 = mint.key_id.rsplit_once('.').unwrap().1.parse().unwrap();
        store.begin_mint_epoch(epoch).await.unwrap();
        assert_eq!(
            store.revision("o".to_owned()).await.unwrap(),
            before.revision
        );

        store.begin_mint_epoch(epoch + 1).await.unwrap();
        let after = store.bundle(request(before.revision)).await.unwrap();
        assert_eq!(after.revision, before.revision + 1);
        let renewed = after.sections.local_mint.unwrap().entries;
        assert_eq!(renewed.key_id, format!("local.p.{}", epoch + 1));
        assert_ne!(renewed.key, mint.key);
        assert!(after.sections.agents.is_none() && after.sections.keys.is_none());
    }

    #[tokio::test]
    async fn used_tokens_are_forgotten_when_their_time_alone_refuses_them() {
        let directory = tempfile::TempDir::new().unwrap();
        let store = store_in(&directory);
        let o = || "o".to_owned();
        for (jti, expires_at) in [("old", 99), ("new", 100)] {
            store
                .revoke_token(o(), jti.to_owned(), expires_at)
                .await
                .unwrap();
        }
        // More than one transaction removes.
        for nth in 0..600 {
            let jti = format!("older {nth}");
            store.revoke_token(o(), jti, 98).await.unwrap();
        }
        assert_eq!(store.purge_spent_tokens(100).await.unwrap(), 601);
        assert_eq!(store.purge_spent_tokens(100).await.unwrap(), 0);
        let nobody = store
            .spend_token(o(), "a".to_owned(), None, "new".to_owned(), 100)
            .await
            .unwrap();
        assert_eq!(nobody, Spending::Revoked);
    }
}
