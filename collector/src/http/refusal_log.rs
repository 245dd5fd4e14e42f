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

/// When each reason of refusals was last logged.
#[derive(Debug, Default)]
pub struct RefusalLog([Throttle; Reason::ALL.len()]);

impl RefusalLog {
    fn is_due(&self, reason: Reason, now: Instant) -> bool {
        let mut throttles = Reason::ALL.iter().zip(&self.0);
        throttles
            .find(|(one, _)| **one == reason)
            .is_some_and(|(_, throttle)| throttle.is_due(now))
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
        let count = metrics.refused(reason);
        if log.is_due(reason, Instant::now()) {
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
        assert!(Reason::ALL.iter().all(|reason| log.is_due(*reason, now)));
        assert!(!Reason::ALL.iter().any(|reason| log.is_due(*reason, now)));
    }
}
