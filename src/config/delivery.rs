//! The sections about delivery: `audit_cluster`, `batch`, `buffer`, `retry`.

use std::time::Duration;

use super::node::Node;
use super::text::{header_value, is_header_name};
use crate::pipeline::settings::{BatchLimits, BufferLimits, OnFull, RetryPolicy, Target};
use crate::wire::Format;

/// How long Envoy waits for an answer: long enough for a store that commits to disk.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// `POST` path of OTLP/HTTP logs.
const DEFAULT_PATH: &str = "/v1/logs";

/// Headers that the filter or Envoy sets, or that belong to one connection (RFC 9110 section
/// 7.6.1).
const RESERVED_HEADERS: [&str; 14] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "expect",
];

/// Reads `audit_cluster`.
pub(super) fn target(node: &Node<'_>) -> Option<Target> {
    let mut object = node.object()?;
    let cluster = object
        .required("cluster")
        .and_then(|node| node.non_empty_text().map(str::to_owned));
    let authority = object.read("authority", String::new(), header_value);
    let path = object.read("path", DEFAULT_PATH.to_owned(), path);

    let formats = [
        ("otlp_protobuf", Format::OtlpProtobuf),
        ("otlp_json", Format::OtlpJson),
        ("ndjson", Format::Ndjson),
    ];
    let format = object.read("format", Format::OtlpProtobuf, |node| node.one_of(&formats));
    let headers = object.read("headers", Vec::new(), headers);
    let timeout = object.read("timeout", DEFAULT_TIMEOUT, |node| {
        node.duration(Duration::from_millis(10), Duration::from_secs(600))
    });
    object.finish();

    let cluster = cluster?;
    let authority = if authority.is_empty() {
        cluster.clone()
    } else {
        authority
    };

    Some(Target {
        cluster,
        authority,
        path,
        format,
        headers,
        timeout,
    })
}

fn path(node: &Node<'_>) -> Option<String> {
    let path = header_value(node)?;
    if !path.starts_with('/') || path.contains(' ') {
        node.refuse(r#"must start with "/" and hold no space"#);
        return None;
    }
    Some(path)
}

fn headers(node: &Node<'_>) -> Option<Vec<(String, String)>> {
    let header = |(name, node): (&str, Node<'_>)| {
        let name = name.to_ascii_lowercase();
        if name.starts_with(':') || RESERVED_HEADERS.contains(&name.as_str()) {
            node.refuse("must not be set here");
            return None;
        }
        if !is_header_name(&name) {
            node.refuse("must have a header name as its key");
            return None;
        }
        Some((name, header_value(&node)?))
    };

    Some(node.entries()?.into_iter().filter_map(header).collect())
}

/// Reads `batch`.
pub(super) fn batch(node: Option<Node<'_>>) -> BatchLimits {
    let mut limits = BatchLimits {
        max_records: 100,
        max_bytes: 262_144,
        max_delay: Duration::from_secs(1),
    };
    let Some(mut object) = node.and_then(|node| node.object()) else {
        return limits;
    };

    limits.max_records = object.read("max_records", limits.max_records, |node| node.size(1, 1000));
    limits.max_bytes = object.read("max_bytes", limits.max_bytes, |node| {
        node.size(1024, 16 << 20)
    });
    limits.max_delay = object.read("max_delay", limits.max_delay, |node| {
        node.duration(Duration::from_millis(1), Duration::from_secs(3600))
    });
    object.finish();
    limits
}

/// Records that a worker holds by default: 12,000 requests that end in one turn of its event loop,
/// and the reserve. Envoy ends all streams of a closed connection in one turn, in which no answer
/// can arrive.
const DEFAULT_RECORDS: usize = 13_500;
/// The same in bytes, with records of 932 bytes in protobuf.
const DEFAULT_BYTES: usize = 12 << 20;

/// Reads `buffer`. The upper ends keep a worker's VM well below Envoy's limit of 1 GiB.
pub(super) fn buffer(node: Option<Node<'_>>) -> BufferLimits {
    let mut limits = BufferLimits {
        max_records: DEFAULT_RECORDS,
        max_bytes: DEFAULT_BYTES,
        on_full: OnFull::DropNewest,
        immediate_reserve_percent: 10,
    };
    let Some(mut object) = node.and_then(|node| node.object()) else {
        return limits;
    };

    limits.max_records = object.read("max_records", limits.max_records, |node| {
        node.size(1, 1_000_000)
    });
    limits.max_bytes = object.read("max_bytes", limits.max_bytes, |node| {
        node.size(1024, 256 << 20)
    });

    let words = [
        ("drop_newest", OnFull::DropNewest),
        ("drop_oldest", OnFull::DropOldest),
    ];
    limits.on_full = object.read("on_full", limits.on_full, |node| node.one_of(&words));
    limits.immediate_reserve_percent = object.read(
        "immediate_reserve_percent",
        limits.immediate_reserve_percent,
        |node| node.size(0, 90),
    );
    object.finish();
    limits
}

/// Reads `retry`.
pub(super) fn retry(node: Option<Node<'_>>) -> RetryPolicy {
    let mut policy = RetryPolicy {
        initial_backoff: Duration::from_millis(250),
        max_backoff: Duration::from_secs(30),
        max_attempts: None,
        max_age: None,
    };
    let Some(mut object) = node.and_then(|node| node.object()) else {
        return policy;
    };

    let backoff =
        |node: &Node<'_>| node.duration(Duration::from_millis(1), Duration::from_secs(3600));
    policy.initial_backoff = object.read("initial_backoff", policy.initial_backoff, backoff);
    policy.max_backoff = object.read("max_backoff", policy.max_backoff, backoff);
    if policy.max_backoff < policy.initial_backoff {
        object.refuse("max_backoff must not be less than initial_backoff");
    }

    policy.max_attempts = Some(object.read("max_attempts", 0, |node| {
        node.integer(0, u64::from(u32::MAX))
    }))
    .filter(|max| *max > 0);
    let year = Duration::from_secs(365 * 24 * 3600);
    policy.max_age = Some(object.read("max_age", Duration::ZERO, |node| {
        node.duration(Duration::ZERO, year)
    }))
    .filter(|age| !age.is_zero());
    object.finish();
    policy
}
