//! Bundles: built, signed, and waited for.

use std::time::Duration;

use clampd_token::sign_bundle;
use tokio::time::{Instant, timeout_at};

use crate::{
    clock,
    service::Service,
    store::{BundleRequest, StoreError},
};

/// A bundle as it is sent.
#[derive(Debug)]
pub(crate) struct SignedBundle {
    pub(crate) body: Vec<u8>,
    pub(crate) signature: String,
    pub(crate) revision: u64,
}

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
) -> Result<SignedBundle, StoreError> {
    let deadline = Instant::now() + wait;
    let mut stopping = service.stopping();
    loop {
        // Taken before the revision is read, so that no change falls between.
        let wave = service.store.changes().next(org_id);
        let mut change = wave.subscribe();
        drop(wave);
        let revision = service.store.revision(org_id.to_owned()).await?;
        let over = Instant::now() >= deadline || *stopping.borrow();
        if revision != since || since == 0 || over {
            // `change` lives until the bundle is made: a kill waits for that.
            let bundle = sign(service, org_id, proxy_id, since).await;
            drop(change);
            return bundle;
        }
        let _waiting = service.metrics.poll_waits();
        tokio::select! {
            _ = change.wait_for(|changed| *changed) => {}
            _ = timeout_at(deadline, stopping.wait_for(|stopping| *stopping)) => {}
        }
    }
}

async fn sign(
    service: &Service,
    org_id: &str,
    proxy_id: &str,
    since: u64,
) -> Result<SignedBundle, StoreError> {
    let keys = service.signing_keys(org_id).await?;
    let bundle = service
        .store
        .bundle(BundleRequest {
            org_id: org_id.to_owned(),
            proxy_id: proxy_id.to_owned(),
            since,
            token_key: keys.token.verifying_key(),
            now: clock::unix_seconds(),
            validity_seconds: service.settings.bundle_validity_seconds,
        })
        .await?;
    let body = serde_json::to_vec(&bundle)
        .map_err(|_| StoreError::Unreadable(crate::store::Noun::Organisation))?;
    let signature = sign_bundle(&body, &keys.bundle);
    Ok(SignedBundle {
        body,
        signature,
        revision: bundle.revision,
    })
}
