//! Conditions that must hold in a row, and messages for violations.

use std::collections::BTreeMap;
use std::time::Duration;

use testkit::Mesh;

use crate::fault::TRAPS;
use crate::load::POISON;
use crate::play::Observed;
use crate::stage::reloads;

/// One law.
#[derive(Clone, Copy, Debug)]
pub enum Law {
    /// Every answered request has a record or is in a loss report; every number is stored or
    /// reported.
    Accounted,
    /// Users notice nothing.
    Undisturbed,
    /// The statistics add up, and show an empty buffer.
    Conserved,
    /// The acknowledged records are those that the audit cluster has stored.
    Agreed,
    /// Every answered request has a record.
    NothingLost,
    /// The records with poison are lost, and no others.
    OnlyPoison,
    /// Every loss is of the last flush interval before Envoy was killed.
    AtMostOneInterval,
    /// The audit cluster can detect that the streams were cut.
    Cut,
    /// Losses of the cut streams are within the audit cluster's bound.
    Bounded,
    /// The fault had an effect: attempts have failed.
    Failing,
    /// The fault had an effect: batches came twice.
    Duplicating,
    /// The fault had an effect: records were dropped.
    Dropping,
    /// The fault had an effect: streams have ended, and others begun.
    Renewing,
    /// The fault had an effect: a VM was rebuilt after each trap.
    Reloading,
    /// The fault had an effect: batches of a crashed VM were sent by another one.
    Recovering,
    /// The fault had an effect: entries in shared data were refused.
    Distrusting,
    /// No record was dropped, and no VM was rebuilt.
    Holding,
    /// The fault had an effect: requests were refused without room for their record.
    Refusing,
    /// The fault had an effect: bodies were too large together.
    TooLarge,
}

/// `batch.max_delay` and a tick, and three times as much again for a busy machine.
pub const INTERVAL: Duration = Duration::from_secs(1);

impl Law {
    /// Message for a violation, if any.
    pub fn breach(self, seen: &Observed) -> Option<String> {
        let count = &seen.count;

        let holds = match self {
            Self::Accounted => count.unexplained() == 0,
            Self::Undisturbed => seen.disturbed() == 0,
            Self::Conserved => seen.stats.as_ref().is_some_and(is_conserved),
            Self::Agreed => seen.stat("records.acknowledged") == count.records as u64,
            Self::NothingLost => count.missing.is_empty(),
            Self::OnlyPoison => seen
                .calls
                .iter()
                .all(|call| count.missing.contains(&call.name) == call.name.starts_with(POISON)),
            Self::AtMostOneInterval => seen
                .killed
                .is_some_and(|killed| seen.missing().all(|call| call.ended > killed - INTERVAL)),
            Self::Cut => count.reused == 0 && count.ends == 0,
            Self::Bounded => count
                .unknown
                .is_some_and(|unknown| count.missing.len() <= unknown.most()),
            Self::Failing => seen.stat("batches.failed") > 0,
            Self::Duplicating => count.duplicates > 0,
            Self::Dropping => count.accounted > 0 && seen.stat("records.dropped.buffer_full") > 0,
            Self::Renewing => count.ends > 0 && count.streams > count.ends,
            Self::Recovering => count.recovered > 0,
            Self::Holding => seen.stats.as_ref().is_some_and(is_holding),
            Self::Refusing => seen.stat("requests.refused") > 0,
            Self::Distrusting => seen.stat("journal.refused") > 0,
            Self::TooLarge => count.nameless > 0,
            Self::Reloading => seen
                .stats
                .as_ref()
                .is_some_and(|stats| reloads(stats) >= TRAPS.len() as u64),
        };

        (!holds).then(|| format!("{self:?}: {}", self.evidence(seen)))
    }

    fn evidence(self, seen: &Observed) -> String {
        let count = &seen.count;

        match self {
            Self::Undisturbed => format!(
                "{} requests were not answered by the upstream",
                seen.disturbed()
            ),
            Self::Conserved
            | Self::Agreed
            | Self::Failing
            | Self::Dropping
            | Self::Distrusting
            | Self::Reloading
            | Self::Holding
            | Self::Refusing => {
                format!("{} records arrived; {:#?}", count.records, seen.stats)
            }
            _ => format!("{count:?}"),
        }
    }
}

/// Whether the statistics add up, and the buffer is empty.
pub fn is_conserved(stats: &BTreeMap<String, u64>) -> bool {
    Mesh::is_conserved(stats) && stats["buffer.records"] == 0
}

fn is_holding(stats: &BTreeMap<String, u64>) -> bool {
    let dropped = stats
        .iter()
        .filter(|(name, _)| name.starts_with("records.dropped."))
        .map(|(_, count)| count);
    dropped.sum::<u64>() == 0 && reloads(stats) == 0
}
