//! Counts refusals, and logs them at intervals.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;
use tracing::warn;

use crate::http::metrics::Metrics;
use crate::http::refusal::{Reason, Refusal};
use crate::logs::Throttle;

/// How often there was each reason of refusals, and when it was last logged.
#[derive(Debug, Default)]
pub struct RefusalLog([Throttle; Reason::ALL.len()]);

impl RefusalLog {
    fn count(&self, reason: Reason, now: Instant) -> Option<u64> {
        let mut throttles = Reason::ALL.iter().zip(&self.0);
        let (_, throttle) = throttles.find(|(one, _)| **one == reason)?;
        throttle.count(now)
    }
}

/// A middleware: counts refusals, and logs them at intervals.
pub(crate) async fn note_refusals(
    State(metrics): State<Metrics>,
    State(log): State<Arc<RefusalLog>>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;

    if let Some(refusal) = response.extensions().get::<Refusal>() {
        let reason = refusal.reason();
        metrics.refused(reason);
        if let Some(count) = log.count(reason, Instant::now()) {
            let detail = refusal.detail();
            warn!(
                reason = reason.label(),
                status = reason.status().as_u16(),
                count,
                detail,
                "requests refused"
            );
        }
    }

    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_logged_by_itself() {
        let log = RefusalLog::default();
        let now = Instant::now();
        for expected in [Some(1), None] {
            let counts = Reason::ALL.map(|reason| log.count(reason, now));
            assert_eq!(counts, [expected; Reason::ALL.len()]);
        }
    }
}
