//! Log of the requests that reached the upstream: one entry per request, in order of arrival.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::http::request::Parts;
use serde_json::{Value, json};

use crate::headers::Headers;

/// Which of the two servers a request reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The HTTP/1.1 server.
    Http,
    /// The gRPC server.
    Grpc,
}

/// One request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The server that it reached.
    pub protocol: Protocol,
    /// The request method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The `:authority` of HTTP/2; the HTTP/1.1 equivalent is the `host` header.
    pub authority: Option<String>,
    /// The request headers.
    pub headers: Headers,
    /// The request trailers; empty until the body has been read to its end.
    pub trailers: Headers,
    /// Bytes of the request body; 0 until the body has been read to its end.
    pub body_bytes: usize,
}

/// The shared list of requests seen; clones show the same list.
#[derive(Clone, Debug, Default)]
pub struct SeenLog(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    next_id: u64,
    // Invariant: ids grow from entry to entry.
    list: Vec<(u64, Seen)>,
}

impl SeenLog {
    /// All requests since the start or the last [`SeenLog::clear`].
    #[must_use]
    pub fn all(&self) -> Vec<Seen> {
        self.entries()
            .list
            .iter()
            .map(|(_, seen)| seen.clone())
            .collect()
    }

    /// The requests for one path, query excluded.
    #[must_use]
    pub fn at_path(&self, path: &str) -> Vec<Seen> {
        let mut all = self.all();
        all.retain(|seen| seen.path.split('?').next() == Some(path));
        all
    }

    /// Removes all requests.
    pub fn clear(&self) {
        self.entries().list.clear();
    }

    /// The answer to `GET /_seen`. A value that is not UTF-8 is shown with `\xNN` escapes.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "seen": self.all().iter().map(entry_json).collect::<Vec<_>>() })
    }

    /// Notes a request before its body is read, and returns the id for [`SeenLog::body_read`].
    pub(super) fn arrived(&self, protocol: Protocol, request: &Parts) -> u64 {
        let seen = Seen {
            protocol,
            method: request.method.to_string(),
            path: request
                .uri
                .path_and_query()
                .map_or_else(String::new, ToString::to_string),
            authority: request.uri.authority().map(ToString::to_string),
            headers: Headers::from(&request.headers),
            trailers: Headers::new(),
            body_bytes: 0,
        };

        let mut entries = self.entries();
        let id = entries.next_id;
        entries.next_id += 1;
        entries.list.push((id, seen));
        id
    }

    /// Completes an entry; an entry that was cleared meanwhile stays removed.
    pub(super) fn body_read(&self, id: u64, body_bytes: usize, trailers: Headers) {
        if let Some((_, seen)) = self
            .entries()
            .list
            .iter_mut()
            .rev()
            .find(|(found, _)| *found == id)
        {
            seen.body_bytes = body_bytes;
            seen.trailers = trailers;
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // No code panics while it holds the lock, and a list of requests cannot be left half
        // changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entry_json(seen: &Seen) -> Value {
    json!({
        "protocol": match seen.protocol { Protocol::Http => "http", Protocol::Grpc => "grpc" },
        "method": seen.method,
        "path": seen.path,
        "authority": seen.authority,
        "headers": fields_json(&seen.headers),
        "trailers": fields_json(&seen.trailers),
        "body_bytes": seen.body_bytes,
    })
}

fn fields_json(fields: &Headers) -> Vec<Value> {
    let text = |value: &[u8]| match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => value.escape_ascii().to_string(),
    };
    fields
        .iter()
        .map(|(name, value)| json!([name, text(value)]))
        .collect()
}
