//! Plain clients: HTTP/1.1, raw TCP, and gRPC over HTTP/2 cleartext. Every call has a deadline, and
//! a new connection unless it is made on an [`HttpConnection`].

mod exchange;
mod grpc;
mod http;
mod raw;
mod stream;
mod tunnel;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use tokio::net::{TcpSocket, TcpStream};

pub use exchange::{End, Leave, Message, Reply, exchange};
pub use grpc::{GrpcConnection, GrpcOptions, grpc_call};
pub use http::{HttpConnection, http_get, http_request};
pub use raw::{RawConnection, raw_exchange};
pub use stream::{AnswerStream, Version};
pub use tunnel::Tunnel;

use crate::headers::{Headers, InvalidField};

/// Default of [`CallOptions::timeout`].
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Options of every call.
#[derive(Clone, Copy, Debug)]
pub struct CallOptions {
    /// The local address to connect from, for example 127.0.0.2 to be a peer other than 127.0.0.1.
    pub source_ip: Option<IpAddr>,
    /// Deadline of the whole call, connecting included.
    pub timeout: Duration,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self {
            source_ip: None,
            timeout: DEFAULT_TIMEOUT,
        }
    }
}

impl CallOptions {
    /// The defaults, from this source address.
    #[must_use]
    pub fn from_ip(source_ip: impl Into<IpAddr>) -> Self {
        Self {
            source_ip: Some(source_ip.into()),
            ..Self::default()
        }
    }
}

/// A complete HTTP answer.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// The response headers.
    pub headers: Headers,
    /// The whole body.
    pub body: Bytes,
}

impl HttpAnswer {
    /// The body as text; bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The answer to a gRPC call.
#[derive(Clone, Debug)]
pub struct GrpcAnswer {
    /// The HTTP status, 200 for every gRPC answer.
    pub http_status: u16,
    /// The response headers.
    pub headers: Headers,
    /// The messages, without their five framing bytes.
    pub messages: Vec<Bytes>,
    /// The response trailers; empty for an answer that is headers only, and after a cancellation.
    pub trailers: Headers,
}

impl GrpcAnswer {
    /// `grpc-status` of the trailers, else of the headers, unchanged.
    #[must_use]
    pub fn grpc_status(&self) -> Option<String> {
        self.trailers
            .text("grpc-status")
            .or_else(|| self.headers.text("grpc-status"))
    }
}

/// Why there is no complete answer.
#[derive(Debug)]
pub enum CallError {
    /// The connection could not be made.
    Connect(io::Error),
    /// The request cannot be written as HTTP.
    Request(String),
    /// The connection or the stream broke before the answer was complete.
    Broken {
        /// The status, when the response headers had arrived.
        status: Option<StatusCode>,
        /// The library's error text.
        reason: String,
    },
    /// [`CallOptions::timeout`] is over.
    TimedOut(Duration),
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Request(reason) => write!(f, "request cannot be sent: {reason}"),
            Self::Broken {
                status: None,
                reason,
            } => write!(f, "broken before the response headers: {reason}"),
            Self::Broken {
                status: Some(status),
                reason,
            } => {
                write!(f, "broken after the response headers ({status}): {reason}")
            }
            Self::TimedOut(timeout) => write!(f, "no complete answer within {timeout:?}"),
        }
    }
}

impl std::error::Error for CallError {}

impl From<InvalidField> for CallError {
    fn from(error: InvalidField) -> Self {
        Self::Request(error.to_string())
    }
}

impl From<hyper::http::Error> for CallError {
    fn from(error: hyper::http::Error) -> Self {
        Self::Request(error.to_string())
    }
}

/// The error of a connection or stream that broke, with all causes that hyper reports.
fn broken(status: Option<StatusCode>, error: &dyn std::error::Error) -> CallError {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    CallError::Broken { status, reason }
}

async fn within<T>(
    timeout: Duration,
    call: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    tokio::time::timeout(timeout, call)
        .await
        .unwrap_or(Err(CallError::TimedOut(timeout)))
}

async fn connect(addr: SocketAddr, source_ip: Option<IpAddr>) -> Result<TcpStream, CallError> {
    let stream = async {
        let socket = if addr.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };

        socket.set_nodelay(true)?;
        if let Some(ip) = source_ip {
            socket.bind(SocketAddr::new(ip, 0))?;
        }
        socket.connect(addr).await
    };

    stream.await.map_err(CallError::Connect)
}
