//! Numbers of the proxy-wasm ABI 0.2.1, as far as the filter uses them.

/// `proxy_log_level_t`.
#[derive(Clone, Copy)]
pub(super) enum LogLevel {
    Info = 2,
    Warn = 3,
    Error = 4,
    Critical = 5,
}

/// `proxy_map_type_t`.
#[derive(Clone, Copy)]
pub(super) enum Map {
    RequestHeaders = 0,
    RequestTrailers = 1,
    ResponseHeaders = 2,
    ResponseTrailers = 3,
    CallResponseHeaders = 6,
}

/// `proxy_buffer_type_t`.
#[derive(Clone, Copy)]
pub(super) enum Buffer {
    ResponseBody = 1,
    CallResponseBody = 4,
    PluginConfiguration = 7,
}

/// `proxy_metric_type_t`.
#[derive(Clone, Copy)]
pub(super) enum Metric {
    Counter = 0,
    Gauge = 1,
    Histogram = 2,
}

/// `clockid` of WASI (`wasi_snapshot_preview1`).
#[derive(Clone, Copy)]
pub(super) enum ClockId {
    /// The wall clock: time since the Unix epoch.
    Realtime = 0,
    /// Never goes back.
    Monotonic = 1,
}

/// `proxy_action_t`: the result of the callback for a request's headers.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(super) enum Action {
    /// The request continues.
    Continue = 0,
    /// The request waits until it is continued or answered.
    Pause = 1,
}
