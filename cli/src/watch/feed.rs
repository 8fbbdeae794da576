//! Asks the cluster for what the screen shows, again and again.

use std::{
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::screen::Seen;
use crate::{
    audit::events::{Event, Events},
    cluster::health,
    control_plane::{ControlPlane, list_of},
    error::CliError,
    global::Global,
    http::path_segment,
};

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Looks that may wait to be shown.
const SEEN_MAX: usize = 4;
/// Events of the past that the first look takes.
const EVENTS_FIRST: u32 = 100;

/// What the screen asks to be done.
#[derive(Debug)]
pub(super) enum Wish {
    /// Kill the agent of that id, with what it delegated to.
    Kill(String),
}

/// The thread that asks. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Feed {
    seen: Receiver<Seen>,
    wishes: Sender<Wish>,
}

impl Feed {
    /// Goes on where the first look left the trail.
    pub(super) fn start(global: Global, events: Option<Events>) -> Self {
        let (send_seen, seen) = mpsc::sync_channel(SEEN_MAX);
        let (wishes, wished) = mpsc::channel();
        thread::spawn(move || ask(&global, events, &send_seen, &wished));
        Self { seen, wishes }
    }

    /// What was seen and not shown yet.
    pub(super) fn next(&self) -> Option<Seen> {
        self.seen.try_recv().ok()
    }

    pub(super) fn wish(&self, wish: Wish) {
        // The thread only ends with us.
        let _ = self.wishes.send(wish);
    }
}

fn ask(
    global: &Global,
    mut events: Option<Events>,
    seen: &SyncSender<Seen>,
    wished: &Receiver<Wish>,
) {
    loop {
        let note = match wished.recv_timeout(INTERVAL) {
            Ok(Wish::Kill(id)) => Some(match kill(global, &id) {
                Ok(()) => format!("{id} is killed"),
                Err(error) => error.to_string(),
            }),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut look = look(global, &mut events).unwrap_or_else(|error| Seen {
            note: Some(error.to_string()),
            ..Seen::default()
        });
        look.note = note.or(look.note);
        if seen.send(look).is_err() {
            return;
        }
    }
}

fn kill(global: &Global, id: &str) -> Result<(), CliError> {
    let path = format!("/v1/agents/{}/kill", path_segment(id));
    let order = json!({ "reason": "killed from clampd watch", "cascade": true });
    ControlPlane::of(global)?.post(&path, &order).map(drop)
}

/// One look at everything. `events` is where the trail was left at the look before.
pub(super) fn look(global: &Global, events: &mut Option<Events>) -> Result<Seen, CliError> {
    let control_plane = ControlPlane::of(global)?;
    let services = health::of_cluster(global)?;
    let mut seen = Seen {
        services: Some(services),
        ..Seen::default()
    };
    // A part that cannot be had leaves on the screen what it showed before.
    match agents_and_events(&control_plane, events) {
        Ok((agents, new)) => (seen.agents, seen.events) = (Some(agents), new),
        Err(error) => seen.note = Some(error.to_string()),
    }
    Ok(seen)
}

fn agents_and_events(
    control_plane: &ControlPlane,
    events: &mut Option<Events>,
) -> Result<(Vec<Value>, Vec<Event>), CliError> {
    let agents = control_plane.get("/v1/agents")?;
    let events = match events {
        Some(events) => {
            events.more(control_plane)?;
            events
        }
        None => events.insert(Events::last(control_plane, EVENTS_FIRST)?),
    };
    Ok((list_of(&agents, "agents").to_vec(), events.take()))
}
