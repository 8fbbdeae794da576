//! The first things: the data directory, the database, an organisation and its first keys.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use anyhow::{Context, bail};
use clampd_model::{AgentId, Settings};
use clampd_token::{AuditStatementKind, AuditWalk, SigningKey, derive_audit_key};
use serde::Serialize;

use super::{
    DATABASE_FILE, Database, SectionName,
    audit::signed,
    keys::{KeyRecord, NewKey},
    sql::Connection,
    sql_integer,
};
use crate::{access::Role, clock, config::StorageArguments, random, seal::MasterKey};

/// What `init` prints, once.
#[derive(Debug, Serialize)]
pub struct FirstKeys {
    /// The organisation.
    pub org_id: String,
    /// A key with the role admin.
    pub admin_key: String,
    /// A key with the role proxy.
    pub proxy_key: String,
    /// The public key that bundles are signed with: 32 bytes, base64url without padding.
    pub trust_root: String,
}

/// Makes the data directory, the tables, the master key and the first organisation.
///
/// # Errors
/// When there is an organisation already, or something cannot be made.
pub(crate) fn initialise(
    storage: &StorageArguments,
    org_id: Option<String>,
    name: &str,
) -> anyhow::Result<FirstKeys> {
    let database = storage.database()?;
    if let Database::Sqlite(directory) = &database
        && directory.join(DATABASE_FILE).exists()
    {
        bail!("`{}` is initialised already", directory.display());
    }
    if let Some(directory) = &storage.data {
        prepare_directory(directory)?;
    }
    let connection = match &database {
        Database::Sqlite(directory) => {
            let path = directory.join(DATABASE_FILE);
            // The key first: a database without one would be of no use.
            let master = MasterKey::load_or_create(storage)?;
            fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            let connection = database.create()?;
            return add(&connection, &master, org_id, name);
        }
        Database::Postgres(_) => database.create()?,
    };
    let is_empty = !connection
        .prepare_cached("SELECT 1 FROM cp_organisations LIMIT 1")?
        .exists(())?;
    if !is_empty {
        bail!("the database is initialised already");
    }
    add(
        &connection,
        &MasterKey::load_or_create(storage)?,
        org_id,
        name,
    )
}

/// Makes the directory private. One that others use too is left as it is and refused.
fn prepare_directory(data_dir: &Path) -> anyhow::Result<()> {
    let shown = data_dir.display();
    fs::create_dir_all(data_dir).with_context(|| format!("creating `{shown}`"))?;
    let mode = fs::metadata(data_dir)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    if fs::read_dir(data_dir)?.next().is_some() {
        bail!(
            "`{shown}` is open to others and not empty; wanted a new or private directory (0700)"
        );
    }
    fs::set_permissions(data_dir, fs::Permissions::from_mode(0o700))?;
    Ok(())
}

/// Adds an organisation to a database that exists.
///
/// # Errors
/// When there is no database, or an organisation of that id.
pub(crate) fn add_to(
    storage: &StorageArguments,
    org_id: Option<String>,
    name: &str,
) -> anyhow::Result<FirstKeys> {
    let master = MasterKey::load(storage)?;
    let connection = storage.database()?.open()?;
    super::check_master_key(&connection, &master)?;
    add(&connection, &master, org_id, name)
}

fn add(
    connection: &Connection,
    master: &MasterKey,
    org_id: Option<String>,
    name: &str,
) -> anyhow::Result<FirstKeys> {
    let org_id = match org_id {
        Some(id) if AgentId::parse(&id).is_err() => {
            bail!("organisation id must be 1 to 128 characters of A-Z a-z 0-9 _ . : -")
        }
        Some(id) => id,
        None => random::uuid()?,
    };
    let (bundle_seed, token_seed) = (random::bytes::<32>()?, random::bytes::<32>()?);
    let audit_key = derive_audit_key(&token_seed);
    let nothing = AuditWalk::default();
    let now = clock::unix_seconds();
    connection.begin_writing()?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO cp_organisations
            (id, name, revision, mint_epoch, settings, bundle_key, token_key, audit_head,
             audit_statement, created_at)
         VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, '', ?7, ?8) ON CONFLICT DO NOTHING",
    )?;
    let inserted = insert.execute((
        &org_id,
        name,
        sql_integer(clock::mint_epoch(now)),
        serde_json::to_string(&Settings::default())?,
        master.seal(&bundle_key_label(&org_id), &bundle_seed)?,
        master.seal(&token_key_label(&org_id), &token_seed)?,
        signed(AuditStatementKind::Head, &org_id, &nothing, &audit_key),
        sql_integer(now),
    ))?;
    if inserted == 0 {
        bail!("organisation `{org_id}` already exists");
    }
    for section in SectionName::ALL {
        connection
            .prepare_cached("INSERT INTO cp_sections (org_id, name, revision) VALUES (?1, ?2, 1)")?
            .execute((&org_id, section.as_str()))?;
    }
    let first_key = |role: Role| -> anyhow::Result<String> {
        let (key, record) = NewKey::generated(role, format!("first {} key", role.as_str()))?;
        KeyRecord::insert(connection, &org_id, &record)?;
        Ok(key)
    };
    let admin_key = first_key(Role::Admin)?;
    let proxy_key = first_key(Role::Proxy)?;
    connection.commit()?;
    let trust_root = SigningKey::from_seed(bundle_seed).verifying_key().to_text();
    Ok(FirstKeys {
        org_id,
        admin_key,
        proxy_key,
        trust_root,
    })
}

pub(super) fn bundle_key_label(org_id: &str) -> String {
    format!("organisation/{org_id}/bundle_key")
}

pub(super) fn token_key_label(org_id: &str) -> String {
    format!("organisation/{org_id}/token_key")
}
