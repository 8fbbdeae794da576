//! Who waits for a revision, and how they are woken.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

/// The next change of one organisation: 0 until it happens, then the revision that it made. It
/// happens once, and then a new wave begins.
pub(crate) type Wave = Arc<watch::Sender<u64>>;

/// One [`Wave`] for each organisation that someone waits for.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    waves: Mutex<HashMap<String, Wave>>,
}

impl Changes {
    /// The change that comes next. Take it before reading the revision, else one is missed.
    ///
    /// Its `closed()` resolves when everyone who waited for it has gone on.
    pub(crate) fn next(&self, org_id: &str) -> Wave {
        let mut waves = self.waves.lock().unwrap_or_else(PoisonError::into_inner);
        match waves.get(org_id) {
            Some(wave) => Arc::clone(wave),
            None => {
                let wave = Wave::new(watch::Sender::new(0));
                waves.insert(org_id.to_owned(), Arc::clone(&wave));
                wave
            }
        }
    }

    /// Wakes all who wait for a change of the organisation, which is at `revision` now.
    pub(super) fn publish(&self, org_id: &str, revision: u64) {
        let wave = self
            .waves
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(org_id);
        if let Some(wave) = wave {
            wave.send_replace(revision);
        }
    }
}
