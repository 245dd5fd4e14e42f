//! The fields of a record, as Envoy's format strings write them.

/// Where the values of the removed headers are, in dynamic metadata.
pub const NAMESPACE: &str = "audit";

/// The fields that the audit filter records for a tracked request.
pub const FIELDS: [(&str, &str); 17] = [
    ("log.record.uid", "aud_%UNIQUE_ID%"),
    ("audit.rule", "tracked"),
    (
        "audit.action",
        "%DYNAMIC_METADATA(audit:x-session-operation)%",
    ),
    // Envoy has no such field: the audit filter derives the outcome from these details and the
    // status.
    ("audit.outcome", "%RESPONSE_CODE_DETAILS%"),
    ("audit.stage", "complete"),
    ("audit.duration_ms", "%DURATION%"),
    (
        "audit.session.context",
        "%DYNAMIC_METADATA(audit:x-session-context)%",
    ),
    ("user.id", "%RESP(x-user-id)%"),
    ("audit.identity.source", "response_header"),
    ("http.request.method", "%REQ(:METHOD)%"),
    ("url.path", "%REQ(:PATH)%"),
    ("server.address", "%REQ(:AUTHORITY)%"),
    ("network.protocol.version", "%PROTOCOL%"),
    ("user_agent.original", "%REQ(USER-AGENT)%"),
    ("client.address", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
    ("audit.request_id", "%REQ(X-REQUEST-ID)%"),
    ("http.response.status_code", "%RESPONSE_CODE%"),
];

/// The body of a record: the operation and its status.
pub const BODY: &str = "%DYNAMIC_METADATA(audit:x-session-operation)% %RESPONSE_CODE%";
