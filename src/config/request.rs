//! The sections about requests: `tracking`, `stages` and `correlation`.

use std::time::Duration;

use super::node::Node;
use super::object::Object;
use super::text::header_name;
use crate::recorder::correlation::Scope;
use crate::recorder::session::ID_HEADER;
use crate::recorder::tracking::TrackingSettings;

/// Reads `tracking`.
pub(super) fn tracking(
    node: Option<Node<'_>>,
    correlation_headers: [String; 2],
) -> TrackingSettings {
    let mut settings = TrackingSettings {
        track_header: "x-session-track".to_owned(),
        operation_header: "x-session-operation".to_owned(),
        context_header: "x-session-context".to_owned(),
        strip_context: false,
        record_empty_context: false,
        max_context_bytes: 8192,
        correlation_headers,
    };
    let Some(mut object) = node.and_then(|node| node.object()) else {
        return settings;
    };

    settings.track_header = object.read("track_header", settings.track_header, header_name);
    settings.operation_header =
        object.read("operation_header", settings.operation_header, header_name);
    settings.context_header = object.read("context_header", settings.context_header, header_name);
    settings.strip_context = object.read("strip_context", false, Node::boolean);
    settings.record_empty_context = object.read("on_empty_context", false, |node| {
        node.one_of(&[("skip", false), ("record", true)])
    });
    settings.max_context_bytes =
        object.read("max_context_bytes", settings.max_context_bytes, |node| {
            node.size(1, 65_536)
        });
    object.finish();
    settings
}

/// Reads `stages`: the age at which an ongoing exchange gets a separate record (`started_after`),
/// and the time after which a silent stream gets one (`alive_interval`). `None` for `0s`.
///
/// At most a day: time is kept in milliseconds of 32 bits, which is 49 days.
pub(super) fn stages(node: Option<Node<'_>>) -> [Option<Duration>; 2] {
    /// Long enough that ordinary requests have no such record.
    const STARTED_AFTER: Duration = Duration::from_secs(60);
    /// Soon enough to notice that a proxy was killed before its replacement is forgotten, at two
    /// callouts a minute.
    const ALIVE_INTERVAL: Duration = Duration::from_secs(30);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    let mut durations = [STARTED_AFTER, ALIVE_INTERVAL];
    if let Some(mut object) = node.and_then(|node| node.object()) {
        for (key, duration) in ["started_after", "alive_interval"]
            .into_iter()
            .zip(&mut durations)
        {
            *duration = object.read(key, *duration, |node| node.duration(Duration::ZERO, DAY));
        }
        object.finish();
    }

    durations.map(|duration| Some(duration).filter(|duration| !duration.is_zero()))
}

/// The headers that are removed and set must have different names. They must also differ from the
/// header that returns a new session id, and from headers that requests need.
pub(super) fn check_names(settings: &TrackingSettings, root: &Object<'_>) {
    let [session_id, sequence] = &settings.correlation_headers;
    let names = [
        &settings.track_header,
        &settings.operation_header,
        &settings.context_header,
        session_id,
        sequence,
    ];

    if has_duplicates(&names) {
        root.refuse("the headers of tracking and correlation must have five names");
    }
    if let Some(name) = names.into_iter().find(|name| is_needed(name)) {
        root.refuse(
            &[
                "no header of tracking and correlation may be ",
                name,
                ": requests need it",
            ]
            .concat(),
        );
    }
}

/// Whether a request changes its meaning without this header: for HTTP (RFC 9110, RFC 9113), Envoy,
/// gRPC, tracing, or this filter.
fn is_needed(name: &str) -> bool {
    const NAMES: &str = "accept accept-encoding authorization b3 baggage connection content-encoding content-length \
        content-type cookie date expect forwarded host http2-settings idempotency-key if-match if-modified-since if-none-match if-range \
        if-unmodified-since keep-alive origin proxy-authorization proxy-connection range referer te traceparent tracestate \
        trailer transfer-encoding upgrade user-agent via x-cloud-trace-context x-request-id";
    const FAMILIES: [&str; 6] = [
        "connect-",
        "grpc-",
        "sec-",
        "x-b3-",
        "x-envoy-",
        "x-forwarded-",
    ];
    name == ID_HEADER
        || NAMES.split_ascii_whitespace().any(|known| known == name)
        || FAMILIES.iter().any(|family| name.starts_with(family))
}

fn has_duplicates(names: &[&String]) -> bool {
    names
        .iter()
        .enumerate()
        .any(|(index, name)| names.iter().skip(index + 1).any(|other| other == name))
}

/// Reads `correlation`: the two names, and the scope that shares a session of numbers.
pub(super) fn correlation(node: Option<Node<'_>>) -> ([String; 2], Scope) {
    let mut names = [
        "x-audit-stream-id".to_owned(),
        "x-audit-sequence-number".to_owned(),
    ];
    let Some(mut object) = node.and_then(|node| node.object()) else {
        return (names, Scope::Worker);
    };

    let [session_id, sequence] = &mut names;
    *session_id = object.read("session_id_header", session_id.clone(), header_name);
    *sequence = object.read("sequence_header", sequence.clone(), header_name);
    let words = [("worker", Scope::Worker), ("process", Scope::Process)];
    let scope = object.read("scope", Scope::Worker, |node| node.one_of(&words));
    object.finish();
    (names, scope)
}
