//! Bundles: built, signed, and waited for.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::body::Bytes;
use clampd_token::sign_bundle;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

use crate::{
    clock,
    service::Service,
    store::{BundleRequest, Noun, StoreError},
};

/// How old an answer may be that is given to another proxy too, in seconds.
const SHARED_SECONDS_MAX: u64 = 2;

/// How many answers are kept for sharing.
const SHARED_MAX: usize = 256;

/// A bundle as it is sent.
#[derive(Debug)]
pub(crate) struct SignedBundle {
    pub(crate) body: Bytes,
    pub(crate) signature: String,
    pub(crate) revision: u64,
    issued_at: u64,
}

/// Answers that are the same for every proxy of an organisation, by organisation and `since`: a
/// change that a thousand polls wait for is read and signed once.
#[derive(Debug, Default)]
pub(crate) struct SharedBundles(Mutex<HashMap<(String, u64), Arc<SignedBundle>>>);

/// Answers a proxy's poll: at once when something changed after `since`, else as soon as it does,
/// else when `wait` is over or the service ends.
///
/// # Errors
/// When the store fails.
pub(crate) async fn poll(
    service: &Service,
    org_id: &str,
    proxy_id: &str,
    since: u64,
    wait: Duration,
) -> Result<Arc<SignedBundle>, StoreError> {
    let deadline = Instant::now() + wait;
    let mut stopping = service.stopping();
    // Taken before the revision is read, so that no change falls between. It lives until the
    // bundle is made: a kill waits for that.
    let mut change = service.store.changes().next(org_id).subscribe();
    let mut revision = service.store.revision(org_id.to_owned()).await?;
    if revision == since && since != 0 {
        let _waiting = service.metrics.poll_waits();
        tokio::select! {
            changed = change.wait_for(|revision| *revision != 0) => {
                revision = changed.map_or(revision, |changed| *changed);
            }
            () = sleep_until(deadline) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    }
    if since == 0 || since > revision {
        return sign(service, org_id, proxy_id, since)
            .await
            .map(|(bundle, _)| bundle);
    }
    // Held while signing, so that of many who ask for the same only the first signs.
    let mut shared = service.shared_bundles.0.lock().await;
    let key = (org_id.to_owned(), since);
    let young = clock::unix_seconds().saturating_sub(SHARED_SECONDS_MAX);
    if let Some(bundle) = shared.get(&key)
        && bundle.revision >= revision
        && bundle.issued_at >= young
    {
        return Ok(Arc::clone(bundle));
    }
    let (bundle, is_for_all) = sign(service, org_id, proxy_id, since).await?;
    if is_for_all {
        if shared.len() >= SHARED_MAX {
            shared.clear();
        }
        shared.insert(key, Arc::clone(&bundle));
    }
    Ok(bundle)
}

/// The bundle, and whether it is the same for every proxy.
async fn sign(
    service: &Service,
    org_id: &str,
    proxy_id: &str,
    since: u64,
) -> Result<(Arc<SignedBundle>, bool), StoreError> {
    let keys = service.signing_keys(org_id).await?;
    let issued_at = clock::unix_seconds();
    let request = BundleRequest {
        org_id: org_id.to_owned(),
        proxy_id: proxy_id.to_owned(),
        since,
        keys: Arc::clone(&keys),
        now: issued_at,
        validity_seconds: service.settings.bundle_validity_seconds,
        base_policies: Arc::clone(service.policies.base()),
    };
    let bundle = service.store.bundle(request).await?;
    let body = serde_json::to_vec(&bundle);
    let body = body.map_err(|_| StoreError::Unreadable(Noun::Organisation))?;
    let signature = sign_bundle(&body, &keys.bundle);
    let signed = SignedBundle {
        body: body.into(),
        signature,
        revision: bundle.revision,
        issued_at,
    };
    Ok((Arc::new(signed), bundle.sections.local_mint.is_none()))
}
