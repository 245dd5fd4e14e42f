//! What the configuration sets for the recorder.

use std::time::Duration;

use super::correlation;
use super::rules::own_batch::OwnBatch;
use super::rules::{Policy, Rule};
use super::session::SessionSettings;
use super::tracking::{Tracking, TrackingSettings};
use super::trust::Trust;
use crate::stats::Counter;

/// Settings of the recorder; constant for the life of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecorderSettings {
    /// False: nothing is recorded, but control headers are still removed.
    pub enabled: bool,
    /// The ordered rules.
    pub policy: Policy,
    /// The control headers.
    pub tracking: TrackingSettings,
    /// Which peers are trusted: only their control headers count.
    pub trust: Trust,
    /// Requests that carry batches and are not recorded.
    pub own_batch: OwnBatch,
    /// Session ids and tokens.
    pub session: SessionSettings,
    /// Scope of a session of correlation numbers.
    pub correlation_scope: correlation::Scope,
    /// After this time an open exchange gets a "started" record (`stages.started_after`); `None`:
    /// never.
    pub started_after: Option<Duration>,
}

impl RecorderSettings {
    /// A reason, known before the end of the exchange, to record nothing: the counter of it.
    pub(super) fn refusal(&self, rule: &Rule, tracking: &Tracking) -> Option<Counter> {
        if !rule.recorded {
            return Some(Counter::Excluded);
        }
        let is_empty = rule.is_triggered_by_tracking() && tracking.context.is_none();
        (is_empty && !self.tracking.record_empty_context).then_some(Counter::SkippedEmptyContext)
    }
}
