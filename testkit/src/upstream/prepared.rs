//! Answers prepared by a program, for cases that no request header can script: any headers, and a
//! body that is fed while it is sent.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use hyper::Response;
use hyper::http::Error;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::FLUSH_BEFORE_BREAK;
use crate::headers::Headers;
use crate::script_body::{ScriptBody, Step};

/// An answer that is given once, regardless of the request's headers.
#[derive(Debug)]
pub struct PreparedAnswer(Response<ScriptBody>);

impl PreparedAnswer {
    /// An answer with a known body: it has a `content-length`.
    ///
    /// # Errors
    /// A status or header that HTTP does not allow.
    pub fn whole(
        status: u16,
        headers: impl Into<Headers>,
        body: impl Into<Bytes>,
    ) -> Result<Self, Error> {
        build(
            status,
            &headers.into(),
            Some(Step::Data(body.into())).filter(|step| !is_nothing(step)),
        )
    }

    /// An answer that breaks off after this much of its body, without a `content-length` unless the
    /// headers have one.
    ///
    /// # Errors
    /// A status or header that HTTP does not allow.
    pub fn cut(
        status: u16,
        headers: impl Into<Headers>,
        body: impl Into<Bytes>,
    ) -> Result<Self, Error> {
        build(
            status,
            &headers.into(),
            [
                Step::Data(body.into()),
                Step::Wait(FLUSH_BEFORE_BREAK),
                Step::Break,
            ],
        )
    }

    /// An answer with a body from the [`Feed`]. Over HTTP/1.1 it is chunked, unless the headers
    /// have a `content-length`.
    ///
    /// # Errors
    /// A status or header that HTTP does not allow.
    pub fn fed(status: u16, headers: impl Into<Headers>) -> Result<(Self, Feed), Error> {
        let (sender, receiver) = unbounded_channel();
        Ok((
            build(status, &headers.into(), Some(Step::Follow(receiver)))?,
            Feed(sender),
        ))
    }
}

/// Feeds the body of a [`PreparedAnswer`]; dropping it ends the body.
#[derive(Debug)]
pub struct Feed(UnboundedSender<Step>);

impl Feed {
    /// Sends one chunk at once; nothing happens when the peer has gone away.
    pub fn send(&self, chunk: impl Into<Bytes>) {
        let _ = self.0.send(Step::Data(chunk.into()));
    }

    /// Breaks the body off: the connection is closed over HTTP/1.1, the stream reset over HTTP/2.
    pub fn break_off(self) {
        let _ = self.0.send(Step::Break);
    }
}

/// The answers that wait for their request, by path; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Prepared(Arc<Mutex<HashMap<String, VecDeque<PreparedAnswer>>>>);

impl Prepared {
    pub(super) fn add(&self, path: &str, answer: PreparedAnswer) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting
            .entry(path.to_owned())
            .or_default()
            .push_back(answer);
    }

    /// The oldest answer for a path.
    pub(super) fn take(&self, path: &str) -> Option<Response<ScriptBody>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting
            .get_mut(path)?
            .pop_front()
            .map(|PreparedAnswer(response)| response)
    }
}

fn build(
    status: u16,
    headers: &Headers,
    steps: impl IntoIterator<Item = Step>,
) -> Result<PreparedAnswer, Error> {
    let builder = Response::builder().status(status);
    let builder = headers.iter().fold(builder, |builder, (name, value)| {
        builder.header(name, value)
    });
    builder.body(ScriptBody::new(steps)).map(PreparedAnswer)
}

/// An empty chunk would hide from the server that there is no body.
fn is_nothing(step: &Step) -> bool {
    matches!(step, Step::Data(data) if data.is_empty())
}
