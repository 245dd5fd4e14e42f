//! A question to the database that can be ended while it runs: at its deadline, or when nothing
//! waits for its answer any more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot::Sender;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};

use crate::db::{DbError, Interrupter};

/// Pause between two interruptions. One has no effect on a statement that begins after it.
const REPEAT: Duration = Duration::from_millis(10);

/// Longer than any program runs: `tokio` has no timer without an end.
const ENDLESS: Duration = Duration::from_secs(u32::MAX as u64);

/// A question, as seen by the thread that runs it and by the task that may end it.
#[derive(Default)]
pub(super) struct Question(Mutex<State>);

#[derive(Default)]
struct State {
    /// Present while statements run.
    interrupter: Option<Interrupter>,
    has_ended: bool,
}

impl Question {
    /// The statements begin.
    ///
    /// # Errors
    ///
    /// When the question was ended before.
    pub(super) fn begin(&self, interrupter: Interrupter) -> Result<(), DbError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.has_ended {
            return Err(DbError::failed("nothing waits for the answer"));
        }
        state.interrupter = Some(interrupter);
        Ok(())
    }

    /// The statements are over, and no interruption follows. Returns whether there was none: a
    /// server may apply one to a later statement of the same connection.
    pub(super) fn finish(&self) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.interrupter = None;
        !state.has_ended
    }

    /// Ends the statement that runs, if one does, and prevents others. May block.
    fn interrupt(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.has_ended = true;
        if let Some(interrupt) = &state.interrupter {
            interrupt();
        }
    }
}

/// Passes the result of `work` on, or ends it after `limit` and when `answer` is closed. Returns
/// when the thread of `work` is free.
pub(super) async fn supervise<T>(
    question: Arc<Question>,
    mut work: JoinHandle<Result<T, DbError>>,
    mut answer: Sender<Result<T, DbError>>,
    limit: Option<Duration>,
) {
    let limit = limit.unwrap_or(ENDLESS);
    let is_late = tokio::select! {
        result = &mut work => {
            let _ = answer.send(result.map_err(DbError::failed).flatten());
            return;
        }
        () = sleep(limit) => true,
        () = answer.closed() => false,
    };

    if is_late {
        let _ = answer.send(Err(DbError::Late(limit)));
    }
    loop {
        let ended = Arc::clone(&question);
        let _ = spawn_blocking(move || ended.interrupt()).await;
        if timeout(REPEAT, &mut work).await.is_ok() {
            return;
        }
    }
}
