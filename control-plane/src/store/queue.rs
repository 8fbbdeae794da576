//! What waits for the writing thread: what is urgent goes before what is bulky.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many urgent mutations may wait; more wait for room.
const URGENT_MAX: usize = 1_024;

/// How many bulky mutations may wait; more wait for room.
const BULKY_MAX: usize = 2;

/// How soon a mutation must be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Someone waits for it: a kill, an introspection.
    Urgent,
    /// It is long, and may come after all that is urgent: a batch of audit events.
    Bulky,
}

/// A bounded queue of two ranks, from many tasks to one thread.
pub(super) struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    arrived: Condvar,
    urgent_room: Arc<Semaphore>,
    bulky_room: Arc<Semaphore>,
}

struct Waiting<T> {
    urgent: VecDeque<(T, OwnedSemaphorePermit)>,
    bulky: VecDeque<(T, OwnedSemaphorePermit)>,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        let waiting = Waiting {
            urgent: VecDeque::new(),
            bulky: VecDeque::new(),
            closed: false,
        };
        Self {
            waiting: Mutex::new(waiting),
            arrived: Condvar::new(),
            urgent_room: Arc::new(Semaphore::new(URGENT_MAX)),
            bulky_room: Arc::new(Semaphore::new(BULKY_MAX)),
        }
    }

    /// Puts `entry` at the end of its rank, as soon as there is room. Once closed, it is dropped.
    pub(super) async fn push(&self, urgency: Urgency, entry: T) {
        let room = match urgency {
            Urgency::Urgent => &self.urgent_room,
            Urgency::Bulky => &self.bulky_room,
        };
        let Ok(permit) = Arc::clone(room).acquire_owned().await else {
            return;
        };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.closed {
            return;
        }
        match urgency {
            Urgency::Urgent => waiting.urgent.push_back((entry, permit)),
            Urgency::Bulky => waiting.bulky.push_back((entry, permit)),
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    /// The next entry; waits for one. None when the queue is closed and empty.
    pub(super) fn pop(&self) -> Option<T> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(entry) = waiting.next() {
                return Some(entry);
            }
            if waiting.closed {
                return None;
            }
            waiting = self
                .arrived
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next entry, if one waits.
    pub(super) fn try_pop(&self) -> Option<T> {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next()
    }

    /// Takes no more entries; those that wait are still popped.
    pub(super) fn close(&self) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .closed = true;
        self.arrived.notify_one();
    }
}

impl<T> Waiting<T> {
    fn next(&mut self) -> Option<T> {
        let next = self.urgent.pop_front().or_else(|| self.bulky.pop_front());
        next.map(|(entry, _permit)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::{Queue, Urgency};

    #[tokio::test]
    async fn what_is_urgent_goes_first_and_a_closed_queue_is_emptied() {
        let queue = Queue::new();
        for (urgency, entry) in [
            (Urgency::Bulky, 1),
            (Urgency::Urgent, 2),
            (Urgency::Bulky, 3),
            (Urgency::Urgent, 4),
        ] {
            queue.push(urgency, entry).await;
        }
        queue.close();
        queue.push(Urgency::Urgent, 5).await;
        let popped: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(popped, [2, 4, 1, 3]);
    }
}
