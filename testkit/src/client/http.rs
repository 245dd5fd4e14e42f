//! HTTP/1.1 requests: one on a new connection, or many on one connection.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

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
    http_request(
        addr,
        Method::GET.as_str(),
        path,
        headers,
        Bytes::new(),
        options,
    )
    .await
}

/// One request with any method and body, on a new connection.
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
    within(options.timeout, async {
        let mut connection = HttpConnection::open_from(addr, options.source_ip).await?;
        connection
            .exchange(method, path, headers.into(), body.into())
            .await
    })
    .await
}

/// A connection that stays open from one request to the next.
#[derive(Debug)]
pub struct HttpConnection {
    addr: SocketAddr,
    sender: http1::SendRequest<Full<Bytes>>,
}

impl HttpConnection {
    /// Connects.
    ///
    /// # Errors
    /// When the connection cannot be made within `timeout`.
    pub async fn open(addr: SocketAddr, timeout: Duration) -> Result<Self, CallError> {
        within(timeout, Self::open_from(addr, None)).await
    }

    /// Whether it may be used again: the peer has not closed it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// One request, after the previous one is answered. After an error the connection cannot be
    /// used.
    ///
    /// # Errors
    /// When there is no complete answer within `timeout`, see [`CallError`].
    pub async fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: impl Into<Headers>,
        timeout: Duration,
    ) -> Result<HttpAnswer, CallError> {
        within(
            timeout,
            self.exchange(method, path, headers.into(), Bytes::new()),
        )
        .await
    }

    async fn open_from(addr: SocketAddr, source_ip: Option<IpAddr>) -> Result<Self, CallError> {
        let stream = connect(addr, source_ip).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(None, &error))?;
        // The request side reports errors; the task ends when the sender is dropped.
        tokio::spawn(connection);
        Ok(Self { addr, sender })
    }

    async fn exchange(
        &mut self,
        method: &str,
        path: &str,
        headers: Headers,
        body: Bytes,
    ) -> Result<HttpAnswer, CallError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .body(Full::new(body))?;
        *request.headers_mut() = headers.to_map()?;
        if !request.headers().contains_key(HOST) {
            let host =
                HeaderValue::from_str(&self.addr.to_string()).map_err(hyper::http::Error::from)?;
            request.headers_mut().insert(HOST, host);
        }

        self.sender
            .ready()
            .await
            .map_err(|error| broken(None, &error))?;
        let response = self
            .sender
            .send_request(request)
            .await
            .map_err(|error| broken(None, &error))?;

        let (parts, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|error| broken(Some(parts.status), &error))?;

        Ok(HttpAnswer {
            status: parts.status.as_u16(),
            headers: Headers::from(&parts.headers),
            body: body.to_bytes(),
        })
    }
}
