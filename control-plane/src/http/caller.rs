//! Who calls, proven by the key in `Authorization`.

use std::{net::SocketAddr, sync::atomic::Ordering};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{header, request::Parts},
};
use clampd_token::sha256_hex;

use super::{App, error::ApiError};
use crate::{
    access::{Role, is_key},
    store::KeyRecord,
};

/// Anyone with a key.
#[derive(Debug)]
pub(super) struct AnyCaller;

/// A caller whose key grants a role.
macro_rules! callers {
    ($($(#[$doc:meta])* $name:ident => $role:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(super) struct $name(pub(super) KeyRecord);

        impl FromRequestParts<App> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
                let key = authenticate(parts, app).await?;
                if key.role.grants($role) {
                    Ok(Self(key))
                } else {
                    Err(ApiError::forbidden_role($role.as_str()))
                }
            }
        }
    )+};
}

callers! {
    /// Whoever manages keys.
    Admin => Role::Admin;
    /// Whoever changes agents, tools, policies and settings.
    Operator => Role::Operator;
    /// Whoever reads.
    Auditor => Role::Auditor;
    /// A gateway.
    Proxy => Role::Proxy;
    /// A tool's service.
    ToolService => Role::Tool;
}

impl FromRequestParts<App> for AnyCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        authenticate(parts, app).await.map(|_| Self)
    }
}

pub(super) async fn authenticate(parts: &Parts, app: &App) -> Result<KeyRecord, ApiError> {
    let outcome = look_up(parts, app).await;
    if outcome.is_err() {
        app.metrics.keys_refused.fetch_add(1, Ordering::Relaxed);
    }
    outcome
}

async fn look_up(parts: &Parts, app: &App) -> Result<KeyRecord, ApiError> {
    let key = bearer(parts).ok_or_else(ApiError::missing_api_key)?;
    let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let address = address.map_or([0, 0, 0, 0].into(), |ConnectInfo(address)| address.ip());
    let sha256 = sha256_hex(key.as_bytes());
    if let Some(seconds) = app.brake.wait(address, key, &sha256) {
        return Err(ApiError::rate_limited(seconds));
    }
    let record = if is_key(key) {
        app.store.key_by_hash(sha256.clone()).await?
    } else {
        None
    };
    match record {
        Some(record) => {
            app.brake.succeeded(address, &sha256);
            Ok(record)
        }
        None => {
            app.brake.failed(address, key);
            Err(ApiError::invalid_api_key())
        }
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}
