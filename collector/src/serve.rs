//! The server: one task a connection, requests whose sender has closed are finished, and an orderly end.

use std::future::Future;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

/// How long to wait when a connection cannot be accepted, most often because there are too many of them.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown` is ready, then for as long as accepted requests need, at most `grace`.
pub(crate) async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>, grace: Duration) {
    let connections = GracefulShutdown::new();
    tokio::select! {
        () = accept(&listener, &router, &connections) => {}
        () = shutdown => {}
    }
    info!("stopping");
    drop(listener);
    if timeout(grace, connections.shutdown()).await.is_err() {
        warn!("stopped with requests still open");
    }
}

async fn accept(listener: &TcpListener, router: &Router, connections: &GracefulShutdown) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(converse(stream, router.clone(), connections.watcher()));
            }
            Err(error) => {
                warn!("cannot accept a connection: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A proxy that ends sends its last batch and closes at once, without waiting for the answer. Unless it is told that a
/// connection may be closed by half, hyper gives up such a request, and the batch is lost.
async fn converse(stream: TcpStream, router: Router, watcher: Watcher) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).half_close(true);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = watcher.watch(connection).await {
        debug!("connection: {error}");
    }
}
