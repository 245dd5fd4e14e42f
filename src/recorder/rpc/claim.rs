//! The protocol that a request declares. A client controls it, so the response decides.

use super::Dialect;
use crate::recorder::capture::query;
use crate::recorder::headers::is_same;
use crate::recorder::rules::RequestHead;

/// Wire formats of RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::recorder) enum Wire {
    /// `application/grpc`: gRPC over HTTP/2 (grpc/grpc `doc/PROTOCOL-HTTP2.md`).
    Grpc,
    /// `application/grpc+proto` and the like. Envoy's Connect bridge sends such requests.
    GrpcWithCodec,
    /// `application/grpc` as sent by Envoy's JSON transcoder, with `x-envoy-original-method`. A
    /// client can send that header too, so it counts as a call only if the upstream responds in
    /// gRPC.
    Transcoded,
    /// `application/grpc-web` (grpc/grpc `doc/PROTOCOL-WEB.md`).
    GrpcWeb,
    /// `application/grpc-web-text`: the same in base64.
    GrpcWebText,
    /// `application/connect+proto` and the like: a stream of the Connect protocol.
    ConnectStream,
    /// `application/proto`, or JSON with `connect-protocol-version`: a unary call of the Connect
    /// protocol.
    ConnectUnary,
    /// JSON to a path that could name a method. It may be a unary Connect call, since servers do
    /// not require its header. It may also be plain HTTP, or a request transcoded after this
    /// filter.
    Json,
}

/// The protocol that a request declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::recorder) enum Claim {
    /// None: plain HTTP.
    Http,
    /// A gRPC content type on a request that cannot be a call: plain HTTP.
    Contradictory,
    /// A call.
    Rpc(Wire),
}

impl Wire {
    /// Parses a content type without regard to parameters and case. `None` if it is not one of RPC.
    pub(in crate::recorder) fn of_content_type(value: &[u8]) -> Option<Self> {
        if is_same(value, b"application/grpc") {
            return Some(Self::Grpc);
        }

        // Early exit for most content types: the RPC subtypes begin with g, c or p.
        if !matches!(
            value.get(TYPE.len())?,
            b'g' | b'G' | b'c' | b'C' | b'p' | b'P'
        ) {
            return None;
        }

        let subtype = subtype(value)?;
        let is = |word: &str| subtype.eq_ignore_ascii_case(word.as_bytes());
        let (start, has_codec) = match subtype.iter().position(|byte| *byte == b'+') {
            Some(at) => (subtype.get(..at)?, at + 1 < subtype.len()),
            None => (subtype, false),
        };
        let starts = |word: &str| start.eq_ignore_ascii_case(word.as_bytes());
        if starts("grpc") {
            return Some(if has_codec {
                Self::GrpcWithCodec
            } else {
                Self::Grpc
            });
        }

        if starts("grpc-web") {
            return Some(Self::GrpcWeb);
        }
        if starts("grpc-web-text") {
            return Some(Self::GrpcWebText);
        }
        if starts("connect") && has_codec {
            return Some(Self::ConnectStream);
        }

        is("proto").then_some(Self::ConnectUnary)
    }
}

impl Wire {
    /// Whether it is native gRPC.
    pub(in crate::recorder) fn is_grpc(self) -> bool {
        matches!(self, Self::Grpc | Self::GrpcWithCodec)
    }
}

impl Claim {
    /// Classifies a request. A call is a POST. The exception is a unary Connect call without side
    /// effects, which may be a GET with `connect=v1` in its query (Connect protocol,
    /// "Unary-Get-Request").
    ///
    /// A unary call with JSON looks like any other JSON request. It counts as one only if the path
    /// could name a method, too.
    pub(in crate::recorder) fn of(head: &RequestHead<'_>, target: &[u8]) -> Self {
        let content_type = head.headers.first("content-type").unwrap_or_default();
        let wire = Wire::of_content_type(content_type);
        let is_unary = match head.method {
            b"POST" => match wire {
                Some(Wire::Grpc) if head.headers.has("x-envoy-original-method") => {
                    return Self::Rpc(Wire::Transcoded);
                }
                Some(Wire::ConnectUnary) => is_method(head.path),
                Some(wire) => return Self::Rpc(wire),
                None if head.headers.has("connect-protocol-version") => {
                    return if is_method(head.path) {
                        Self::Rpc(Wire::ConnectUnary)
                    } else {
                        Self::Contradictory
                    };
                }
                None if !is_method(head.path) => false,
                None if content_type.starts_with(b"application/json") => {
                    return Self::Rpc(Wire::Json);
                }
                None => false,
            },
            b"GET" => {
                target.len() > head.path.len() && is_method(head.path) && is_connect_get(target)
            }
            _ => false,
        };

        if is_unary {
            return Self::Rpc(Wire::ConnectUnary);
        }

        let is_odd =
            wire.is_some_and(|wire| wire != Wire::ConnectUnary) || begins_as_grpc(content_type);
        if is_odd {
            Self::Contradictory
        } else {
            Self::Http
        }
    }

    /// The client's dialect for such a call.
    pub(in crate::recorder) fn dialect(self) -> Dialect {
        match self {
            Self::Rpc(Wire::GrpcWeb | Wire::GrpcWebText) => Dialect::GrpcWeb,
            Self::Rpc(Wire::ConnectStream | Wire::ConnectUnary | Wire::Json) => Dialect::Connect,
            Self::Rpc(Wire::Transcoded) => Dialect::Transcoded,
            Self::Rpc(Wire::Grpc | Wire::GrpcWithCodec) | Self::Http | Self::Contradictory => {
                Dialect::Grpc
            }
        }
    }

    /// Whether it may be a unary Connect call, whose response looks like that of any other request.
    pub(in crate::recorder) fn may_be_unary_connect(self) -> bool {
        matches!(self, Self::Rpc(Wire::ConnectUnary | Wire::Json))
    }

    /// Whether the request declares a call.
    pub(in crate::recorder) fn is_rpc(self) -> bool {
        matches!(self, Self::Rpc(_))
    }
}

const TYPE: &[u8] = b"application/";

/// The subtype of an `application/` type, without parameters.
fn subtype(value: &[u8]) -> Option<&[u8]> {
    let (main, rest) = value.split_at_checked(TYPE.len())?;
    if !main.eq_ignore_ascii_case(TYPE) {
        return None;
    }
    let end = rest
        .iter()
        .position(|byte| *byte == b';')
        .unwrap_or(rest.len());
    rest.get(..end).map(<[u8]>::trim_ascii_end)
}

fn begins_as_grpc(content_type: &[u8]) -> bool {
    const START: &[u8] = b"application/grpc";
    content_type
        .get(..START.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(START))
}

/// `/package.Service/Method`.
pub(in crate::recorder) fn is_method(path: &[u8]) -> bool {
    if !path.contains(&b'.') {
        return false;
    }

    let mut parts = path.split(|byte| *byte == b'/');
    let start = parts.next();
    let (service, method, rest) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
        parts.next(),
    );
    let is_service =
        service.contains(&b'.') && service.split(|byte| *byte == b'.').all(is_identifier);

    start == Some(b"") && is_service && is_identifier(method) && rest.is_none()
}

/// A protobuf identifier (Protocol Buffers language specification, "Identifiers").
fn is_identifier(name: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    name.first().is_some_and(is_letter)
        && name
            .iter()
            .all(|byte| is_letter(byte) || byte.is_ascii_digit())
}

fn is_connect_get(target: &[u8]) -> bool {
    let query = query::of_path(target).unwrap_or_default();
    query
        .split(|byte| *byte == b'&')
        .any(|pair| pair == b"connect=v1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::headers::Headers;

    #[test]
    fn content_types() {
        for (value, expected) in [
            ("application/grpc", Some(Wire::Grpc)),
            ("application/grpc+proto", Some(Wire::GrpcWithCodec)),
            ("Application/GRPC+JSON", Some(Wire::GrpcWithCodec)),
            ("application/grpc;charset=x", Some(Wire::Grpc)),
            ("application/grpc ; x=y", Some(Wire::Grpc)),
            ("application/grpc-web", Some(Wire::GrpcWeb)),
            ("application/grpc-web+proto", Some(Wire::GrpcWeb)),
            ("application/grpc-web-text", Some(Wire::GrpcWebText)),
            ("application/grpc-web-text+proto", Some(Wire::GrpcWebText)),
            ("application/connect+proto", Some(Wire::ConnectStream)),
            (
                "application/connect+json; charset=utf-8",
                Some(Wire::ConnectStream),
            ),
            ("application/proto", Some(Wire::ConnectUnary)),
            ("application/connect", None),
            ("application/connect+", None),
            ("application/proto+x", None),
            ("application/grpcx", None),
            ("application/grpc,application/json", None),
            ("application/grpc-websocket", None),
            ("application/json", None),
            ("application/", None),
            ("text/plain", None),
            ("", None),
        ] {
            assert_eq!(Wire::of_content_type(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn only_what_can_be_a_call_claims_to_be_one() {
        let grpc = ("content-type", "application/grpc");
        let json = [
            ("content-type", "application/json"),
            ("connect-protocol-version", "1"),
        ];
        let (unary, method) = (Claim::Rpc(Wire::ConnectUnary), "/acme.User/Get");

        for (verb, path, headers, query, expected) in [
            ("POST", "/any", &[grpc][..], "", Claim::Rpc(Wire::Grpc)),
            ("GET", method, &[grpc], "", Claim::Contradictory),
            (
                "PUT",
                method,
                &[("content-type", "application/grpc-web")],
                "",
                Claim::Contradictory,
            ),
            (
                "POST",
                method,
                &[("content-type", "application/grpcx")],
                "",
                Claim::Contradictory,
            ),
            ("POST", method, &json, "", unary),
            ("POST", "/v1/users", &json, "", Claim::Contradictory),
            ("POST", "/acme.User/Get/x", &json, "", Claim::Contradictory),
            ("POST", method, &json[..1], "", Claim::Rpc(Wire::Json)),
            ("POST", "/v1.0/pay", &json, "", Claim::Contradictory),
            ("POST", "/v1.0/pay", &json[..1], "", Claim::Http),
            (
                "POST",
                "/pay",
                &[("content-type", "application/proto")],
                "",
                Claim::Http,
            ),
            (
                "POST",
                method,
                &[("content-type", "application/proto")],
                "",
                unary,
            ),
            ("GET", method, &json[1..], "", Claim::Http),
            ("GET", method, &[], "a=b&connect=v1", unary),
            ("GET", "/check", &[], "connect=v1", Claim::Http),
            ("GET", method, &[], "connect=v10", Claim::Http),
            ("POST", method, &[], "connect=v1", Claim::Http),
        ] {
            let headers: Headers<'_> = headers
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
                .collect();
            let (method, path) = (verb.as_bytes(), path.as_bytes());
            let head = RequestHead {
                headers: &headers,
                method,
                path,
                authority: b"",
                tracked: false,
            };
            let target = [path, b"?", query.as_bytes()].concat();

            assert_eq!(
                Claim::of(&head, &target),
                expected,
                "{verb} {query} {headers:?}"
            );
        }
    }
}
