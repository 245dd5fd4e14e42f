//! Derives `audit.action`.

use super::Request;
use super::tunnel::Tunnel;
use crate::record::{Action, Protocol};
use crate::recorder::rules::Rule;

/// Placeholder for a missing method, as in span names of OpenTelemetry (semantic conventions for
/// HTTP spans). Envoy rejects a malformed request before it has parsed the method.
const UNKNOWN_METHOD: &[u8] = b"HTTP";

/// The rule's action, else the trusted operation label, else the result of [`derived`]. Never
/// empty, without leading or trailing white space.
///
/// `rpc_method`: the method of a call, if the path does not name it.
pub(in crate::recorder) fn action(
    rule: &Rule,
    operation: Option<Vec<u8>>,
    rpc_method: Option<&[u8]>,
    protocol: Protocol,
    request: &Request,
) -> Action {
    match &rule.action {
        Some(text) => Action::Text(text.as_bytes().to_vec()),
        None => operation.map_or_else(
            || derived(rule.route(), rpc_method, protocol, request),
            Action::Text,
        ),
    }
}

/// The gRPC full method, the target of a tunnel, else `METHOD /path`.
fn derived(
    route: Option<&str>,
    rpc_method: Option<&[u8]>,
    protocol: Protocol,
    request: &Request,
) -> Action {
    if let Some(rpc_method) = rpc_method {
        return Action::Text([b"/", rpc_method].concat());
    }

    let text = &request.text;
    // A normalized path has no white space; a target that does not start with `/` may have some.
    let is_normal = text.path().starts_with(b"/");
    let path = if is_normal {
        text.path()
    } else {
        text.path().trim_ascii()
    };

    if protocol == Protocol::Grpc && !path.is_empty() {
        return if is_normal {
            Action::Path
        } else {
            Action::Text(path.to_vec())
        };
    }

    if let Some(target) = request.tunnel.as_ref().and_then(Tunnel::action) {
        return Action::Text(target);
    }
    if is_normal && route.is_none() && !text.method().is_empty() {
        return Action::MethodAndPath;
    }

    let method = if text.method().is_empty() {
        UNKNOWN_METHOD
    } else {
        text.method()
    };
    let target = route.map_or(path, str::as_bytes);
    let separator: &[u8] = if target.is_empty() { b"" } else { b" " };
    Action::Text([method, separator, target].concat())
}
