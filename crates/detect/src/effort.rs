//! What one leaf may cost. Work that a text can multiply beyond its own length is paid for here;
//! a text that asks for more than it may is not read to its end, and that is a finding.

use std::cell::Cell;

use crate::limits::{EFFORT_BASE, EFFORT_RATIO};

/// How many bytes may still be looked at again in one leaf.
#[derive(Debug)]
pub(crate) struct Effort {
    bytes_left: Cell<usize>,
    is_exceeded: Cell<bool>,
}

impl Effort {
    /// The effort that a leaf of this length is worth.
    pub(crate) fn for_leaf(bytes: usize) -> Self {
        Self {
            bytes_left: Cell::new(
                bytes
                    .saturating_mul(EFFORT_RATIO)
                    .saturating_add(EFFORT_BASE),
            ),
            is_exceeded: Cell::new(false),
        }
    }

    /// Takes `bytes` of it; `false` when they are not there any more, now and from now on.
    #[must_use]
    pub(crate) fn spend(&self, bytes: usize) -> bool {
        match self.bytes_left.get().checked_sub(bytes) {
            Some(left) if !self.is_exceeded() => self.bytes_left.set(left),
            _ => self.exceed(),
        }
        !self.is_exceeded()
    }

    /// Notes that something was left unread.
    pub(crate) fn exceed(&self) {
        self.is_exceeded.set(true);
    }

    /// Whether something was left unread.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.is_exceeded.get()
    }
}
