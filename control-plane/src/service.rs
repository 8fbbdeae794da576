//! The running service: what it holds, how it starts and how it ends.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinHandle,
};

use crate::{
    access::Brake,
    bundle::SharedBundles,
    clock,
    config::{Settings, StorageArguments},
    http,
    metrics::Metrics,
    policies::Policies,
    query::Queries,
    seal::MasterKey,
    store::{self, Closed, FirstKeys, SigningKeys, Store, StoreError},
    tls::Tls,
    traces::Traces,
};

/// Between looks at what has expired.
const TIDY_INTERVAL: Duration = Duration::from_secs(10);

/// How long open requests may take to end when the service stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Everything that a request may need.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) store: Arc<Store>,
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
    pub(crate) brake: Brake,
    pub(crate) queries: Queries,
    pub(crate) shared_bundles: SharedBundles,
    /// One for each stream or export of audit events that may be open.
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) policies: Policies,
    /// Where a collector is configured.
    pub(crate) traces: Option<Arc<Traces>>,
    signing_keys: Mutex<HashMap<String, Arc<SigningKeys>>>,
    stopping: watch::Receiver<bool>,
}

impl Service {
    /// The organisation's signing keys, opened once; they never change.
    pub(crate) async fn signing_keys(&self, org_id: &str) -> Result<Arc<SigningKeys>, StoreError> {
        let known = |service: &Self| {
            let keys = service
                .signing_keys
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            keys.get(org_id).cloned()
        };
        if let Some(keys) = known(self) {
            return Ok(keys);
        }
        let keys = Arc::new(self.store.signing_keys(org_id.to_owned()).await?);
        let mut all = self
            .signing_keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.insert(org_id.to_owned(), Arc::clone(&keys));
        Ok(keys)
    }

    /// Turns true when the service is to end.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.clone()
    }
}

/// Makes the database and its first organisation.
///
/// # Errors
/// When there is a database already, or something cannot be made.
pub fn initialise(
    storage: &StorageArguments,
    org_id: Option<String>,
    org_name: &str,
) -> anyhow::Result<FirstKeys> {
    store::initialise(storage, org_id, org_name)
}

/// Adds an organisation to a database that exists.
///
/// # Errors
/// When there is no database, or an organisation of that id.
pub fn add_organisation(
    storage: &StorageArguments,
    org_id: Option<String>,
    org_name: &str,
) -> anyhow::Result<FirstKeys> {
    store::add_organisation(storage, org_id, org_name)
}

/// A service that runs.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    tls: Option<Arc<Tls>>,
    traces: Option<Arc<Traces>>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    closed: Closed,
}

impl Running {
    /// Reads the certificate, its key and the clients' roots again. What cannot be used leaves the
    /// old ones in force; connections that are open go on as they are.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn reload_tls(&self) -> anyhow::Result<()> {
        self.tls.as_ref().map_or(Ok(()), |tls| tls.reload())
    }

    /// Ends the service: long polls are answered at once, other requests may finish.
    ///
    /// # Errors
    /// When serving failed.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        let ended = async {
            let served = self.serving.await;
            // Connections and tasks may hold the store a little longer than the listener.
            let _ = self.closed.await;
            served
        };
        let served = match tokio::time::timeout(DRAIN_TIMEOUT, ended).await {
            Ok(served) => served,
            // Whoever keeps a connection open that long is cut off.
            Err(_) => Ok(()),
        };
        if let Some(traces) = self.traces {
            tokio::task::spawn_blocking(move || traces.stop()).await?;
        }
        Ok(served?)
    }
}

/// Whether the service could start: the files can be read, the database answers, and what is sealed
/// in it opens with the master key. Nothing is changed, and a service that runs is not disturbed.
///
/// # Errors
/// Says what cannot be used.
pub fn check(storage: &StorageArguments, settings: &Settings) -> anyhow::Result<()> {
    settings.tls.clone().map(Tls::load).transpose()?;
    let (database, master) = (storage.database()?, MasterKey::load(storage)?);
    store::check(&database, &master).context("opening the database")
}

/// Starts the service.
///
/// # Errors
/// When the database, the master key or the address cannot be used.
pub async fn start(
    storage: &StorageArguments,
    listen: SocketAddr,
    settings: Settings,
) -> anyhow::Result<Running> {
    let tls = settings
        .tls
        .clone()
        .map(Tls::load)
        .transpose()?
        .map(Arc::new);
    let (database, master) = (storage.database()?, MasterKey::load(storage)?);
    let opening = tokio::task::spawn_blocking(|| Store::open(database, master));
    let (store, closed) = opening.await?.context("opening the database")?;
    store
        .begin_mint_epoch(clock::mint_epoch(clock::unix_seconds()))
        .await?;
    let traces = settings.collector.as_ref().map(Traces::start);
    let traces = traces.transpose()?.map(Arc::new);
    let (stop, stopping) = watch::channel(false);
    let service = Arc::new(Service {
        store: Arc::new(store),
        settings,
        metrics: Metrics::default(),
        brake: Brake::default(),
        queries: Queries::default(),
        shared_bundles: SharedBundles::default(),
        streams: Arc::new(Semaphore::new(http::STREAMS_MAX)),
        policies: Policies::new()?,
        traces: traces.clone(),
        signing_keys: Mutex::default(),
        stopping: stopping.clone(),
    });
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("listening on `{listen}`"))?;
    let address = listener.local_addr()?;
    tokio::spawn(tidy(Arc::clone(&service)));
    let serving = http::serve(listener, http::router(service), tls.clone(), stopping);
    Ok(Running {
        address,
        tls,
        traces,
        stop,
        serving: tokio::spawn(serving),
        closed,
    })
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that whoever could stop the service is gone, which stops it too.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// Forgets what has expired and begins new epochs, until the service ends.
async fn tidy(service: Arc<Service>) {
    let mut interval = tokio::time::interval(TIDY_INTERVAL);
    let ended = stopped(service.stopping());
    tokio::pin!(ended);
    loop {
        tokio::select! {
            () = &mut ended => return,
            _ = interval.tick() => {}
        }
        let now = clock::unix_seconds();
        if let Err(error) = service.store.purge_spent_tokens(now).await {
            tracing::warn!(%error, "cannot forget expired tokens");
        }
        if let Err(error) = service.store.purge_sessions(clock::unix_micros()).await {
            tracing::warn!(%error, "cannot forget old sessions");
        }
        if let Err(error) = service.store.purge_idempotency(now).await {
            tracing::warn!(%error, "cannot forget old answers");
        }
        if let Err(error) = service.store.begin_mint_epoch(clock::mint_epoch(now)).await {
            tracing::warn!(%error, "cannot begin an epoch");
        }
        if let Err(error) = cut_trails(&service).await {
            tracing::warn!(%error, "cannot remove old audit events");
        }
    }
}

/// How many transactions remove old audit events before what else is to be tidied has its turn.
const CUTS_MAX: usize = 200;

async fn cut_trails(service: &Service) -> Result<(), StoreError> {
    for _ in 0..CUTS_MAX {
        let is_more = service.store.cut_trails(clock::unix_micros()).await?;
        if !is_more || *service.stopping.borrow() {
            break;
        }
    }
    Ok(())
}
