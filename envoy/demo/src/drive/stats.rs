//! The filter's statistics, from Envoy's admin interface.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::time::{Instant, sleep};

use super::{DEADLINE, Failure, POLL_EVERY, get_text};

/// The prefix that Envoy gives to every statistic of a plugin.
const PREFIX: &str = "wasmcustom.audit_filter.";

/// Name and value, sorted by name.
#[derive(Debug, Default)]
pub(super) struct Stats(BTreeMap<String, String>);

/// Polls until everything captured is acknowledged, or the deadline has passed; returns the last
/// values.
pub(super) async fn wait(admin: SocketAddr) -> Result<Stats, Failure> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let stats = parse(&get_text("admin interface", admin, "/stats?filter=audit_filter").await?);
        if stats.check().is_ok() || Instant::now() >= deadline {
            return Ok(stats);
        }
        sleep(POLL_EVERY).await;
    }
}

impl Stats {
    /// One line per statistic.
    pub(super) fn text(&self) -> String {
        self.0
            .iter()
            .map(|(name, value)| format!("  {name}: {value}\n"))
            .collect()
    }

    /// No record may be in flight or lost, and the spoofed headers of the stranger must be counted.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let captured = self.counter("records.captured");
        let acknowledged = self.counter("records.acknowledged");
        if captured == 0 || captured != acknowledged {
            return Err(format!(
                "{captured} records were captured, but {acknowledged} acknowledged"
            ));
        }

        for name in ["headers.stripped", "headers.spoofed"] {
            if self.counter(name) == 0 {
                return Err(format!("{PREFIX}{name} counted nothing"));
            }
        }
        Ok(())
    }

    fn counter(&self, name: &str) -> u64 {
        self.0
            .get(&format!("{PREFIX}{name}"))
            .and_then(|value| value.parse().ok())
            .unwrap_or(0)
    }
}

fn parse(text: &str) -> Stats {
    let pairs = text.lines().filter_map(|line| line.split_once(": "));
    Stats(
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "wasmcustom.audit_filter.records.captured: 5\n\
        wasmcustom.audit_filter.records.acknowledged: 5\n\
        wasmcustom.audit_filter.headers.stripped: 4\n\
        wasmcustom.audit_filter.headers.spoofed: 3\n";

    #[test]
    fn statistics_are_checked_and_sorted() {
        assert_eq!(parse(GOOD).check(), Ok(()));
        assert!(
            parse(GOOD)
                .text()
                .starts_with("  wasmcustom.audit_filter.headers.spoofed: 3\n")
        );

        assert!(
            parse(&GOOD.replace("acknowledged: 5", "acknowledged: 4"))
                .check()
                .is_err()
        );
        assert!(
            parse(&GOOD.replace("spoofed: 3", "spoofed: 0"))
                .check()
                .is_err()
        );
        assert!(parse("").check().is_err());
    }
}
