//! The log lines of the crate `log`, passed to the host.

use log::{LevelFilter, Metadata, Record};
use proxy_wasm::types::LogLevel;

use super::imports;

/// Unlike the SDK's logger it does not panic when the host refuses a line, and a panic in the log
/// would hide the first one.
struct HostLog;

static HOST_LOG: HostLog = HostLog;

/// Lets `log` write to the host. Nothing below `info` is written.
pub(super) fn install() {
    // Refused only where another logger is installed, and the crate has no other.
    let _ = log::set_logger(&HOST_LOG);
    log::set_max_level(LevelFilter::Info);
}

impl log::Log for HostLog {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let level = match record.level() {
            log::Level::Error => LogLevel::Error,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Info => LogLevel::Info,
            log::Level::Debug => LogLevel::Debug,
            log::Level::Trace => LogLevel::Trace,
        };
        imports::log(level, &record.args().to_string());
    }

    fn flush(&self) {}
}
