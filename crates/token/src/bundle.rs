//! The detached signature of a bundle.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{SigningKey, VerifyingKey};

/// Keeps a bundle's signature from being taken for anything else's.
const DOMAIN: &[u8] = b"clampd-bundle-v1\n";

/// Why a bundle is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleSignatureError {
    /// There was none.
    #[error("bundle has no signature")]
    Missing,
    /// It is not the trust root's over this body.
    #[error("bundle signature does not verify")]
    Invalid,
}

/// Signs a bundle's body as it will be sent; the result goes into `x-clampd-signature`.
pub fn sign_bundle(body: &[u8], key: &SigningKey) -> String {
    URL_SAFE_NO_PAD.encode(key.sign(&signed_bytes(body)))
}

/// Checks a bundle's body against its signature. None is as bad as a wrong one.
///
/// # Errors
/// [`BundleSignatureError`] when the bundle must not be used.
pub fn verify_bundle(
    body: &[u8],
    signature: Option<&str>,
    trust_root: &VerifyingKey,
) -> Result<(), BundleSignatureError> {
    let signature = signature
        .filter(|s| !s.is_empty())
        .ok_or(BundleSignatureError::Missing)?;
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| BundleSignatureError::Invalid)?;
    if trust_root.verifies(&signed_bytes(body), &signature) {
        Ok(())
    } else {
        Err(BundleSignatureError::Invalid)
    }
}

fn signed_bytes(body: &[u8]) -> Vec<u8> {
    [DOMAIN, body].concat()
}

#[cfg(test)]
mod tests {
    use super::{BundleSignatureError, sign_bundle, verify_bundle};
    use crate::SigningKey;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn only_the_signed_bundle_is_believed() {
        let key = SigningKey::from_seed([7; 32]);
        let root = key.verifying_key();
        let signature = sign_bundle(b"{\"revision\":1}", &key);
        assert_eq!(
            verify_bundle(b"{\"revision\":1}", Some(&signature), &root),
            Ok(())
        );

        let other = SigningKey::from_seed([8; 32]);
        for (body, signature, why) in [
            (
                &b"{\"revision\":2}"[..],
                Some(signature.as_str()),
                BundleSignatureError::Invalid,
            ),
            (
                b"{\"revision\":1}",
                Some(&sign_bundle(b"{\"revision\":1}", &other)),
                BundleSignatureError::Invalid,
            ),
            (
                b"{\"revision\":1}",
                Some("!"),
                BundleSignatureError::Invalid,
            ),
            (b"{\"revision\":1}", Some(""), BundleSignatureError::Missing),
            (b"{\"revision\":1}", None, BundleSignatureError::Missing),
        ] {
            assert_eq!(verify_bundle(body, signature, &root), Err(why));
        }
    }
}
