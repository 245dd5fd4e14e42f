//! One connection of HTTP/2.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::time::timeout;
use tracing::debug;

use super::abandoned;
use super::answers::Answers;
use super::half_close::HalfClose;
use super::socket::Socket;
use super::{HEADER_TIMEOUT, MAX_BUFFER_BYTES};

/// Most requests at once on one connection; the filter has 32 batches in flight.
const MAX_STREAMS: u32 = 64;

/// Most bytes of bodies that a connection has received and no request has read; they are charged
/// when they are read.
const WINDOW_BYTES: u32 = 256 * 1024;

/// Most bytes of an answer that a connection buffers, and one piece more; its client may take none.
/// All answers of a connection together have 2 MiB.
const SEND_BUFFER_BYTES: usize = 16 * 1024;

/// How long a client without open requests may take to confirm that a connection ends.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// Open requests of a connection.
#[derive(Clone)]
struct Requests {
    open: watch::Sender<usize>,
    answers: Answers,
    /// A shutdown waits until it is dropped.
    _watcher: Arc<Watcher>,
}

/// One of them, until its answer is written.
struct OpenRequest(Requests);

impl Requests {
    fn open(&self) -> OpenRequest {
        self.open.send_modify(|open| *open += 1);
        OpenRequest(self.clone())
    }

    /// Answers a request. A request to store goes on when its sender has closed or reset it, as in
    /// HTTP/1.1; any other ends.
    async fn answer(
        open: OpenRequest,
        (router, socket): (TowerToHyperService<Router>, Socket),
        request: Request<Incoming>,
    ) -> Result<Response<Body>, JoinError> {
        let stores = request.method() == Method::POST;
        let answers = open.0.answers.clone();
        let answering = async move {
            let response = abandoned::answer(router, request, socket).await;
            response.map(|body| answers.body(body, open))
        };

        if stores {
            tokio::spawn(answering).await
        } else {
            Ok(answering.await)
        }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
    }
}

/// Serves until the client closes, takes nothing of an answer for too long, the connection is idle
/// for as long as one of HTTP/1.1 may be, or the server stops. Open requests are answered in each
/// case, as far as the client takes the answers.
pub(super) async fn serve(
    (stream, socket): (impl AsyncRead + AsyncWrite + Unpin + Send + 'static, Socket),
    router: TowerToHyperService<Router>,
    watcher: Watcher,
    mut stopping: watch::Receiver<()>,
) {
    let requests = Requests {
        open: watch::Sender::new(0),
        answers: Answers::default(),
        _watcher: Arc::new(watcher),
    };
    let open = requests.open.subscribe();
    let answers = requests.answers.clone();

    // Counted before the answer is polled: the end of the input is held back while one is open.
    let service = service_fn(move |request| {
        Requests::answer(requests.open(), (router.clone(), socket.clone()), request)
    });
    let stream = TokioIo::new(HalfClose::new(stream, open.clone()));
    let mut connection = pin!(builder().serve_connection(stream, service));

    let ended = tokio::select! {
        result = connection.as_mut() => Some(result),
        () = idle(open.clone(), HEADER_TIMEOUT) => None,
        () = answers.stalled(|| 1) => None,
        _ = stopping.changed() => None,
    };

    let ended = match ended {
        Some(result) => result,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                result = connection => result,
                () = idle(open.clone(), FAREWELL_TIMEOUT) => Ok(()),
                () = answers.stalled(|| (*open.borrow()).max(1)) => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        debug!("connection: {error}");
    }
}

fn builder() -> http2::Builder<TokioExecutor> {
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_connection_window_size(WINDOW_BYTES)
        .initial_stream_window_size(WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_header_list_size(MAX_BUFFER_BYTES as u32);
    http
}

/// Returns when no request has been open for `time`.
async fn idle(mut open: watch::Receiver<usize>, time: Duration) {
    while open.wait_for(|open| *open == 0).await.is_ok() {
        if timeout(time, open.changed()).await.is_err() {
            return;
        }
    }
}
