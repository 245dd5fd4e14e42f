//! The demo upstream: an HTTP/1.1 server and a gRPC server (HTTP/2 cleartext) that answer as the
//! request specifies, and record every request.

mod grpc;
mod http;
mod prepared;
mod seen;
mod serve;
mod tunnel;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use prepared::Prepared;
pub use prepared::{Feed, PreparedAnswer};
pub use seen::{Protocol, Seen, SeenLog};

/// How long a scripted break waits after the last bytes, so that they reach the peer first: an
/// HTTP/2 reset overtakes queued frames.
const FLUSH_BEFORE_BREAK: Duration = Duration::from_millis(300);

/// A running upstream; dropping it closes both servers and every connection.
#[derive(Debug)]
pub struct Upstream {
    http_addr: SocketAddr,
    grpc_addr: SocketAddr,
    shared: Shared,
    servers: [JoinHandle<()>; 2],
}

/// State shared by both servers.
#[derive(Clone, Debug, Default)]
struct Shared {
    seen: SeenLog,
    prepared: Prepared,
}

impl Upstream {
    /// Starts both servers on free ports of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> io::Result<Self> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start_on(any, any).await
    }

    /// Starts both servers on the given addresses; port 0 takes a free one.
    ///
    /// # Errors
    /// When an address cannot be bound.
    pub async fn start_on(http: SocketAddr, grpc: SocketAddr) -> io::Result<Self> {
        let (http, grpc) = (
            TcpListener::bind(http).await?,
            TcpListener::bind(grpc).await?,
        );
        let (http_addr, grpc_addr) = (http.local_addr()?, grpc.local_addr()?);

        let shared = Shared::default();
        let servers = [
            tokio::spawn(serve::http1(http, shared.clone())),
            tokio::spawn(serve::grpc(grpc, shared.clone())),
        ];
        Ok(Self {
            http_addr,
            grpc_addr,
            shared,
            servers,
        })
    }

    /// Where the HTTP/1.1 server listens.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Where the gRPC server listens.
    #[must_use]
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc_addr
    }

    /// The requests that both servers have seen.
    #[must_use]
    pub fn seen(&self) -> &SeenLog {
        &self.shared.seen
    }

    /// Prepares the answer to the next request for this path, query excluded. Each prepared answer
    /// is given once.
    pub fn prepare(&self, path: &str, answer: PreparedAnswer) {
        self.shared.prepared.add(path, answer);
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

/// Waits for the time in the request's `x-demo-delay-ms`.
async fn scripted_delay(request: &HeaderMap) {
    let delay = script(request, "x-demo-delay-ms")
        .and_then(|text| text.parse().ok())
        .map(Duration::from_millis);
    if let Some(delay) = delay {
        tokio::time::sleep(delay).await;
    }
}

/// Copies every `x-demo-response-header: <name>: <value>` of the request to the answer's headers.
fn scripted_headers(request: &HeaderMap, answer: &mut HeaderMap) {
    for field in request.get_all("x-demo-response-header") {
        let mut parts = field.as_bytes().splitn(2, |byte| *byte == b':');
        let name = parts
            .next()
            .and_then(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
        let value = parts
            .next()
            .and_then(|value| HeaderValue::from_bytes(value.trim_ascii()).ok());

        if let (Some(name), Some(value)) = (name, value) {
            answer.append(name, value);
        }
    }
}

/// The text of a scripting header of the request.
fn script<'a>(request: &'a HeaderMap, name: &str) -> Option<&'a str> {
    request.get(name).and_then(|value| value.to_str().ok())
}
