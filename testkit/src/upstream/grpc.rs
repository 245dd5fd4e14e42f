//! The gRPC answers, without protobuf types: a message is five zero-payload framing bytes.
//!
//! The script is the metadata `x-demo-grpc`, else the last path segment. A path without a script
//! (as `/demo.Accounts/ChangePassword`) is a unary call that succeeds.
//!
//! | script | answer |
//! |---|---|
//! | `unary` | one message, `grpc-status: 0` in the trailers |
//! | `status:<n>:<message>` | no message, the status in the trailers; the message is unchanged |
//! | `trailers-only:<n>:<message>` | the status in the response headers, which end the stream |
//! | `stream:<k>` | k messages, then `grpc-status: 0` |
//! | `stream-error:<k>:<n>:<message>` | k messages, then that status |
//! | `hang` | headers and one message, then silence until the client goes away |
//! | `reset` | headers and one message, then RST_STREAM |
//! | `no-status` | one message, then the end without a `grpc-status` |
//!
//! `x-demo-delay-ms` and `x-demo-response-header` work as for HTTP.

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Request, Response};

use super::seen::Protocol;
use super::serve::read_request;
use super::{FLUSH_BEFORE_BREAK, Shared, script, scripted_delay, scripted_headers};
use crate::script_body::{ScriptBody, Step};

/// One uncompressed message of length 0.
const MESSAGE: &[u8] = &[0, 0, 0, 0, 0];
/// Status of the answer to an unreadable `x-demo-grpc`.
const INVALID_ARGUMENT: &str = "3";

#[derive(Debug, PartialEq, Eq)]
enum Script<'a> {
    Messages { count: usize, status: Status<'a> },
    TrailersOnly(Status<'a>),
    Hang,
    Reset,
    NoStatus,
}

/// Code and message as sent; the code is text so that tests can send invalid ones.
#[derive(Debug, PartialEq, Eq)]
struct Status<'a> {
    code: &'a str,
    message: &'a str,
}

const OK: Status<'static> = Status {
    code: "0",
    message: "",
};

/// Answers one call.
pub(super) async fn answer(request: Request<Incoming>, shared: Shared) -> Response<ScriptBody> {
    let (parts, _) = read_request(Protocol::Grpc, request, &shared.seen).await;
    scripted_delay(&parts.headers).await;
    if let Some(prepared) = shared.prepared.take(parts.uri.path()) {
        return prepared;
    }

    let mut response = play(read_script(&parts.headers, parts.uri.path()));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    scripted_headers(&parts.headers, response.headers_mut());
    response
}

fn read_script<'a>(headers: &'a HeaderMap, path: &'a str) -> Script<'a> {
    let unreadable = Status {
        code: INVALID_ARGUMENT,
        message: "unreadable x-demo-grpc",
    };

    match script(headers, "x-demo-grpc") {
        Some(text) => parse(text).unwrap_or(Script::TrailersOnly(unreadable)),
        None => path
            .rsplit('/')
            .next()
            .and_then(parse)
            .unwrap_or(Script::Messages {
                count: 1,
                status: OK,
            }),
    }
}

fn parse(text: &str) -> Option<Script<'_>> {
    let (verb, rest) = text.split_once(':').unwrap_or((text, ""));

    Some(match verb {
        "unary" => Script::Messages {
            count: 1,
            status: OK,
        },
        "status" => Script::Messages {
            count: 0,
            status: parse_status(rest),
        },
        "trailers-only" => Script::TrailersOnly(parse_status(rest)),
        "stream" => Script::Messages {
            count: rest.parse().ok()?,
            status: OK,
        },
        "stream-error" => {
            let (count, status) = rest.split_once(':')?;
            Script::Messages {
                count: count.parse().ok()?,
                status: parse_status(status),
            }
        }
        "hang" => Script::Hang,
        "reset" => Script::Reset,
        "no-status" => Script::NoStatus,
        _ => return None,
    })
}

fn parse_status(text: &str) -> Status<'_> {
    let (code, message) = text.split_once(':').unwrap_or((text, ""));
    Status { code, message }
}

fn play(script: Script<'_>) -> Response<ScriptBody> {
    let message = || Step::Data(Bytes::from_static(MESSAGE));
    let steps = match script {
        Script::Messages { count, status } => {
            let mut steps: Vec<Step> = std::iter::repeat_with(message).take(count).collect();
            steps.push(Step::Trailers(status_fields(&status)));
            steps
        }
        Script::TrailersOnly(status) => {
            let mut response = Response::new(ScriptBody::default());
            *response.headers_mut() = status_fields(&status);
            return response;
        }
        Script::Hang => vec![message(), Step::Hang],
        Script::Reset => vec![message(), Step::Wait(FLUSH_BEFORE_BREAK), Step::Break],
        Script::NoStatus => vec![message()],
    };

    Response::new(ScriptBody::new(steps))
}

fn status_fields(status: &Status<'_>) -> HeaderMap {
    let mut fields = HeaderMap::new();
    let pairs = [
        ("grpc-status", status.code),
        ("grpc-message", status.message),
    ];

    for (name, text) in pairs.into_iter().filter(|(_, text)| !text.is_empty()) {
        if let Ok(value) = HeaderValue::from_str(text) {
            fields.insert(name, value);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_read() {
        let status = Status {
            code: "7",
            message: "no: really",
        };
        assert_eq!(
            parse("status:7:no: really"),
            Some(Script::Messages { count: 0, status })
        );
        assert_eq!(
            parse("trailers-only:5"),
            Some(Script::TrailersOnly(Status {
                code: "5",
                message: ""
            }))
        );

        let status = Status {
            code: "8",
            message: "late",
        };
        assert_eq!(
            parse("stream-error:2:8:late"),
            Some(Script::Messages { count: 2, status })
        );

        assert_eq!(parse("stream:x"), None);
        assert_eq!(parse("ChangePassword"), None);
    }
}
