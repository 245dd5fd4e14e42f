//! The requests of a row: where they go, and their headers.

use std::net::SocketAddr;

use crate::bench::load::Load;
use crate::envoy::mesh::METHOD;
use crate::envoy::tls::Peer;

type Headers = [(&'static str, &'static str)];

/// The user agent. Each record of Envoy's access logs has it exactly once.
pub const USER_AGENT: &str =
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

const PLAIN: [(&str, &str); 7] = [
    ("user-agent", USER_AGENT),
    ("accept", "application/json, text/plain, */*"),
    ("accept-language", "en-GB,en;q=0.7,de;q=0.3"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://bench.test/accounts/settings"),
    (
        "cookie",
        "session=Zm9vYmFyYmF6cXV4cXV1eGNvcmdlZ3JhdWx0Z2FycGx5d2FsZG8; theme=dark",
    ),
    ("cache-control", "no-cache"),
];
const GRPC: [(&str, &str); 5] = [
    ("content-type", "application/grpc"),
    ("te", "trailers"),
    ("user-agent", "grpc-go/1.76.0"),
    (
        "authorization",
        "Bearer Zm9vYmFyYmF6cXV4cXV1eGNvcmdlZ3JhdWx0Z2FycGx5d2FsZG8",
    ),
    ("grpc-timeout", "10S"),
];
/// The operation of every tracked request.
const OPERATION: &str = "change-password";
/// The control headers, in this order: track, operation, context.
pub const CONTROL: [&str; 3] = [
    "x-session-track",
    "x-session-operation",
    "x-session-context",
];
const CONTEXT: &str =
    "eyJzdWIiOiJhbGljZSIsInNpZCI6IjZmMWQ4MmMwIiwidGVuYW50IjoiYWNtZSIsImFtciI6WyJwd2QiLCJvdHAiXX0";
/// The client behind the gateway, whose requests a sidecar gets.
const FORWARDED: &str = "198.51.100.7";
/// The header with the session's id, which has [`SESSION_DIGITS`] digits.
pub const SESSION: &str = "x-session-id";
/// Digits of a session's id, leading zeros included.
pub const SESSION_DIGITS: usize = 16;

/// Kinds of requests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// `GET /other`.
    Untracked,
    /// `GET /check`.
    Check,
    /// `GET /other` with control headers.
    Tracked,
    /// The same in the sidecar's shape: mutual TLS, and another client's address in
    /// `x-forwarded-for`.
    TrackedSidecar,
    /// As [`Self::Tracked`], answered by an upstream over HTTP/1.1.
    TrackedUpstream,
    /// The same over HTTP/2 on both sides of Envoy.
    TrackedHttp2,
    /// A gRPC call with control headers.
    TrackedGrpc,
}

impl Traffic {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Untracked => "GET /other",
            Self::Check => "GET /check",
            Self::Tracked => "GET /other, tracked",
            Self::TrackedSidecar => "tracked, sidecar",
            Self::TrackedUpstream => "tracked, upstream",
            Self::TrackedHttp2 => "tracked, HTTP/2",
            Self::TrackedGrpc => "gRPC call, tracked",
        }
    }

    /// Whether Envoy itself answers (`direct_response`).
    pub fn is_answered_directly(self) -> bool {
        matches!(
            self,
            Self::Untracked | Self::Check | Self::Tracked | Self::TrackedSidecar
        )
    }

    /// The listener of `envoy/envoy.yaml` for these requests.
    pub fn listener(self) -> &'static str {
        if self == Self::TrackedGrpc {
            "grpc"
        } else {
            "http"
        }
    }
}

/// A text that each request's record has exactly once in every encoding, and nothing else in a
/// batch.
pub const RECORD: &str = "audit.rule";

/// The properties in which comparable rows agree.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Requests {
    /// The kind of request.
    pub traffic: Traffic,
    /// Bytes of the context of tracked requests; `None`: ordinary length.
    pub context: Option<usize>,
    /// Number of session ids over which the requests are spread; `None`: no ids.
    pub sessions: Option<u64>,
}

impl Requests {
    /// Requests of this kind, without session ids.
    pub fn new(traffic: Traffic) -> Self {
        Self {
            traffic,
            context: None,
            sessions: None,
        }
    }

    /// The requests of the row to compare with. `/check` is as long as `/other`, so all other
    /// filters treat them alike. The session's id makes no difference to them.
    pub fn base(mut self) -> Self {
        if self.traffic == Traffic::Check {
            self.traffic = Traffic::Untracked;
        }
        self.sessions = self.sessions.map(|_| 1);
        self
    }

    /// All headers of a request.
    pub fn headers(self) -> Vec<(&'static str, String)> {
        let ordinary: &Headers = if self.traffic == Traffic::TrackedGrpc {
            &GRPC
        } else {
            &PLAIN
        };

        let ordinary = ordinary
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));

        let session = self.sessions.map(|_| (SESSION, "0".repeat(SESSION_DIGITS)));
        let forwarded = (self.traffic == Traffic::TrackedSidecar).then(|| FORWARDED.to_owned());
        let forwarded = forwarded.map(|client| ("x-forwarded-for", client));
        let more = session.into_iter().chain(forwarded);
        ordinary.chain(self.control()).chain(more).collect()
    }

    fn control(self) -> Vec<(&'static str, String)> {
        if matches!(self.traffic, Traffic::Untracked | Traffic::Check) {
            return Vec::new();
        }

        let context = self.context.map_or(CONTEXT.to_owned(), |bytes| {
            CONTEXT.chars().cycle().take(bytes).collect()
        });

        CONTROL
            .into_iter()
            .zip(["true".to_owned(), OPERATION.to_owned(), context])
            .collect()
    }

    /// Opens the connections for these requests, over TLS if there is a `peer`.
    pub async fn load(self, addr: SocketAddr, peer: Option<&Peer>) -> Load {
        let headers = self.headers();
        match self.traffic {
            Traffic::Check => Load::http1(addr, "/check", &headers, self.sessions, peer).await,
            Traffic::Untracked
            | Traffic::Tracked
            | Traffic::TrackedSidecar
            | Traffic::TrackedUpstream => {
                Load::http1(addr, "/other", &headers, self.sessions, peer).await
            }
            Traffic::TrackedHttp2 => Load::http2(addr, "/other", &headers).await,
            Traffic::TrackedGrpc => Load::grpc(addr, METHOD, &headers).await,
        }
    }
}
