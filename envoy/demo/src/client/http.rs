//! One HTTP/1.1 request.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;

use super::{CallError, CallOptions, HttpAnswer, broken, connect, within};
use crate::headers::Headers;

/// `GET path` without a body. A `host` field is added when the headers have none.
///
/// # Errors
/// When there is no complete answer, see [`CallError`].
pub async fn http_get(
    addr: SocketAddr,
    path: &str,
    headers: impl Into<Headers>,
    options: &CallOptions,
) -> Result<HttpAnswer, CallError> {
    http_request(addr, Method::GET.as_str(), path, headers, Bytes::new(), options).await
}

/// One request with any method and body, on a connection of its own.
///
/// # Errors
/// When there is no complete answer, see [`CallError`].
pub async fn http_request(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: impl Into<Headers>,
    body: impl Into<Bytes>,
    options: &CallOptions,
) -> Result<HttpAnswer, CallError> {
    let mut request = Request::builder().method(method).uri(path).body(Full::new(body.into()))?;
    *request.headers_mut() = headers.into().to_map()?;
    if !request.headers().contains_key(HOST) {
        let host = HeaderValue::from_str(&addr.to_string()).map_err(hyper::http::Error::from)?;
        request.headers_mut().insert(HOST, host);
    }
    within(options.timeout, send(addr, request, options)).await
}

async fn send(addr: SocketAddr, request: Request<Full<Bytes>>, options: &CallOptions) -> Result<HttpAnswer, CallError> {
    let stream = connect(addr, options.source_ip).await?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(None, &error))?;
    // The request side reports what goes wrong; the task ends when the sender is dropped.
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| broken(None, &error))?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| broken(Some(parts.status), &error))?;
    Ok(HttpAnswer { status: parts.status.as_u16(), headers: Headers::from(&parts.headers), body: body.to_bytes() })
}
