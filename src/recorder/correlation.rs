//! The correlation pair sent upstream, which joins the upstream's log with the records.

use std::rc::Rc;

use uuid::Uuid;

use crate::host::SharedData;
pub use crate::record::Correlation;

/// Scope of a session of numbers (`correlation.scope`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Scope {
    /// One session per stream of records.
    #[default]
    Worker,
    /// One session for all streams of the process.
    Process,
}

/// Last number of a session, 2^31 - 2. A new session begins before 2^31 - 1, the largest int32.
const LAST_NUMBER: u32 = i32::MAX.cast_unsigned() - 1;

/// Key of the process's next pair in shared data.
const KEY: &str = "audit_filter.correlation";

/// First byte of the value. It is followed by the session id, 16 bytes, and the next number, 4
/// bytes little-endian.
const FORMAT_VERSION: u8 = 1;

/// Attempts to take a number under contention, two host calls each. An attempt fails only if
/// another one succeeds. With one number per request, and no more threads than cores, repeated
/// failures are rare.
const MAX_ATTEMPTS: usize = 32;

/// Allocates the pairs of one stream of records (one configuration in one worker).
#[derive(Debug)]
pub struct Correlator {
    scope: Scope,
    /// The next pair in scope worker.
    next: Correlation,
    shared: Rc<dyn SharedData>,
}

impl Correlator {
    /// `session_id` is the stream's id: the first session in scope worker. `shared` stores the
    /// process's session in scope process.
    #[must_use]
    pub fn new(scope: Scope, session_id: Uuid, shared: Rc<dyn SharedData>) -> Self {
        Self {
            scope,
            next: Correlation {
                session_id,
                number: 0,
            },
            shared,
        }
    }

    /// The next pair. `fresh` makes a UUIDv4; called only when a session begins.
    ///
    /// `None`: `fresh` failed, shared data could not be changed, or all attempts failed under
    /// contention. No number is used up then, so the sequence has no gap.
    pub fn next(&mut self, fresh: &mut dyn FnMut() -> Option<Uuid>) -> Option<Correlation> {
        match self.scope {
            Scope::Worker => self.next_of_worker(fresh),
            Scope::Process => self.next_of_process(fresh),
        }
    }

    fn next_of_worker(&mut self, fresh: &mut dyn FnMut() -> Option<Uuid>) -> Option<Correlation> {
        let pair = usable(Some(self.next), fresh)?;
        self.next = pair.successor();
        Some(pair)
    }

    /// Takes a pair by storing its successor in shared data (compare and swap).
    ///
    /// An unreadable value is damaged, or written by another filter version in the process. It does
    /// not show which numbers were given out. A new session begins, so that no pair repeats.
    fn next_of_process(&self, fresh: &mut dyn FnMut() -> Option<Uuid>) -> Option<Correlation> {
        for _ in 0..MAX_ATTEMPTS {
            let (next, version) = match self.shared.get(KEY) {
                Some((value, version)) => (Correlation::read(&value), Some(version)),
                None => (None, None),
            };
            let pair = usable(next, fresh)?;
            if self.shared.replace(KEY, &pair.successor().value(), version) {
                return Some(pair);
            }
        }

        None
    }
}

/// The pair itself, or the first pair of a new session if this one is used up.
fn usable(
    next: Option<Correlation>,
    fresh: &mut dyn FnMut() -> Option<Uuid>,
) -> Option<Correlation> {
    match next {
        Some(pair) if pair.number <= LAST_NUMBER => Some(pair),
        _ => Some(Correlation {
            session_id: fresh()?,
            number: 0,
        }),
    }
}

impl Correlation {
    fn successor(self) -> Self {
        Self {
            number: self.number + 1,
            ..self
        }
    }

    fn value(self) -> Vec<u8> {
        [
            &[FORMAT_VERSION],
            self.session_id.as_bytes().as_slice(),
            &self.number.to_le_bytes(),
        ]
        .concat()
    }

    fn read(value: &[u8]) -> Option<Self> {
        let (&[version], rest) = value.split_first_chunk()?;
        let (session_id, number) = rest.split_first_chunk()?;
        let number = u32::from_le_bytes(number.try_into().ok()?);
        (version == FORMAT_VERSION).then_some(Self {
            session_id: Uuid::from_bytes(*session_id),
            number,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: Uuid = Uuid::from_u128(7);

    /// Shared data that scope worker must not read.
    #[derive(Debug)]
    struct NotShared;

    impl SharedData for NotShared {
        fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
            panic!("{key} was read");
        }

        fn set(&self, key: &str, _value: &[u8]) {
            panic!("{key} was set");
        }

        fn replace(&self, key: &str, _value: &[u8], _version: Option<u32>) -> bool {
            panic!("{key} was replaced");
        }
    }

    fn correlator() -> Correlator {
        Correlator::new(Scope::default(), STREAM, Rc::new(NotShared))
    }

    fn pair(session: u128, number: u32) -> Option<Correlation> {
        Some(Correlation {
            session_id: Uuid::from_u128(session),
            number,
        })
    }

    #[test]
    fn a_worker_counts_from_zero_in_its_stream() {
        let mut correlator = correlator();
        for number in 0..1000 {
            assert_eq!(correlator.next(&mut || None), pair(7, number));
        }
    }

    #[test]
    fn a_workers_session_changes_before_the_largest_int32() {
        const LAST: u32 = 2_147_483_646;

        let mut correlator = correlator();
        correlator.next.number = LAST - 1;
        assert_eq!(correlator.next(&mut || None), pair(7, LAST - 1));
        assert_eq!(correlator.next(&mut || None), pair(7, LAST));
        assert_eq!(correlator.next(&mut || None), None, "both or none");
        assert_eq!(
            correlator.next(&mut || Some(Uuid::from_u128(8))),
            pair(8, 0),
            "a later call succeeds"
        );
        assert_eq!(correlator.next(&mut || None), pair(8, 1));
    }
}
