//! The pair that is injected upstream, so that the upstream's own log can be joined with the records.

use std::rc::Rc;

use uuid::Uuid;

use crate::host::SharedData;

/// The pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correlation {
    /// A session of numbers.
    pub session_id: Uuid,
    /// Dense in the session, from 0 to 2^31 - 2: a non-negative int32.
    pub number: u32,
}

/// Who shares a session of numbers (`correlation.scope`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Scope {
    /// Each stream of records has its own.
    #[default]
    Worker,
    /// All streams of the process share one.
    Process,
}

/// Last number of a session, 2^31 - 2: before a number would be 2^31 - 1, the largest int32, the session changes.
const LAST_NUMBER: u32 = i32::MAX.cast_unsigned() - 1;

/// Key of the process's next pair in shared data.
const KEY: &str = "audit_filter.correlation";

/// First byte of the value. Then the session's id, 16 bytes, and the next number, 4 bytes little-endian.
const FORMAT_VERSION: u8 = 1;

/// Attempts to take a number while others take numbers, two host calls each. One that fails is one that somebody else
/// has won; with a number for each request, and not more threads than cores, a few in a row are rare.
const MAX_ATTEMPTS: usize = 32;

/// Hands out the pairs of one stream of records (one configuration in one worker).
#[derive(Debug)]
pub struct Correlator {
    scope: Scope,
    /// The next pair of scope worker.
    next: Correlation,
    shared: Rc<dyn SharedData>,
}

impl Correlator {
    /// `session_id` is the stream's id: the first session of scope worker. `shared` is where scope process keeps the
    /// process's session.
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

    /// The next pair; both or none. `fresh` makes a UUIDv4, and is asked when a session begins.
    ///
    /// `None`: `fresh` has failed where a session had to begin, or shared data cannot be changed, or others were faster
    /// each time. Nothing is used up then, so a later call goes on without a gap.
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

    /// A pair is this worker's when its successor has taken its place in shared data.
    ///
    /// A value that cannot be read (damaged, or of another version of the filter that runs in the process, too) says
    /// nothing of the numbers that were handed out: a new session begins, so that no pair can be a second one.
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

/// The pair itself, or where its session is used up the first pair of a new one.
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

    /// Scope worker must not ask it.
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
