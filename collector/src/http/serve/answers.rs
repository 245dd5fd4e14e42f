//! The answers of a connection, and which of them their client does not take.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, sleep};

use super::WRITE_TIMEOUT;

/// Most bytes of a frame. Of a larger one, the rest waits here until the client takes more; what the
/// connection was given it has to buffer.
const PIECE_BYTES: usize = 16 * 1024;

/// In how many steps of [`WRITE_TIMEOUT`] the answers are looked at.
const STEPS: u32 = 10;

/// Answers that are not written yet; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Since when the client has taken nothing of each; `None` while there is nothing to take.
    offered: BTreeMap<u64, Option<Instant>>,
}

impl Answers {
    /// The body of a new answer; `held` is dropped when it ends.
    pub(super) fn body<H: Send + Unpin + 'static>(&self, body: Body, held: H) -> Body {
        let id = self.with(|state| {
            state.next += 1;
            state.offered.insert(state.next, Some(Instant::now()));
            state.next
        });

        Body::new(Answer {
            body,
            rest: Bytes::new(),
            id,
            answers: self.clone(),
            _held: held,
        })
    }

    /// Returns when the client has taken nothing of at least so many answers for too long.
    pub(super) async fn stalled(&self, number: impl Fn() -> usize) {
        while self.count_stalled() < number() {
            sleep(WRITE_TIMEOUT / STEPS).await;
        }
    }

    fn count_stalled(&self) -> usize {
        let is_stalled = |offered: &&Option<Instant>| {
            offered.is_some_and(|offered| offered.elapsed() >= WRITE_TIMEOUT)
        };
        self.with(|state| state.offered.values().filter(is_stalled).count())
    }

    fn note(&self, id: u64, offered: Option<Instant>) {
        self.with(|state| state.offered.insert(id, offered));
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Answer<H> {
    body: Body,
    /// Of the last frame.
    rest: Bytes,
    id: u64,
    answers: Answers,
    _held: H,
}

impl<H: Unpin> HttpBody for Answer<H> {
    type Data = Bytes;
    type Error = axum::Error;

    /// Polled when the connection has room for more.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            this.answers.note(this.id, None);
            let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => this.rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }

        this.answers.note(this.id, Some(Instant::now()));
        let piece = this.rest.split_to(this.rest.len().min(PIECE_BYTES));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let inner = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(rest));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}

impl<H> Drop for Answer<H> {
    fn drop(&mut self) {
        self.answers.with(|state| state.offered.remove(&self.id));
    }
}
