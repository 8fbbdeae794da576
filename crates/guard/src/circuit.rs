//! Whether the control plane is worth asking (the circuit breaker pattern; Nygard, "Release It!").
//!
//! After a few failures in a row nobody waits for it any more: calls are refused or minted here at
//! once, as the configuration says. Once in a while one call is made as a probe, and its answer
//! closes the circuit. The state is a record that all workers share.

use crate::Micros;

/// Failures in a row that open the circuit.
const FAILURES_MAX: u32 = 5;
/// How long it then stays open before one call is tried.
const OPEN_MICROS: Micros = 2_000_000;

/// What is known of the control plane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Circuit {
    /// Failures in a row.
    failures: u32,
    /// When the next call may be made; it counts while the circuit is open.
    next_at: Micros,
}

/// Whether a call may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// It may.
    Given,
    /// It may, as the one probe, by whoever puts this state in the place of the one that was read.
    Probe(Circuit),
    /// It may not.
    Refused,
}

impl Circuit {
    /// Reads a record that [`Circuit::record`] wrote; where there is none, nothing has failed.
    pub fn read(record: Option<&[u8]>) -> Self {
        let parts = record.and_then(|record| {
            let (failures, next_at) = record.split_first_chunk()?;
            Some(Self {
                failures: u32::from_le_bytes(*failures),
                next_at: Micros::from_le_bytes(*next_at.first_chunk()?),
            })
        });
        parts.unwrap_or_default()
    }

    /// The record of it.
    pub fn record(self) -> Vec<u8> {
        let mut record = self.failures.to_le_bytes().to_vec();
        record.extend(self.next_at.to_le_bytes());
        record
    }

    /// Whether a call that may take `timeout_ms` may be made now.
    pub fn ask(self, timeout_ms: u64, now: Micros) -> Permit {
        if self.failures < FAILURES_MAX {
            return Permit::Given;
        }
        if now < self.next_at {
            return Permit::Refused;
        }
        // A probe whose caller went away is never told of, so the next one waits for its time only.
        let next_at = now.saturating_add(timeout_ms.saturating_mul(1_000));
        Permit::Probe(Self { next_at, ..self })
    }

    /// What is known once a call was answered, or was not; `None` where that changes nothing.
    pub fn told(self, is_answered: bool, now: Micros) -> Option<Self> {
        if is_answered {
            return (self != Self::default()).then(Self::default);
        }
        Some(Self {
            failures: self.failures.saturating_add(1),
            next_at: now.saturating_add(OPEN_MICROS),
        })
    }

    /// Whether it has just opened.
    pub fn has_opened(self) -> bool {
        self.failures == FAILURES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::{Circuit, FAILURES_MAX, OPEN_MICROS, Permit};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn after(failures: u32, now: u64) -> Circuit {
        (0..failures).fold(Circuit::default(), |circuit, _| {
            circuit.told(false, now).unwrap()
        })
    }

    #[test]
    fn a_few_failures_stop_nobody() {
        let circuit = after(FAILURES_MAX - 1, 7);
        assert_eq!(circuit.ask(1_000, 7), Permit::Given);
        assert_eq!(circuit.told(true, 8), Some(Circuit::default()));
        assert_eq!(Circuit::default().told(true, 9), None);
    }

    #[test]
    fn an_open_circuit_lets_one_probe_through_at_a_time() {
        let open = after(FAILURES_MAX, 7);
        assert!(open.has_opened());
        assert_eq!(open.ask(1_000, 7 + OPEN_MICROS - 1), Permit::Refused);
        let then = 7 + OPEN_MICROS;
        let Permit::Probe(probing) = open.ask(1_000, then) else {
            panic!("no probe");
        };
        assert_eq!(probing.ask(1_000, then), Permit::Refused);
        // The probe was never told of.
        assert!(matches!(
            probing.ask(1_000, then + 1_000_000),
            Permit::Probe(_)
        ));
        let reopened = probing.told(false, then).unwrap();
        assert!(!reopened.has_opened());
        assert_eq!(reopened.ask(1_000, then + 1), Permit::Refused);
        let closed = probing.told(true, then).unwrap();
        assert_eq!(closed.ask(1_000, then), Permit::Given);
    }

    #[test]
    fn the_record_is_read_as_it_was_written() {
        let open = after(FAILURES_MAX, u64::MAX);
        assert_eq!(Circuit::read(Some(&open.record())), open);
        for record in [None, Some(&b""[..]), Some(&[1, 2, 3][..])] {
            assert_eq!(Circuit::read(record), Circuit::default());
        }
    }
}
