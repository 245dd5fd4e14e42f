//! Sample records: together they have every attribute of an exchange, and bytes of every kind.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use audit_filter::record::{
    Action, ExchangeRecord, Outcome, Protocol, RequestParts, RequestText, RpcStatus, Stage,
    Termination, TraceContext,
};
use audit_filter::recorder::correlation::Correlation;
use audit_filter::recorder::identity::Identity;
use audit_filter::recorder::rpc::{Dialect, StatusSource};
use audit_filter::recorder::session::{Session, SessionEvent, SessionId};
use audit_filter::recorder::tracking::Context;

use crate::{START, STREAM};

const GET_CHECK: RequestParts<'_> = RequestParts {
    method: b"GET",
    path: b"/check",
    host: b"api.example.com",
    user_agent: None,
    request_id: None,
    forwarded_for: None,
};

/// The fields of every exchange record.
fn exchange(rule: &str, action: &str, outcome: Outcome) -> ExchangeRecord {
    ExchangeRecord {
        action: Action::Text(action.as_bytes().to_vec()),
        start_unix_nanos: START,
        duration: Duration::from_nanos(1_250_999),
        request: RequestText::new(&GET_CHECK),
        http_status: Some(200),
        protocol_version: Some(b"1.1".into()),
        client_address: Some(b"198.51.100.7".to_vec()),
        ..ExchangeRecord::new(Rc::from(rule), Protocol::Http, Some(outcome))
    }
}

pub(crate) fn check() -> ExchangeRecord {
    ExchangeRecord {
        action: Action::MethodAndPath,
        request: RequestText::new(&RequestParts {
            user_agent: Some(b"curl/8.5.0"),
            request_id: Some(b"2f4a6a1e-7d0f-4b0e-9b53-0a1d1c1b1a19"),
            ..GET_CHECK
        }),
        trace: Some(Box::new(TraceContext {
            trace_id: *b"0af7651916cd43dd8448eb211c80319c",
            span_id: *b"b7ad6b7169203331",
        })),
        ..exchange("check", "", Outcome::Success)
    }
}

pub(crate) fn denied_call() -> ExchangeRecord {
    ExchangeRecord {
        protocol: Protocol::Grpc,
        duration: Duration::from_secs(3600),
        context: Some(Context::Whole(b"device=1;app=\"shop\"".to_vec())),
        header_conflict: true,
        request: RequestText::new(&RequestParts {
            method: b"POST",
            path: b"/shop.Users/Delete",
            user_agent: Some(b"grpc-rust/1.0"),
            request_id: Some(b"r-2"),
            ..GET_CHECK
        }),
        route: Some("/shop.Users/{method}".to_owned()),
        rpc: Some(RpcStatus {
            name: Cow::Borrowed("PERMISSION_DENIED"),
            source: StatusSource::Trailers,
        }),
        protocol_version: Some(b"2".into()),
        client_address: Some(b"2001:db8::7".to_vec()),
        trace: Some(Box::new(TraceContext {
            trace_id: *b"5b8efff798038103d269b633813fc60c",
            span_id: *b"eee19b7ec3c1b174",
        })),
        peer_uri_san: Some(b"spiffe://mesh.internal/ns/shop".to_vec()),
        upstream_cluster: Some(b"shop-users".to_vec()),
        response_flags: Some("UF,URX".to_owned()),
        response_code_details: Some(b"via_upstream".to_vec()),
        error_message: Some("kein Zugriff f\u{fc}r \u{4f60} \u{1f512}".into()),
        tags: Some(Rc::new([
            ("retention".to_owned(), "7y".to_owned()),
            ("owner.team".to_owned(), "id & access".to_owned()),
        ])),
        ..exchange("calls", "account.delete", Outcome::Denied)
    }
}

pub(crate) fn hashed_context() -> ExchangeRecord {
    ExchangeRecord {
        context: Some(Context::Hashed {
            sha256: "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589".to_owned(),
            length: 70_000,
        }),
        http_status: Some(503),
        ..exchange("tracked", "backup", Outcome::Failure)
    }
}

/// Quotes, backslashes, control characters, other scripts, and invalid UTF-8.
pub(crate) fn odd_bytes() -> ExchangeRecord {
    ExchangeRecord {
        context: Some(Context::Whole(b"a\xffb\xc3(\xe2\x82\xac\xf0\x9f".to_vec())),
        request: RequestText::new(&RequestParts {
            path: "/\u{fc}/\u{4f60}/</script>".as_bytes(),
            user_agent: Some(b"\"quoted\" back\\slash tab\t esc\x1b del\x7f one\x01 line\r\nend"),
            ..GET_CHECK
        }),
        http_status: None,
        ..exchange(
            "tracked",
            "Pa\u{df}wort \u{e4}ndern \u{2713} \u{2028}",
            Outcome::Aborted,
        )
    }
}

/// A JSON call that another filter translated, with the status not found.
pub(crate) fn transcoded_call() -> ExchangeRecord {
    ExchangeRecord {
        protocol: Protocol::Grpc,
        dialect: Dialect::Transcoded,
        request: RequestText::new(&RequestParts {
            path: b"/v1/users/ann",
            ..GET_CHECK
        }),
        http_status: Some(404),
        rpc: Some(RpcStatus {
            name: Cow::Borrowed("NOT_FOUND"),
            source: StatusSource::Trailers,
        }),
        rpc_method: Some(b"shop.Users/Get".to_vec()),
        ..exchange("calls", "/shop.Users/Get", Outcome::Failure)
    }
}

/// A tunnel in progress, and its end.
pub(crate) fn tunnel(stage: Stage) -> ExchangeRecord {
    let has_ended = stage == Stage::Complete;

    ExchangeRecord {
        stage,
        outcome: has_ended.then_some(Outcome::Success),
        started_number: has_ended.then_some(9),
        termination: if has_ended {
            Termination::Client
        } else {
            Termination::Complete
        },
        request: RequestText::new(&RequestParts {
            method: b"CONNECT",
            path: b"",
            host: b"target.example",
            ..GET_CHECK
        }),
        port: Some(443),
        http_status: has_ended.then_some(200),
        ..exchange("tunnels", "CONNECT target.example:443", Outcome::Success)
    }
}

/// The record that is acknowledged before the request goes upstream.
pub(crate) fn received() -> ExchangeRecord {
    ExchangeRecord {
        stage: Stage::Received,
        outcome: None,
        immediate: true,
        http_status: None,
        ..exchange("change-password", "POST /v1/password", Outcome::Success)
    }
}

/// A login: the session that it begins, the user, the requested operation.
pub(crate) fn login() -> ExchangeRecord {
    ExchangeRecord {
        session: Session {
            id: Some(SessionId::Whole(
                b"6a1e9c52-4c5e-4a6b-9d5f-0f6f7a10b4c2".to_vec(),
            )),
            token_ref: Some(format!("hmac-sha256:k1:{}", "0f".repeat(32))),
            is_basic: true,
        },
        session_event: Some(SessionEvent::Start),
        identity: Identity {
            user_id: Some(b"9007199254740993".to_vec()),
            user_name: Some("J\u{f6}rg \"O\"".into()),
            user_email: Some(b"j@example.com".to_vec()),
            source: Some(Cow::Borrowed("response_json")),
        },
        correlation: Some(Correlation {
            session_id: STREAM,
            number: 2_147_483_646,
        }),
        captured: vec![
            (Rc::from("audit.capture.query.lang"), b"de".to_vec()),
            (
                Rc::from("audit.capture.request_headers.authorization"),
                b"[REDACTED]".to_vec(),
            ),
        ],
        ..exchange("login", "POST /token", Outcome::Success)
    }
}

/// No user is known, and the session id may not be recorded.
pub(crate) fn anonymous() -> ExchangeRecord {
    let hash = "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589";
    ExchangeRecord {
        session: Session {
            id: Some(SessionId::Hashed(format!("sha256:{hash}"))),
            ..Session::default()
        },
        session_event: Some(SessionEvent::End),
        identity: Identity {
            source: Some(Cow::Borrowed("unavailable:absent")),
            ..Identity::default()
        },
        ..exchange("logout", "POST /logout", Outcome::Success)
    }
}
