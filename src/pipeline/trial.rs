//! Whether a failure is the batch's own: failures of a batch are weighed against the outcome of
//! other batches in the meantime.
//!
//! Attempts are numbered as they start. A failed attempt is a strike against its batch if another
//! batch was acknowledged before the attempt started, and that one had started after the last
//! strike (or after the first failure). So an outage of any length is one strike at most, since
//! nothing is acknowledged in it. A configuration that the audit cluster refuses causes none.

use std::time::Duration;

/// The likely cause of a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The content: malformed, conflicting, too large, unprocessable.
    Content,
    /// Either the batch, the audit cluster or the way to it.
    Unknown,
    /// What all batches have in common: credentials, path, encoding.
    Setup,
    /// Load, or a callout that Envoy refused.
    Load,
}

/// The failures of one batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    blame: Option<Blame>,
    /// How many attempts had started at its first failure; a half has that of the whole.
    first: u64,
    /// The same at its last strike.
    since: u64,
    /// The latest attempt that was acknowledged when its last attempt started.
    seen: u64,
    strikes: u32,
    /// Failures since the last strike.
    misses: u32,
}

/// How long a worker waits for other traffic, which would show whether the batch is the cause.
const QUIET: Duration = Duration::from_secs(5);

/// Most strikes that lengthen the backoff of a batch: the sooner a bad record is found the better,
/// while others are acknowledged.
const MOST_DOUBLINGS_BY_STRIKES: u32 = 3;

/// The outcome of a pipeline's batches, in both lanes.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    attempts: u64,
    /// The number of the latest attempt that was acknowledged.
    acknowledged: u64,
    /// When the last acknowledgement came.
    acknowledged_at: Duration,
    /// The same when it was last used by [`Self::is_last_to_fail`].
    used: u64,
    in_a_row: u32,
    is_common: bool,
}

impl Evidence {
    /// An attempt of a batch starts. Yields its number.
    pub(super) fn start(&mut self, trial: &mut Trial) -> u64 {
        trial.seen = self.acknowledged;
        self.attempts += 1;
        self.attempts
    }

    /// The attempt with this number has been acknowledged.
    pub(super) fn acknowledge(&mut self, attempt: u64, uptime: Duration) {
        self.acknowledged = self.acknowledged.max(attempt);
        self.acknowledged_at = uptime;
        self.in_a_row = 0;
        self.is_common = false;
    }

    /// An attempt of a batch has failed. Strikes restart when the failure is of another kind than
    /// the last one.
    pub(super) fn fail(&mut self, trial: &mut Trial, blame: Blame) {
        if blame == Blame::Load {
            return;
        }

        if trial.blame != Some(blame) {
            let (seen, attempts) = (trial.seen, self.attempts);
            *trial = Trial {
                blame: Some(blame),
                first: attempts,
                since: attempts,
                seen,
                strikes: 0,
                misses: 0,
            };
        } else if trial.seen > trial.since {
            trial.since = self.attempts;
            trial.strikes = trial.strikes.saturating_add(1);
            trial.misses = 0;
            return;
        }
        trial.misses = trial.misses.saturating_add(1);
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.is_common |= self.acknowledged <= trial.first;
    }

    /// Failures since the last acknowledgement that are not strikes.
    pub(super) fn in_a_row(&self) -> u32 {
        self.in_a_row
    }

    /// Whether others were acknowledged since the batch's first failure, and for [`QUIET`] nothing
    /// was acknowledged and nothing else has failed. Weaker than a strike, since the configuration
    /// may have changed in between. So it is true once until the next acknowledgement, which the
    /// report of the loss causes at the latest.
    pub(super) fn is_last_to_fail(&mut self, trial: &Trial, uptime: Duration) -> bool {
        let is_quiet = !self.is_common && uptime.saturating_sub(self.acknowledged_at) >= QUIET;
        let is_last = is_quiet && trial.seen > trial.first.max(self.used);
        if is_last {
            self.used = self.acknowledged;
        }
        is_last
    }
}

impl Trial {
    /// How often it failed while others were acknowledged.
    pub(super) fn strikes(&self) -> u32 {
        self.strikes
    }

    /// Failures in a row, as far as the batch's own backoff is concerned.
    pub(super) fn failures(&self) -> u32 {
        self.strikes
            .min(MOST_DOUBLINGS_BY_STRIKES)
            .saturating_add(self.misses)
    }

    /// Whether another attempt may take a whole timeout.
    pub(super) fn may_hang(&self) -> bool {
        self.blame.is_some_and(|blame| blame != Blame::Content)
    }

    /// The trial of each half of the batch. A refusal of content is evidence against the whole
    /// only.
    pub(super) fn of_half(self) -> Self {
        let strikes = if self.blame == Some(Blame::Content) {
            0
        } else {
            self.strikes / 2
        };

        Self {
            strikes,
            misses: 0,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An attempt of another batch starts now and is acknowledged.
    fn another_succeeds(evidence: &mut Evidence) {
        let attempt = evidence.start(&mut Trial::default());
        evidence.acknowledge(attempt, Duration::ZERO);
    }

    fn strikes(evidence: &mut Evidence, trial: &mut Trial, blame: Blame) -> u32 {
        evidence.start(trial);
        evidence.fail(trial, blame);
        trial.strikes()
    }

    #[test]
    fn a_failure_counts_when_another_batch_has_succeeded_since_the_last_one() {
        let (mut evidence, mut trial) = (Evidence::default(), Trial::default());
        another_succeeds(&mut evidence);
        assert_eq!(
            strikes(&mut evidence, &mut trial, Blame::Unknown),
            0,
            "the first one proves nothing"
        );

        another_succeeds(&mut evidence);
        assert_eq!(strikes(&mut evidence, &mut trial, Blame::Unknown), 1);

        for _ in 0..100 {
            assert_eq!(
                strikes(&mut evidence, &mut trial, Blame::Unknown),
                1,
                "an outage"
            );
        }

        another_succeeds(&mut evidence);
        assert_eq!(strikes(&mut evidence, &mut trial, Blame::Unknown), 2);
    }

    #[test]
    fn an_acknowledgement_of_what_started_before_the_failure_proves_nothing() {
        let (mut evidence, mut trial) = (Evidence::default(), Trial::default());
        let started_before = evidence.start(&mut Trial::default());
        assert_eq!(strikes(&mut evidence, &mut trial, Blame::Content), 0);
        evidence.acknowledge(started_before, Duration::ZERO);
        assert_eq!(strikes(&mut evidence, &mut trial, Blame::Content), 0);
    }

    #[test]
    fn an_attempt_that_had_started_before_the_acknowledgement_proves_nothing() {
        let (mut evidence, mut trial) = (Evidence::default(), Trial::default());
        assert_eq!(strikes(&mut evidence, &mut trial, Blame::Content), 0);
        evidence.start(&mut trial);
        another_succeeds(&mut evidence);
        evidence.fail(&mut trial, Blame::Content);
        assert_eq!(trial.strikes(), 0, "its answer is older than it looks");
        assert_eq!(strikes(&mut evidence, &mut trial, Blame::Content), 1);
    }

    #[test]
    fn strikes_are_of_one_kind_and_load_is_none() {
        let (mut evidence, mut trial) = (Evidence::default(), Trial::default());
        for expected in 0..3 {
            assert_eq!(strikes(&mut evidence, &mut trial, Blame::Unknown), expected);
            another_succeeds(&mut evidence);
        }
        assert_eq!(strikes(&mut evidence, &mut trial, Blame::Load), 2);
        assert_eq!(strikes(&mut evidence, &mut trial, Blame::Content), 0);
    }

    #[test]
    fn failures_are_in_a_row_until_something_is_acknowledged() {
        let (mut evidence, mut trial) = (Evidence::default(), Trial::default());
        for expected in 1..4 {
            strikes(&mut evidence, &mut trial, Blame::Content);
            assert_eq!(evidence.in_a_row(), expected);
        }
        another_succeeds(&mut evidence);
        strikes(&mut evidence, &mut trial, Blame::Content);
        assert_eq!((evidence.in_a_row(), trial.strikes()), (0, 1));
    }

    #[test]
    fn the_last_one_to_fail_is_one_until_something_is_acknowledged() {
        let (mut evidence, mut whole) = (Evidence::default(), Trial::default());
        strikes(&mut evidence, &mut whole, Blame::Content);
        assert!(
            !evidence.is_last_to_fail(&whole, QUIET),
            "nothing was acknowledged"
        );
        another_succeeds(&mut evidence);

        let (mut half, mut other) = (whole.of_half(), Trial::default());
        strikes(&mut evidence, &mut half, Blame::Content);
        assert!(
            !evidence.is_last_to_fail(&half, QUIET - Duration::from_nanos(1)),
            "others may come"
        );
        assert!(
            evidence.is_last_to_fail(&half, QUIET),
            "the other half was taken"
        );
        assert!(!evidence.is_last_to_fail(&half, QUIET), "once");
        another_succeeds(&mut evidence);
        strikes(&mut evidence, &mut other, Blame::Content);
        strikes(&mut evidence, &mut half, Blame::Content);
        assert!(
            !evidence.is_last_to_fail(&half, QUIET),
            "another one fails, too"
        );
        another_succeeds(&mut evidence);
        strikes(&mut evidence, &mut half, Blame::Content);
        assert!(evidence.is_last_to_fail(&half, QUIET));
    }
}
