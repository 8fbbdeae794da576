//! Encryption at rest: secrets are sealed with a master key that is not in the database.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt, path::PathBuf};

use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305,
    aead::{Aead, Payload},
};

use crate::{config::StorageArguments, random};

/// The environment variable that holds the master key where no file should: 32 bytes in base64.
const MASTER_KEY_ENV: &str = "CLAMPD_MASTER_KEY";

/// The file in the data directory that holds the master key where the environment does not.
const MASTER_KEY_FILE: &str = "master.key";

const NONCE_BYTES: usize = 24;

/// Seals and opens secrets (XChaCha20-Poly1305). `Debug` prints nothing of the key.
pub(crate) struct MasterKey {
    bytes: [u8; 32],
    cipher: XChaCha20Poly1305,
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// What was sealed does not open: it was altered, moved, or sealed with another master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed secret does not open with this master key")]
pub struct SealBroken;

impl MasterKey {
    /// The master key of 32 bytes.
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        Self {
            bytes,
            cipher: XChaCha20Poly1305::new(&bytes.into()),
        }
    }

    /// Reads the master key that the environment gives, or else the file in the data directory.
    ///
    /// # Errors
    /// When there is none, or it is not 32 bytes of base64.
    pub(crate) fn load(storage: &StorageArguments) -> anyhow::Result<Self> {
        if let Some(text) = &storage.master_key {
            return parse(text).with_context(|| format!("reading {MASTER_KEY_ENV}"));
        }
        let path = Self::file(storage)?;
        let text =
            fs::read_to_string(&path).with_context(|| format!("reading `{}`", path.display()))?;
        parse(&text).with_context(|| format!("reading `{}`", path.display()))
    }

    /// Reads the master key; where there is none, makes one and its file, readable by its owner only.
    ///
    /// # Errors
    /// When it cannot be read or the file cannot be written.
    pub(crate) fn load_or_create(storage: &StorageArguments) -> anyhow::Result<Self> {
        if storage.master_key.is_some() {
            return Self::load(storage);
        }
        let path = Self::file(storage)?;
        if path.exists() {
            return Self::load(storage);
        }
        let bytes = random::bytes::<32>()?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("creating `{}`", path.display()))?;
        writeln!(file, "{}", STANDARD.encode(bytes))?;
        file.sync_all()?;
        Ok(Self::new(bytes))
    }

    fn file(storage: &StorageArguments) -> anyhow::Result<PathBuf> {
        match &storage.data {
            Some(directory) => Ok(directory.join(MASTER_KEY_FILE)),
            None => bail!("{MASTER_KEY_ENV} is required where no data directory is given"),
        }
    }

    /// The bytes, for deriving keys from.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Seals `secret`; it opens only under the same `label`, so that no row can stand for another.
    ///
    /// # Errors
    /// When there are no random bytes.
    pub(crate) fn seal(&self, label: &str, secret: &[u8]) -> Result<Vec<u8>, random::NoEntropy> {
        let nonce = random::bytes::<NONCE_BYTES>()?;
        let payload = Payload {
            msg: secret,
            aad: label.as_bytes(),
        };
        let sealed = self
            .cipher
            .encrypt(&nonce.into(), payload)
            .map_err(|_| random::NoEntropy)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what was sealed under `label`.
    ///
    /// # Errors
    /// [`SealBroken`] for anything else.
    pub(crate) fn open(&self, label: &str, sealed: &[u8]) -> Result<Vec<u8>, SealBroken> {
        let (nonce, sealed) = sealed
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(SealBroken)?;
        let payload = Payload {
            msg: sealed,
            aad: label.as_bytes(),
        };
        self.cipher
            .decrypt(&(*nonce).into(), payload)
            .map_err(|_| SealBroken)
    }
}

fn parse(text: &str) -> anyhow::Result<MasterKey> {
    let Ok(bytes) = STANDARD.decode(text.trim()) else {
        bail!("master key is not base64")
    };
    match bytes.try_into() {
        Ok(bytes) => Ok(MasterKey::new(bytes)),
        Err(_) => bail!("master key is not 32 bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::{MasterKey, SealBroken};

    #[test]
    fn a_sealed_secret_opens_only_with_its_key_and_under_its_label() {
        let key = MasterKey::new([7; 32]);
        let sealed = key.seal("agent:a", b"ags_1").unwrap();
        assert_eq!(key.open("agent:a", &sealed), Ok(b"ags_1".to_vec()));
        assert_eq!(key.open("agent:b", &sealed), Err(SealBroken));
        assert_eq!(
            MasterKey::new([8; 32]).open("agent:a", &sealed),
            Err(SealBroken)
        );
        assert_eq!(key.open("agent:a", &sealed[..30]), Err(SealBroken));
        assert!(!sealed.windows(5).any(|w| w == b"ags_1"));
    }
}
