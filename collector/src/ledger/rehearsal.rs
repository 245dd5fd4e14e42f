//! Whether a batch could be stored now. A database whose disk is full or read-only still answers
//! questions, so a row is written that nothing reads.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::db::{Cell, Connection, DbError};

/// How long a write shows that the next one will succeed.
const WRITTEN: Duration = Duration::from_secs(5);

/// How long a failed rehearsal counts: probes in a row cost one attempt.
const FAILED: Duration = Duration::from_secs(1);

/// Bytes of a rehearsal after a batch was refused: four batches of the filter. On a full disk, a
/// small write may find room where a batch with its indexes does not.
const ROOM: usize = 1024 * 1024;

/// The result of a rehearsal; the cause may be of several callers.
pub(super) type Rehearsed = Result<(), Arc<DbError>>;

/// What the latest writes have shown.
#[derive(Debug, Default)]
pub(super) struct Writable(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    latest: Option<(Instant, Rehearsed)>,
    /// Whether a batch was refused since the last rehearsal that succeeded.
    has_refused: bool,
    rehearsals: u8,
}

impl Writable {
    /// Whether a batch could be stored, where that is known without a rehearsal.
    pub(super) fn known(&self) -> Option<Rehearsed> {
        let (at, latest) = self.with(|state| state.latest.clone())?;
        let valid = if latest.is_ok() { WRITTEN } else { FAILED };
        (at.elapsed() < valid).then_some(latest)
    }

    /// Records were stored.
    pub(super) fn stored(&self) {
        self.with(|state| {
            if !state.has_refused {
                state.latest = Some((Instant::now(), Ok(())));
            }
        });
    }

    /// A batch was not stored.
    pub(super) fn refused(&self) {
        self.with(|state| {
            state.latest = None;
            state.has_refused = true;
        });
    }

    /// The content of the next rehearsal: other bytes than the last one, since SQLite writes no page
    /// that does not change.
    pub(super) fn content(&self) -> Vec<u8> {
        self.with(|state| {
            state.rehearsals = state.rehearsals.wrapping_add(1);
            let bytes = if state.has_refused { ROOM } else { 0 };
            vec![state.rehearsals; bytes]
        })
    }

    /// The result of a rehearsal.
    pub(super) fn rehearsed(&self, result: Result<(), DbError>) -> Rehearsed {
        let result = result.map_err(Arc::new);
        self.with(|state| {
            state.has_refused &= result.is_err();
            state.latest = Some((Instant::now(), result.clone()));
        });
        result
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes within the transaction that `connection` is in.
pub(super) fn rehearse(connection: &mut dyn Connection, content: &[u8]) -> Result<(), DbError> {
    const WRITE: &str = "INSERT INTO rehearsals (id, number, content) VALUES (1, 1, $1) \
        ON CONFLICT (id) DO UPDATE SET number = rehearsals.number + 1, content = excluded.content";
    connection.execute(WRITE, &[Cell::Bytes(content)])?;
    Ok(())
}
