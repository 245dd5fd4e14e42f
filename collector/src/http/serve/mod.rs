//! The server: one task per connection. Requests are finished even after their sender has closed,
//! and a shutdown waits for open ones. HTTP/2 is found by its first bytes, or over TLS by ALPN.

mod abandoned;
mod answers;
mod half_close;
mod http2;
mod socket;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{debug, info, warn};

use crate::http::metrics::Metrics;
use crate::http::tls::HTTP2_PROTOCOL;
use crate::logs::Throttle;
use socket::Socket;

/// How long to wait after a connection could not be accepted, most often because too many are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long the headers of a request may take, and so also how long a connection may be idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take nothing of an answer. Over HTTP/1.1 and below HTTP/2, TCP measures it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Most bytes of the headers of a request, and of data read ahead on a connection.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

/// How HTTP/2 begins (RFC 9113 3.4); no method of HTTP/1.1 does.
const PREFACE: &[u8; 3] = b"PRI";

/// How long to wait for more than one or two bytes of it.
const PREFACE_PAUSE: Duration = Duration::from_millis(10);

/// Serves connections, a limited number of them at once.
pub struct Server {
    /// Answers the requests.
    pub router: Router,
    /// `None`: plain HTTP. A new value applies from the next connection on.
    pub tls: Option<watch::Receiver<TlsAcceptor>>,
    /// Counts connections and failed handshakes.
    pub metrics: Metrics,
    /// Most open connections. Further ones wait in the queue of the socket.
    pub max_connections: usize,
}

/// State that connections share.
#[derive(Clone)]
struct Shared {
    router: Router,
    tls: Option<watch::Receiver<TlsAcceptor>>,
    metrics: Metrics,
    handshake_log: Arc<Throttle>,
    /// Closed when the server stops.
    stopping: watch::Receiver<()>,
}

impl Server {
    /// Serves until `shutdown` is ready, then until accepted requests are answered, at most
    /// `grace`.
    pub async fn run(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
        grace: Duration,
    ) {
        let connections = GracefulShutdown::new();
        let (running, stopping) = watch::channel(());
        let places = Arc::new(Semaphore::new(
            self.max_connections.min(Semaphore::MAX_PERMITS),
        ));

        let shared = Shared {
            router: self.router,
            tls: self.tls,
            metrics: self.metrics,
            handshake_log: Arc::default(),
            stopping,
        };

        tokio::select! {
            () = accept(&listener, &shared, &connections, &places) => {}
            () = shutdown => {}
        }

        info!("stopping");
        drop((listener, running));
        if timeout(grace, connections.shutdown()).await.is_err() {
            warn!("stopped with requests still open");
        }
    }
}

async fn accept(
    listener: &TcpListener,
    shared: &Shared,
    connections: &GracefulShutdown,
    places: &Arc<Semaphore>,
) {
    let trouble = Throttle::default();

    while let Ok(place) = Arc::clone(places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Without it, the client keeps its place for as long as its machine answers.
                let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(WRITE_TIMEOUT));
                let (shared, watcher) = (shared.clone(), connections.watcher());
                tokio::spawn(async move {
                    shared.converse(stream, watcher).await;
                    drop(place);
                });
            }
            Err(error) => {
                if let Some(count) = trouble.count(Instant::now()) {
                    warn!(count, "cannot accept a connection: {error}");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Shared {
    async fn converse(self, stream: TcpStream, watcher: Watcher) {
        let _open = self.metrics.connection();

        match &self.tls {
            None => {
                if let Some(is_http2) = self.first_bytes(&stream).await {
                    let socket = Socket::new(stream);
                    self.serve(socket.clone(), socket, is_http2, watcher).await;
                }
            }
            Some(tls) => {
                let tls = tls.borrow().clone();
                let socket = Socket::new(stream);
                if let Some(stream) = self.handshake(&tls, socket.clone()).await {
                    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2_PROTOCOL);
                    self.serve(stream, socket, is_http2, watcher).await;
                }
            }
        }
    }

    /// `socket` is the one under `stream`.
    async fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        socket: Socket,
        is_http2: bool,
        watcher: Watcher,
    ) {
        let router = TowerToHyperService::new(self.router);
        if is_http2 {
            http2::serve((stream, socket), router, watcher, self.stopping).await;
        } else {
            serve_http1((stream, socket), router, watcher).await;
        }
    }

    /// Whether they are those of HTTP/2; `None` when none arrive.
    async fn first_bytes(&self, stream: &TcpStream) -> Option<bool> {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            is_http2 = timeout(HEADER_TIMEOUT, is_http2(stream)) => is_http2.ok(),
            _ = stopping.changed() => None,
        }
    }

    async fn handshake(&self, tls: &TlsAcceptor, stream: Socket) -> Option<TlsStream<Socket>> {
        let mut stopping = self.stopping.clone();

        let error = tokio::select! {
            result = timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)) => match result {
                Ok(Ok(stream)) => return Some(stream),
                Ok(Err(error)) => error,
                Err(_) => io::ErrorKind::TimedOut.into(),
            },
            _ = stopping.changed() => return None,
        };

        self.metrics.handshake_failed();
        if let Some(count) = self.handshake_log.count(Instant::now()) {
            warn!(count, "TLS handshakes failed, the last one: {error}");
        }
        None
    }
}

async fn is_http2(stream: &TcpStream) -> bool {
    let mut start = [0; PREFACE.len()];
    loop {
        let seen = stream.peek(&mut start).await.unwrap_or_default();
        let seen = start.get(..seen).unwrap_or_default();
        if seen.is_empty() || seen.len() == PREFACE.len() || !PREFACE.starts_with(seen) {
            return seen == PREFACE;
        }
        sleep(PREFACE_PAUSE).await;
    }
}

/// A proxy that ends sends its last batch and closes at once, without waiting for the answer.
/// Without `half_close`, hyper drops such a request, and the batch is lost.
async fn serve_http1(
    (stream, socket): (impl AsyncRead + AsyncWrite + Unpin + Send + 'static, Socket),
    router: TowerToHyperService<Router>,
    watcher: Watcher,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .half_close(true)
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_BUFFER_BYTES);

    let service = service_fn(move |request| {
        let answer = abandoned::answer(router.clone(), request, socket.clone());
        async { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        debug!("connection: {error}");
    }
}
