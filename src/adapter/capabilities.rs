//! Host calls that `vm_config.capability_restriction_config` can forbid. The filter refuses its
//! configuration where it cannot work without one, and warns where it works with less.

use proxy_wasm::types::BufferType;

use super::imports::{self, Probe};
use super::wasi::{self, ClockId};

/// Calls that the filter cannot work without, and why.
const REQUIRED: [(Probe, &str); 4] = [
    (
        Probe::HeaderMap,
        "proxy_get_header_map_pairs: requests cannot be read",
    ),
    (
        Probe::RemoveHeader,
        "proxy_remove_header_map_value: control headers cannot be removed",
    ),
    (
        Probe::HttpCall,
        "proxy_http_call: records cannot be delivered",
    ),
    (
        Probe::ContinueStream,
        "proxy_continue_stream: held requests cannot go on",
    ),
];

/// Calls that the filter works without, and what is missing then.
const USEFUL: [(Probe, &str); 5] = [
    (
        Probe::Property,
        "proxy_get_property: no peer is trusted, and records have no protocol, address and response code details",
    ),
    (
        Probe::Header,
        "proxy_get_header_map_value: a status in trailers is not recorded",
    ),
    (
        Probe::SetHeader,
        "proxy_replace_header_map_value: correlate, set_tracking and new session ids have no effect",
    ),
    (
        Probe::GetSharedData,
        "proxy_get_shared_data: records of a crashed VM are lost",
    ),
    (
        Probe::SetSharedData,
        "proxy_set_shared_data: records of a crashed VM are lost",
    ),
];

/// The plugin's configuration, and warnings about what is forbidden.
///
/// # Errors
/// One line that names the calls without which the filter cannot work.
pub(super) fn configuration(root: u32, size: usize) -> Result<(Vec<u8>, Vec<String>), String> {
    let bytes = imports::buffer(BufferType::PluginConfiguration, 0, size);

    let mut missing: Vec<&str> = REQUIRED
        .iter()
        .filter(|(probe, _)| imports::is_forbidden(*probe))
        .map(|(_, what)| *what)
        .collect();
    if bytes.is_none() && size > 0 {
        missing.push("proxy_get_buffer_bytes: the configuration cannot be read");
    }
    if wasi::clock(ClockId::Monotonic) == 0 {
        missing.push("clock_time_get: records have no time");
    }
    // The SDK makes this call before each answer of the audit cluster, and ends the VM without it.
    if !imports::set_effective_context(root) {
        missing.push("proxy_set_effective_context: answers of the audit cluster cannot be handled");
    }

    if !missing.is_empty() {
        let line = forbidden("which the filter needs", &missing.join("; "));
        return Err(format!("configuration refused: {line}"));
    }

    let warnings = USEFUL
        .iter()
        .filter(|(probe, _)| imports::is_forbidden(*probe))
        .map(|(_, what)| forbidden("which the filter uses", what))
        .collect();
    Ok((bytes.unwrap_or_default(), warnings))
}

fn forbidden(why: &str, what: &str) -> String {
    format!("vm_config.capability_restriction_config forbids host calls {why}: {what}")
}
