//! The accept loops: one task per connection, all of which end with the loop.

use std::convert::Infallible;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, server};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Shared;
use super::seen::SeenLog;
use super::tunnel::Upgrade;
use crate::headers::Headers;

/// High enough for every request that passes a proxy.
const MAX_HEADERS: usize = 4096;

/// Serves HTTP/1.1 until the task is aborted.
pub(super) async fn http1(listener: TcpListener, shared: Shared) {
    accept(listener, move |stream| {
        let shared = shared.clone();
        async move {
            let upgrade = Upgrade::default();
            let accepted = upgrade.clone();
            let service = service_fn(move |request| {
                super::http::answer(request, shared.clone(), accepted.clone())
            });

            // A broken connection is not an error here: the client or the script may break it.
            let _ = server::conn::http1::Builder::new()
                .max_headers(MAX_HEADERS)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
            upgrade.play().await;
        }
    })
    .await;
}

/// Serves gRPC over HTTP/2 with prior knowledge until the task is aborted.
pub(super) async fn grpc(listener: TcpListener, shared: Shared) {
    accept(listener, move |stream| {
        let shared = shared.clone();
        async move {
            let service = service_fn(move |request| {
                let shared = shared.clone();
                async move { Ok::<_, Infallible>(super::grpc::answer(request, shared).await) }
            });

            let http2 = server::conn::http2::Builder::new(TokioExecutor::new());
            let _ = http2.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await;
}

/// Notes the request, reads its body to the end and notes size and trailers. False: the client
/// disconnected.
pub(super) async fn read_request(
    protocol: super::Protocol,
    request: Request<Incoming>,
    seen: &SeenLog,
) -> (hyper::http::request::Parts, bool) {
    let (parts, body) = request.into_parts();
    let id = seen.arrived(protocol, &parts);
    let Ok(body) = body.collect().await else {
        return (parts, false);
    };

    let trailers = body.trailers().map_or_else(Headers::new, Headers::from);
    seen.body_read(id, body.to_bytes().len(), trailers);
    (parts, true)
}

async fn accept<Serve, Connection>(listener: TcpListener, serve: Serve)
where
    Serve: Fn(TcpStream) -> Connection,
    Connection: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();

    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    connections.spawn(serve(stream));
                }
                // Out of file descriptors or alike: give the connections time to end.
                Err(_) => tokio::time::sleep(super::FLUSH_BEFORE_BREAK).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}
