//! A value that must never be printed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Key material. `Debug` and `Display` print `…`; only [`Secret::expose`] gives the bytes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps key material.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The key material itself, for the one call that signs or compares with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("ags_0123");
        assert_eq!(format!("{secret} {secret:?}"), "… …");
    }
}
