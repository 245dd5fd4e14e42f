//! What is unknown about a stream without an end, in words.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use audit_collector::completeness::StreamReport;

/// The bound on the records of a stream that may be lost without a trace.
pub(super) struct Unknown<'s>(pub(super) &'s StreamReport);

impl fmt::Display for Unknown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.unknown_since_unix_nano.unwrap_or_default();
        let since = UNIX_EPOCH + Duration::from_nanos(u64::try_from(since).unwrap_or_default());

        match self.0.unknown_at_most {
            Some(most) => write!(formatter, "no more than {most} records")?,
            None => formatter.write_str("it is not known how many records")?,
        }
        let since = humantime::format_rfc3339_millis(since);
        write!(formatter, " that were made after {since} are unknown")
    }
}
