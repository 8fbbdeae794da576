//! JSON Web Signatures in compact form (RFC 7515), the two algorithms that Clampd uses.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::Sha256;

use crate::SigningKey;

/// The longest token that is read, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// A token cut at its dots, not yet verified.
pub(crate) struct Jws<'a> {
    pub(crate) header: Header,
    payload: &'a str,
    signed: &'a str,
    signature: Vec<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) alg: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) typ: Option<String>,
    /// Extensions that must be understood (RFC 7515 section 4.1.11); none is, here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) crit: Option<serde_json::Value>,
}

impl<'a> Jws<'a> {
    /// Cuts a token; `None` when it is no compact JWS with a header that can be honoured.
    pub(crate) fn parse(token: &'a str) -> Option<Self> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        if payload.contains('.') {
            return None;
        }
        let header: Header = decode_json(header)?;
        if header.crit.is_some() {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        Some(Self {
            header,
            payload,
            signed,
            signature,
        })
    }

    /// The claims. They prove nothing before one of the `is_signed_with` has said yes.
    pub(crate) fn claims<T: DeserializeOwned>(&self) -> Option<T> {
        decode_json(self.payload)
    }

    /// Whether it was signed by HMAC-SHA256 with this key; compared in constant time.
    pub(crate) fn is_signed_with_hmac(&self, key: &[u8]) -> bool {
        match Hmac::<Sha256>::new_from_slice(key) {
            Ok(mac) => mac
                .chain_update(self.signed.as_bytes())
                .verify_slice(&self.signature)
                .is_ok(),
            Err(_) => false,
        }
    }

    /// Whether it was signed by Ed25519 with this key.
    pub(crate) fn is_signed_with_ed25519(&self, key: &crate::VerifyingKey) -> bool {
        key.verifies(self.signed.as_bytes(), &self.signature)
    }
}

/// Signs claims by HMAC-SHA256.
pub(crate) fn sign_hmac<T: Serialize>(claims: &T, key_id: Option<&str>, key: &[u8]) -> String {
    let signed = signing_input("HS256", key_id, claims);
    let signature = hmac_sha256(key, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Signs claims by Ed25519.
pub(crate) fn sign_ed25519<T: Serialize>(claims: &T, key_id: &str, key: &SigningKey) -> String {
    let signed = signing_input("EdDSA", Some(key_id), claims);
    let signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// HMAC-SHA256 (RFC 2104); a key of any length will do.
pub(crate) fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mac) => mac.chain_update(message).finalize().into_bytes().into(),
        Err(_) => [0; 32],
    }
}

fn signing_input<T: Serialize>(alg: &str, key_id: Option<&str>, claims: &T) -> String {
    let header = Header {
        alg: alg.to_owned(),
        kid: key_id.map(str::to_owned),
        typ: Some("JWT".to_owned()),
        crit: None,
    };
    format!("{}.{}", encode_json(&header), encode_json(claims))
}

fn encode_json<T: Serialize>(value: &T) -> String {
    // Our own structs of strings and numbers always serialise.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap_or_default())
}

fn decode_json<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
