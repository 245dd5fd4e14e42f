//! Requests to read end when their client is gone; those to store are finished.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::http::{Method, Request, Response};
use axum::response::IntoResponse as _;
use futures_util::stream::{self, Stream, StreamExt as _};
use hyper::body::{Bytes, Incoming};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use super::socket::Socket;
use crate::http::refusal::{Reason, Refusal};

/// Answers a request; `socket` is that of its client.
pub(super) async fn answer(
    router: TowerToHyperService<Router>,
    request: Request<Incoming>,
    socket: Socket,
) -> Response<Body> {
    let stores = request.method() == Method::POST;
    let response = async move {
        let response: Result<_, Infallible> = router.call(request).await;
        let Ok(response) = response;
        response
    };
    if stores {
        return response.await;
    }

    tokio::select! {
        biased;
        response = response => response.map(|body| until_closed(body, &socket)),
        () = socket.closed() => {
            let message = "the client closed its side of the connection before the answer";
            Refusal::new(Reason::Timeout, message).into_response()
        }
    }
}

/// A body that is read page by page breaks off when the client is gone.
fn until_closed(body: Body, socket: &Socket) -> Body {
    if body.size_hint().exact().is_some() {
        return body;
    }
    let parts = body
        .into_data_stream()
        .map(|part| part.map_err(io::Error::other));
    Body::from_stream(breaking_off(parts, socket))
}

fn breaking_off(
    parts: impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
    socket: &Socket,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let closed: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(socket.closed());
    stream::try_unfold((parts, closed), |(mut parts, mut closed)| async move {
        let part = tokio::select! {
            biased;
            part = parts.next() => part.transpose()?,
            () = &mut closed => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        Ok(part.map(|part| (part, (parts, closed))))
    })
}
