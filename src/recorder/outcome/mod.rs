//! Derives the outcome from the response.

pub(super) mod answer;
pub(super) mod completeness;
pub(super) mod ending;
pub(super) mod evidence;
pub(super) mod response_flags;

use super::rpc::Status;
use crate::record::Outcome;

/// Outcome of an HTTP status.
#[must_use]
pub(super) fn of_status(status: u16) -> Outcome {
    match status {
        401 | 403 | 407 => Outcome::Denied,
        400.. => Outcome::Failure,
        _ => Outcome::Success,
    }
}

/// Outcome of a call's status.
#[must_use]
pub(super) fn of_call(status: Status) -> Outcome {
    match status {
        Status::OK => Outcome::Success,
        Status::PERMISSION_DENIED | Status::UNAUTHENTICATED => Outcome::Denied,
        _ => Outcome::Failure,
    }
}

/// Prefixes of the details with which Envoy's filters refuse a caller, whatever the response status
/// (Envoy `source/extensions/filters/http/`: `rbac`, `ext_authz`, `jwt_authn`, `csrf`,
/// `basic_auth`, `api_key_auth`). "unknown" of the latter has two spellings: Envoy 1.36 misspells
/// it.
const REFUSALS: [&[u8]; 14] = [
    b"rbac_access_denied",
    b"ext_authz_denied",
    b"jwt_authn_access_denied",
    b"csrf_origin_mismatch",
    b"no_credential_for_basic_auth",
    b"invalid_scheme_for_basic_auth",
    b"invalid_format_for_basic_auth",
    b"invalid_credential_for_basic_auth",
    b"missing_key_sources",
    b"missing_credentials",
    b"missing_api_key",
    b"unkonwn_api_key",
    b"unknown_api_key",
    b"client_not_allowed",
];
/// Flag of a refusal by external authorization: UAEX.
const REFUSED: u64 = 1 << 12;
/// Flags of failures (bits as in [`super::response_flags`]). Excluded: delay (DI), cache (RFCF), and the
/// client's DC and DR.
const FAILED: u64 = ((1 << 30) - 1) & !(1 << 9 | 1 << 12 | 1 << 14 | 1 << 20 | 1 << 28);
/// Prefixes of the details of failures that set no flag (Envoy `envoy/stream_info/stream_info.h`,
/// `ResponseCodeDetailValues`). Included: the transcoder's, that of a crashed wasm filter, and this
/// filter's own refusal.
const FAILURES: [&[u8]; 26] = [
    b"absolute_path_rejected",
    b"audit_record_required",
    b"cluster_not_found",
    b"codec_error",
    b"drop_overload",
    b"duration_timeout",
    b"early_connect_data",
    b"filter_",
    b"grpc_json_transcode_failure",
    b"http1.",
    b"http2.",
    b"http3.",
    b"invalid_path",
    b"low_version",
    b"maintenance_mode",
    b"max_duration_timeout",
    b"missing_host_header",
    b"missing_path_rejected",
    b"overload",
    b"path_normalization_failed",
    b"rejecting_because_detection_failed",
    b"request_",
    b"response_payload_too_large",
    b"route_",
    b"upgrade_failed",
    b"wasm_fail_stream",
];

/// The outcome if Envoy generated or rewrote a response for a refusal or failure. The configuration
/// can give such a response any status, also a success (`local_reply_config`, `custom_response`).
///
/// `details` is `None` for a response of `custom_response`. That is configured for errors, so it
/// counts as a failure.
#[must_use]
pub(super) fn of_cause(details: Option<&[u8]>, flags: u64) -> Option<Outcome> {
    let starts_in = |list: &[&[u8]]| {
        details.is_some_and(|details| list.iter().any(|start| details.starts_with(start)))
    };
    if flags & REFUSED != 0 || starts_in(&REFUSALS) {
        return Some(Outcome::Denied);
    }
    let failed = details.is_none() || flags & FAILED != 0 || starts_in(&FAILURES);
    failed.then_some(Outcome::Failure)
}

/// The status in the details of a request refused by Envoy's JSON transcoder, as in
/// `grpc_json_transcode_failure{INVALID_ARGUMENT}`.
pub(super) fn status_of_transcoder(details: &[u8]) -> Option<Status> {
    let name = details
        .strip_prefix(b"grpc_json_transcode_failure{")?
        .split(|byte| matches!(byte, b'}' | b':'))
        .next()?;
    Status::of_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        for (status, expected) in [
            (101, Outcome::Success),
            (200, Outcome::Success),
            (302, Outcome::Success),
            (399, Outcome::Success),
            (400, Outcome::Failure),
            (401, Outcome::Denied),
            (403, Outcome::Denied),
            (404, Outcome::Failure),
            (407, Outcome::Denied),
            (503, Outcome::Failure),
        ] {
            assert_eq!(of_status(status), expected, "{status}");
        }
    }

    #[test]
    fn calls() {
        for (value, expected) in [
            ("0", Outcome::Success),
            ("7", Outcome::Denied),
            ("16", Outcome::Denied),
            ("14", Outcome::Failure),
            ("17", Outcome::Failure),
            ("x", Outcome::Failure),
        ] {
            assert_eq!(
                of_call(Status::parse(value.as_bytes())),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn causes_of_answers_that_envoy_made() {
        for (details, flags, expected) in [
            (
                Some("rbac_access_denied_matched_policy[p]"),
                0,
                Some(Outcome::Denied),
            ),
            (Some("ext_authz_denied"), 1 << 12, Some(Outcome::Denied)),
            (Some("ext_authz_error"), 1 << 12, Some(Outcome::Denied)),
            (
                Some("jwt_authn_access_denied{Jwt_is_missing}"),
                0,
                Some(Outcome::Denied),
            ),
            (
                Some("upstream_reset_before_response_started{remote_connection_failure}"),
                1 << 5,
                Some(Outcome::Failure),
            ),
            (Some("route_not_found"), 1 << 8, Some(Outcome::Failure)),
            (Some("local_rate_limited"), 1 << 11, Some(Outcome::Failure)),
            (Some("fault_filter_abort"), 1 << 10, Some(Outcome::Failure)),
            (Some("request_payload_too_large"), 0, Some(Outcome::Failure)),
            (Some("cors_response"), 0, None),
            (Some("health_check_ok"), 0, None),
            (Some("cache.response_from_cache_filter"), 1 << 20, None),
            (Some("lua_response"), 0, None),
            (Some("direct_response"), 1 << 9, None),
            (None, 0, Some(Outcome::Failure)),
        ] {
            assert_eq!(
                of_cause(details.map(str::as_bytes), flags),
                expected,
                "{details:?}"
            );
        }
    }
}
