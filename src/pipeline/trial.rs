//! Whether a failure is the batch's own: its failures are held against what became of other batches in the meantime.
//!
//! Attempts are numbered as they depart. The failure of an attempt is a strike against its batch, when another batch had been
//! acknowledged before the attempt departed, and that one had departed after the last strike (or after the first failure).
//! An outage of any length is therefore one strike at most, since nothing is acknowledged in it. A configuration that the
//! audit cluster refuses makes none.

use std::time::Duration;

/// What the end of a failed attempt is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The content: malformed, conflicting, too large, unprocessable.
    Content,
    /// Either the batch, the audit cluster or the way to it.
    Unknown,
    /// What all batches have in common: credentials, path, encoding.
    Setup,
    /// Load, or a callout that never left.
    Load,
}

/// The failures of one batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    blame: Option<Blame>,
    /// How many attempts had departed at its first failure, that of the whole if it is a half.
    first: u64,
    /// The same at its last strike.
    since: u64,
    /// The latest attempt that was acknowledged when its last attempt departed.
    seen: u64,
    strikes: u32,
    /// Failures since the last strike.
    misses: u32,
}

/// How long a worker without other traffic waits for some, which would show whose the trouble is.
const QUIET: Duration = Duration::from_secs(5);

/// Strikes that make the backoff of a batch longer: the sooner a bad record is found the better, as long as others are
/// acknowledged.
const MOST_DOUBLINGS_BY_STRIKES: u32 = 3;

/// What became of the batches of a pipeline, in both lanes.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    departures: u64,
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
    /// An attempt of a batch departs. Yields its number.
    pub(super) fn depart(&mut self, trial: &mut Trial) -> u64 {
        trial.seen = self.acknowledged;
        self.departures += 1;
        self.departures
    }

    /// The attempt with this number has been acknowledged.
    pub(super) fn acknowledge(&mut self, departure: u64, uptime: Duration) {
        self.acknowledged = self.acknowledged.max(departure);
        self.acknowledged_at = uptime;
        self.in_a_row = 0;
        self.is_common = false;
    }

    /// An attempt of a batch has failed. Its strikes begin anew when the failure is of another kind than the last one.
    pub(super) fn fail(&mut self, trial: &mut Trial, blame: Blame) {
        if blame == Blame::Load {
            return;
        }

        if trial.blame != Some(blame) {
            let (seen, departures) = (trial.seen, self.departures);
            *trial = Trial {
                blame: Some(blame),
                first: departures,
                since: departures,
                seen,
                strikes: 0,
                misses: 0,
            };
        } else if trial.seen > trial.since {
            trial.since = self.departures;
            trial.strikes = trial.strikes.saturating_add(1);
            trial.misses = 0;
            return;
        }
        trial.misses = trial.misses.saturating_add(1);
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.is_common |= self.acknowledged <= trial.first;
    }

    /// Failures since the last acknowledgement that are no strikes.
    pub(super) fn in_a_row(&self) -> u32 {
        self.in_a_row
    }

    /// Whether others were acknowledged since the batch's first failure, and for [`QUIET`] nothing was acknowledged and
    /// nothing else has failed. Weaker than a strike: the configuration may have gone wrong in between. So it is true once,
    /// until something is acknowledged: the report of the loss, if nothing else.
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

    /// Whether it has failed in a way that may take a whole time-out again.
    pub(super) fn may_hang(&self) -> bool {
        self.blame.is_some_and(|blame| blame != Blame::Content)
    }

    /// The trial of each half of the batch. A refusal of content is evidence against the whole alone.
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

    /// An attempt of another batch departs now and is acknowledged.
    fn another_succeeds(evidence: &mut Evidence) {
        let departure = evidence.depart(&mut Trial::default());
        evidence.acknowledge(departure, Duration::ZERO);
    }

    fn strikes(evidence: &mut Evidence, trial: &mut Trial, blame: Blame) -> u32 {
        evidence.depart(trial);
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
    fn an_acknowledgement_of_what_departed_before_the_failure_proves_nothing() {
        let (mut evidence, mut trial) = (Evidence::default(), Trial::default());
        let departed_before = evidence.depart(&mut Trial::default());
        assert_eq!(strikes(&mut evidence, &mut trial, Blame::Content), 0);
        evidence.acknowledge(departed_before, Duration::ZERO);
        assert_eq!(strikes(&mut evidence, &mut trial, Blame::Content), 0);
    }

    #[test]
    fn an_attempt_that_had_departed_before_the_acknowledgement_proves_nothing() {
        let (mut evidence, mut trial) = (Evidence::default(), Trial::default());
        assert_eq!(strikes(&mut evidence, &mut trial, Blame::Content), 0);
        evidence.depart(&mut trial);
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
