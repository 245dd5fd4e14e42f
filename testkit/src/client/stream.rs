//! A request with an answer that is read chunk by chunk, as it comes.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::HOST;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::{CallError, CallOptions, broken, connect, within};
use crate::headers::Headers;

/// The HTTP version of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 cleartext with prior knowledge.
    Http2,
}

/// An answer after its headers, while its body arrives.
#[derive(Debug)]
pub struct AnswerStream {
    status: StatusCode,
    headers: Headers,
    body: Incoming,
    timeout: Duration,
}

impl AnswerStream {
    /// Sends a request without a body on a new connection, and waits for the answer's headers.
    ///
    /// # Errors
    /// When no headers come, see [`CallError`].
    pub async fn open(
        addr: SocketAddr,
        version: Version,
        method: &str,
        path: &str,
        headers: impl Into<Headers>,
        options: &CallOptions,
    ) -> Result<Self, CallError> {
        let mut fields = headers.into().to_map()?;

        let asking = async {
            let stream = TokioIo::new(connect(addr, options.source_ip).await?);
            match version {
                Version::Http1 => {
                    let request = request(method, path, with_host(fields, addr)?)?;
                    let (mut sender, connection) = http1::handshake(stream)
                        .await
                        .map_err(|error| broken(None, &error))?;
                    tokio::spawn(connection);
                    sender
                        .send_request(request)
                        .await
                        .map_err(|error| broken(None, &error))
                }
                Version::Http2 => {
                    fields.remove(HOST);
                    let request = request(method, &format!("http://{addr}{path}"), fields)?;
                    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream)
                        .await
                        .map_err(|error| broken(None, &error))?;
                    tokio::spawn(connection);
                    sender
                        .send_request(request)
                        .await
                        .map_err(|error| broken(None, &error))
                }
            }
        };

        within(options.timeout, asking)
            .await
            .map(|response| Self::of(response, options.timeout))
    }

    fn of(response: Response<Incoming>, timeout: Duration) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            status: parts.status,
            headers: Headers::from(&parts.headers),
            body,
            timeout,
        }
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The response headers.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The next bytes of the body as they arrive; `None` at its end.
    ///
    /// # Errors
    /// When the body breaks off, or nothing comes within the timeout.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, CallError> {
        let status = self.status;
        let reading = async {
            while let Some(frame) = self.body.frame().await {
                let frame = frame.map_err(|error| broken(Some(status), &error))?;
                // HTTP/2 may end with an empty frame.
                if let Some(data) = frame.into_data().ok().filter(|data| !data.is_empty()) {
                    return Ok(Some(data));
                }
            }
            Ok(None)
        };

        within(self.timeout, reading).await
    }

    /// The rest of the body, and whether it is complete.
    pub async fn rest(mut self) -> (Vec<u8>, bool) {
        let mut all = Vec::new();
        loop {
            match self.chunk().await {
                Ok(Some(chunk)) => all.extend_from_slice(&chunk),
                Ok(None) => return (all, true),
                Err(_) => return (all, false),
            }
        }
    }
}

fn with_host(mut fields: HeaderMap, addr: SocketAddr) -> Result<HeaderMap, CallError> {
    if !fields.contains_key(HOST) {
        fields.insert(
            HOST,
            addr.to_string().parse().map_err(hyper::http::Error::from)?,
        );
    }
    Ok(fields)
}

fn request(method: &str, uri: &str, fields: HeaderMap) -> Result<Request<Empty<Bytes>>, CallError> {
    let mut request = Request::builder()
        .method(method)
        .uri(uri)
        .body(Empty::new())?;
    *request.headers_mut() = fields;
    Ok(request)
}
