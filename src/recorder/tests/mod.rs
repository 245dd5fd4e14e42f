//! Complete exchanges through the recorder, with configurations in the operator's format.

mod actions;
mod attacks;
mod captures;
mod case;
mod claims;
mod covering;
mod default_rules;
mod dialects;
mod endings;
mod fields;
mod gateway;
mod grpc;
mod hostile_bytes;
mod identity;
mod leaving;
mod matching;
mod own_batches;
mod path_parameters;
mod peers;
mod recreated;
mod required;
mod sessions;
mod several_values;
mod spellings;
mod tracking;

use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use case::{Case, NoSharedData, Run, owned, view};

use super::correlation::{Correlator, Scope};
use super::exchange::Exchange;
use super::fake::{FakeStream, serialized};
use super::headers::Headers;
use super::rpc::{Dialect, StatusSource};
use super::tracking::Context;
use super::{MAX_BODIES_BYTES, Recorder, Services, bounds};
use crate::host::{Property, SharedData, Stream as _};
use crate::quota::Quota;
use crate::record::{ExchangeRecord, Outcome, Protocol, RequireAudit};
use crate::stats::{Counter, Stats};
use crate::time::Now;

const START: Now = Now {
    unix_nanos: 1_700_000_000_000_000_000,
    uptime: Duration::from_secs(100),
};
const END: Now = Now {
    unix_nanos: START.unix_nanos + 250_000_000,
    uptime: Duration::from_millis(100_250),
};
const TRUSTED: &str = "127.0.0.1:4567";
const UNTRUSTED: &str = "203.0.113.9:4567";
const UNKNOWN: &str = "127.0.0.1:0";
const TRACK: (&str, &str) = ("x-session-track", "true");
const CONTEXT: (&str, &str) = ("x-session-context", "device=1");

/// Id of the stream, and of a new session.
const STREAM: Uuid = Uuid::from_u128(1);
const FRESH: Uuid = Uuid::from_u128(2);

fn recorder(sections: &Value) -> Recorder {
    let mut config = json!({"audit_cluster": {"cluster": "audit"}});
    config
        .as_object_mut()
        .unwrap()
        .extend(sections.as_object().unwrap().clone());
    let config = crate::config::parse(config.to_string().as_bytes(), &|_| None).unwrap();
    Recorder::new(config.recorder, Quota::new(MAX_BODIES_BYTES))
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn optional<B: AsRef<[u8]> + ?Sized>(bytes: Option<&B>) -> Option<&str> {
    bytes.map(|bytes| text(bytes.as_ref()))
}
