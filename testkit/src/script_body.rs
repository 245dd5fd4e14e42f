//! A message body that plays a list of steps: data, pauses, trailers, silence, breakage.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::HeaderMap;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Sleep, sleep};

/// One step of a [`ScriptBody`].
#[derive(Debug)]
pub(crate) enum Step {
    /// Send these bytes.
    Data(Bytes),
    /// Send these trailers; nothing may follow.
    Trailers(HeaderMap),
    /// Send nothing for this long.
    Wait(Duration),
    /// Send nothing any more and do not end either.
    Hang,
    /// Play the steps from this channel as they come, until its sender is dropped.
    Follow(UnboundedReceiver<Step>),
    /// Fail: hyper closes an HTTP/1.1 connection and resets an HTTP/2 stream.
    Break,
}

/// A body that plays its steps in order and then ends.
#[derive(Debug, Default)]
pub(crate) struct ScriptBody {
    steps: VecDeque<Step>,
    // Invariant: set only while the `Wait` that started it is being played.
    pause: Option<Pin<Box<Sleep>>>,
}

impl ScriptBody {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            steps: steps.into_iter().collect(),
            pause: None,
        }
    }
}

impl Body for ScriptBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            if let Some(pause) = &mut self.pause {
                if pause.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.pause = None;
            }

            let Some(step) = self.steps.pop_front() else {
                return Poll::Ready(None);
            };

            match step {
                Step::Data(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Step::Trailers(trailers) => {
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Step::Wait(time) => self.pause = Some(Box::pin(sleep(time))),
                Step::Hang => {
                    // No waker is needed: the body is dropped when the peer disconnects.
                    self.steps.push_front(Step::Hang);
                    return Poll::Pending;
                }
                Step::Follow(mut more) => match more.poll_recv(cx) {
                    Poll::Ready(Some(step)) => {
                        self.steps.push_front(Step::Follow(more));
                        self.steps.push_front(step);
                    }
                    Poll::Ready(None) => {}
                    Poll::Pending => {
                        self.steps.push_front(Step::Follow(more));
                        return Poll::Pending;
                    }
                },
                Step::Break => {
                    return Poll::Ready(Some(Err(io::Error::other(
                        "the script breaks the body here",
                    ))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.pause.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let sizes: Option<Vec<u64>> = self.steps.iter().map(data_len).collect();
        sizes.map_or_else(SizeHint::default, |sizes| {
            SizeHint::with_exact(sizes.iter().sum())
        })
    }
}

fn data_len(step: &Step) -> Option<u64> {
    match step {
        Step::Data(data) => u64::try_from(data.len()).ok(),
        _ => None,
    }
}
