//! Log lines: one per change of state, and at most one of a kind in ten seconds with a running
//! count.

use std::time::Duration;

/// Shortest time between two lines of the same kind.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// How serious a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Records were lost.
    Error,
    /// Trouble that the filter recovers from.
    Warn,
    /// Start, configuration, change of state.
    Info,
}

/// A line to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How serious.
    pub level: Level,
    /// The line. Holds no header value, token or payload.
    pub text: String,
}

/// Kinds of lines that may come often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Attempts that failed for other reasons than the next four.
    Failing,
    /// Attempts that Envoy refused, since it has no such cluster.
    UnknownCluster,
    /// Attempts that Envoy refused, since the cluster has no host or a circuit breaker is full.
    NoHost,
    /// Attempts that failed on a circuit breaker that is full.
    Overflow,
    /// Attempts without a connection.
    NoConnection,
    /// Records that were dropped.
    Dropped,
    /// Records that the audit cluster refused.
    Rejected,
    /// Loss records that the audit cluster refused.
    Unreported,
    /// Ends of trouble with the audit cluster.
    Recovered,
    /// Entries of the journal that were refused.
    Refused,
    /// Requests without proof that look like batches of this filter.
    UnprovenBatch,
    /// Attempts of batches that failed while others were acknowledged.
    Isolating,
}

const KINDS: [Kind; 12] = [
    Kind::Failing,
    Kind::UnknownCluster,
    Kind::NoHost,
    Kind::Overflow,
    Kind::NoConnection,
    Kind::Dropped,
    Kind::Rejected,
    Kind::Unreported,
    Kind::Recovered,
    Kind::Refused,
    Kind::UnprovenBatch,
    Kind::Isolating,
];

/// The remedy when batches of this filter are recorded.
const UNPROVEN_BATCH: &str = "they are recorded, and each record makes another batch: where they are batches, give all \
    filters the same token in audit_cluster.headers, name the senders in trust, or keep the filter off the collector";

impl Kind {
    fn level(self) -> Level {
        match self {
            Self::Dropped | Self::Rejected | Self::Unreported | Self::Refused => Level::Error,
            Self::Recovered => Level::Info,
            Self::Failing
            | Self::UnknownCluster
            | Self::NoHost
            | Self::Overflow
            | Self::NoConnection
            | Self::Isolating
            | Self::UnprovenBatch => Level::Warn,
        }
    }

    fn text(self, count: u64, detail: &str) -> String {
        match self {
            Self::Failing
            | Self::UnknownCluster
            | Self::NoHost
            | Self::Overflow
            | Self::NoConnection => format!(
                "audit cluster does not acknowledge, attempts failed: {count}, last: {detail}"
            ),
            Self::Dropped => format!("records dropped: {count}, last reason: {detail}"),
            Self::Rejected => {
                format!("records rejected by the audit cluster: {count}, last: {detail}")
            }
            Self::Unreported => {
                format!("loss records refused by the audit cluster: {count}, last: {detail}")
            }
            Self::Refused => format!(
                "journal entries refused: {count}; another plugin has written them, or the key was replaced"
            ),
            Self::Isolating => format!(
                "batches fail while others are acknowledged, attempts failed: {count}, last: {detail}"
            ),
            Self::Recovered if count == 1 => "audit cluster answers again".to_owned(),
            Self::Recovered => format!("audit cluster answers again, interruptions: {count}"),
            Self::UnprovenBatch => format!(
                "requests without a proof that look like batches of this filter: {count}; {UNPROVEN_BATCH}"
            ),
        }
    }
}

#[derive(Debug, Default)]
struct Limiter {
    next: Duration,
    count: u64,
    detail: String,
}

/// Log lines that wait to be printed.
#[derive(Debug, Default)]
pub struct Notices {
    ready: Vec<Notice>,
    limiters: [Limiter; KINDS.len()],
}

impl Notices {
    /// Logs a line that cannot come often.
    pub fn log(&mut self, level: Level, text: String) {
        self.ready.push(Notice { level, text });
    }

    /// Logs a line that may come often: at once, or with a count when its kind's interval is over.
    pub fn count(&mut self, kind: Kind, count: u64, detail: &str, uptime: Duration) {
        if let Some(limiter) = self.limiters.get_mut(kind as usize) {
            limiter.count += count;
            limiter.detail.clear();
            limiter.detail.push_str(detail);
        }
        self.release(uptime);
    }

    /// Queues the lines that may be logged again.
    pub fn release(&mut self, uptime: Duration) {
        for (kind, limiter) in KINDS.into_iter().zip(&mut self.limiters) {
            if limiter.count > 0 && uptime >= limiter.next {
                limiter.next = uptime + INTERVAL;
                self.ready.push(Notice {
                    level: kind.level(),
                    text: kind.text(std::mem::take(&mut limiter.count), &limiter.detail),
                });
            }
        }
    }

    /// The lines to print now.
    #[must_use]
    pub fn take(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(notices: &mut Notices) -> Vec<String> {
        notices
            .take()
            .into_iter()
            .map(|notice| notice.text)
            .collect()
    }

    #[test]
    fn one_line_of_a_kind_in_an_interval() {
        let mut notices = Notices::default();
        for second in 0..9 {
            notices.count(Kind::Dropped, 2, "buffer_full", Duration::from_secs(second));
        }

        assert_eq!(
            texts(&mut notices),
            ["records dropped: 2, last reason: buffer_full"]
        );

        notices.count(Kind::Failing, 1, "status 503", Duration::from_secs(9));
        assert_eq!(
            texts(&mut notices).len(),
            1,
            "kinds do not hold each other up"
        );

        notices.release(INTERVAL);
        assert_eq!(
            texts(&mut notices),
            ["records dropped: 16, last reason: buffer_full"]
        );

        notices.release(INTERVAL * 3);
        assert!(texts(&mut notices).is_empty(), "nothing new, no line");
    }

    #[test]
    fn kinds_are_in_the_order_of_their_enum() {
        for (index, kind) in KINDS.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }
}
