//! Who waits for a change, and how they are woken.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

/// The next change of one organisation: 0 until it happens, then the revision (or the trail's last
/// number) that it made. It happens once, and then a new wave begins.
pub(crate) type Wave = Arc<watch::Sender<u64>>;

/// How far an organisation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) org_id: String,
    /// Its revision; 0 where only the trail grew.
    pub(crate) revision: u64,
    /// The number of its last audit event; 0 where the trail did not grow.
    pub(crate) audit_seq: u64,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.revision, self.audit_seq, self.org_id)
    }
}

impl Told {
    /// Reads what `Display` wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ' ');
        Some(Self {
            revision: parts.next()?.parse().ok()?,
            audit_seq: parts.next()?.parse().ok()?,
            org_id: parts.next()?.to_owned(),
        })
    }
}

/// One [`Wave`] for each organisation that someone waits for.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    revisions: Waves,
    trails: Waves,
}

impl Changes {
    /// The change that comes next. Take it before reading the revision, else one is missed.
    ///
    /// Its `closed()` resolves when everyone who waited for it has gone on.
    pub(crate) fn next(&self, org_id: &str) -> Wave {
        self.revisions.next(org_id)
    }

    /// The audit events that come next. Take it before reading the trail.
    pub(crate) fn next_events(&self, org_id: &str) -> Wave {
        self.trails.next(org_id)
    }

    /// Wakes all who wait for that.
    pub(super) fn publish(&self, told: &Told) {
        self.revisions.publish(&told.org_id, told.revision);
        self.trails.publish(&told.org_id, told.audit_seq);
    }
}

#[derive(Debug, Default)]
struct Waves(Mutex<HashMap<String, Organisation>>);

#[derive(Debug, Default)]
struct Organisation {
    /// What was published last: the same change may be heard twice.
    last: u64,
    wave: Option<Wave>,
}

impl Waves {
    fn next(&self, org_id: &str) -> Wave {
        let mut waves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let organisation = waves.entry(org_id.to_owned()).or_default();
        let wave = organisation
            .wave
            .get_or_insert_with(|| Wave::new(watch::Sender::new(0)));
        Arc::clone(wave)
    }

    fn publish(&self, org_id: &str, number: u64) {
        let mut waves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let organisation = waves.entry(org_id.to_owned()).or_default();
        if number <= organisation.last {
            return;
        }
        organisation.last = number;
        let wave = organisation.wave.take();
        drop(waves);
        if let Some(wave) = wave {
            wave.send_replace(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Changes, Told};

    #[test]
    fn a_change_that_is_heard_twice_wakes_once() {
        let changes = Changes::default();
        let told = |revision, audit_seq| Told {
            org_id: "o".to_owned(),
            revision,
            audit_seq,
        };
        let (first, trail) = (changes.next("o"), changes.next_events("o"));
        changes.publish(&told(7, 0));
        assert_eq!((*first.borrow(), *trail.borrow()), (7, 0));
        let second = changes.next("o");
        changes.publish(&told(7, 3));
        assert_eq!((*second.borrow(), *trail.borrow()), (0, 3));
        changes.publish(&told(8, 0));
        assert_eq!(*second.borrow(), 8);
        assert_eq!(Told::parse(&told(8, 3).to_string()), Some(told(8, 3)));
    }
}
