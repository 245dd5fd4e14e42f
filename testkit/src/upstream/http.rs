//! The HTTP/1.1 answers.
//!
//! | request header | effect |
//! |---|---|
//! | `x-demo-status: 401` | status of the answer |
//! | `x-demo-delay-ms: 200` | waits before the answer |
//! | `x-demo-body: <text>` | body of the answer; JSON when it starts with `{` |
//! | `x-demo-response-header: <name>: <value>` | one more header in the answer; may be repeated |
//! | `x-demo-reset: before` | closes the connection without an answer |
//! | `x-demo-reset: after-headers` | closes it in the middle of the body |
//!
//! A request with an `upgrade` header and no `x-demo-status` is answered 101, see
//! [`super::tunnel`].

use std::io;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::seen::{Protocol, SeenLog};
use super::serve::read_request;
use super::tunnel::Upgrade;
use super::{FLUSH_BEFORE_BREAK, Shared, script, scripted_delay, scripted_headers};
use crate::script_body::{ScriptBody, Step};

const CHECK_BODY: &str = r#"{"UserId":42,"Identity":"ada","Email":"ada@example.com"}"#;
const OTHER_BODY: &str = "hello from the demo upstream\n";
const SEEN_PATH: &str = "/_seen";

/// Answers one request; an error makes hyper close the connection without an answer.
pub(super) async fn answer(
    mut request: Request<Incoming>,
    shared: Shared,
    upgrade: Upgrade,
) -> io::Result<Response<ScriptBody>> {
    if request.uri().path() == SEEN_PATH {
        return Ok(seen_answer(request.method(), &shared.seen));
    }

    let switched = upgrade.accept(&mut request);
    let (parts, complete) = read_request(Protocol::Http, request, &shared.seen).await;
    if !complete {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }

    scripted_delay(&parts.headers).await;
    if let Some(switched) = switched {
        return Ok(switched);
    }
    if let Some(prepared) = shared.prepared.take(parts.uri.path()) {
        return Ok(prepared);
    }

    match script(&parts.headers, "x-demo-reset") {
        Some("before") => Err(io::ErrorKind::ConnectionReset.into()),
        Some("after-headers") => Ok(scripted(&parts.headers, parts.uri.path(), Ending::Break)),
        _ => Ok(scripted(&parts.headers, parts.uri.path(), Ending::Clean)),
    }
}

enum Ending {
    Clean,
    Break,
}

fn scripted(request: &HeaderMap, path: &str, ending: Ending) -> Response<ScriptBody> {
    let status = script(request, "x-demo-status")
        .and_then(|text| text.parse().ok())
        .unwrap_or(StatusCode::OK);
    let default_body = if path == "/check" {
        CHECK_BODY
    } else {
        OTHER_BODY
    };
    let body = script(request, "x-demo-body").unwrap_or(default_body);
    let content_type = if body.starts_with('{') {
        "application/json"
    } else {
        "text/plain"
    };

    let mut steps = vec![Step::Data(Bytes::copy_from_slice(body.as_bytes()))];
    if matches!(ending, Ending::Break) {
        steps.extend([Step::Wait(FLUSH_BEFORE_BREAK), Step::Break]);
    }

    let mut response = plain(status, content_type, steps);
    scripted_headers(request, response.headers_mut());
    response
}

fn seen_answer(method: &Method, seen: &SeenLog) -> Response<ScriptBody> {
    match *method {
        Method::GET => {
            let json = seen.to_json().to_string();
            plain(
                StatusCode::OK,
                "application/json",
                vec![Step::Data(json.into())],
            )
        }
        Method::DELETE => {
            seen.clear();
            plain(StatusCode::NO_CONTENT, "text/plain", Vec::new())
        }
        _ => plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", Vec::new()),
    }
}

fn plain(status: StatusCode, content_type: &'static str, steps: Vec<Step>) -> Response<ScriptBody> {
    let mut response = Response::new(ScriptBody::new(steps));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
