//! The server: one task per connection. Requests are finished even after their sender has closed,
//! and a shutdown waits for open ones.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{debug, info, warn};

use crate::http::metrics::Metrics;
use crate::logs::Throttle;

/// How long to wait after a connection could not be accepted, most often because too many are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long the headers of a request may take, and so also how long a connection may be idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Most bytes of the headers of a request, and of data read ahead on a connection.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

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
                let (shared, watcher) = (shared.clone(), connections.watcher());
                tokio::spawn(async move {
                    shared.converse(stream, watcher).await;
                    drop(place);
                });
            }
            Err(error) => {
                if trouble.is_due(Instant::now()) {
                    warn!("cannot accept a connection: {error}");
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
            None => serve(stream, self.router, watcher).await,
            Some(tls) => {
                let tls = tls.borrow().clone();
                if let Some(stream) = self.handshake(&tls, stream).await {
                    serve(stream, self.router, watcher).await;
                }
            }
        }
    }

    async fn handshake(
        &self,
        tls: &TlsAcceptor,
        stream: TcpStream,
    ) -> Option<TlsStream<TcpStream>> {
        let mut stopping = self.stopping.clone();

        let error = tokio::select! {
            result = timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)) => match result {
                Ok(Ok(stream)) => return Some(stream),
                Ok(Err(error)) => error,
                Err(_) => io::ErrorKind::TimedOut.into(),
            },
            _ = stopping.changed() => return None,
        };

        let count = self.metrics.handshake_failed();
        if self.handshake_log.is_due(Instant::now()) {
            warn!(count, "TLS handshakes failed, the last one: {error}");
        }
        None
    }
}

/// A proxy that ends sends its last batch and closes at once, without waiting for the answer.
/// Without `half_close`, hyper drops such a request, and the batch is lost.
async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    watcher: Watcher,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .half_close(true)
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_BUFFER_BYTES);

    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = watcher.watch(connection).await {
        debug!("connection: {error}");
    }
}
