//! What must hold in a row, and what is said when it does not.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fault::TRAPS;
use crate::load::POISON;
use crate::play::Observed;
use crate::stage::reloads;
use crate::support::Mesh;

/// One law.
#[derive(Clone, Copy, Debug)]
pub enum Law {
    /// Every request answered has a record, or a report tells of its loss; every number is stored or reported.
    Accounted,
    /// Users notice nothing.
    Undisturbed,
    /// The statistics add up, and show an empty buffer.
    Conserved,
    /// What was acknowledged is what the audit cluster has kept.
    Agreed,
    /// Every request answered has a record.
    NothingLost,
    /// The records with poison are lost, and no others.
    OnlyPoison,
    /// Nothing is lost that was older than a flush interval when Envoy was killed.
    AtMostOneInterval,
    /// The audit cluster can see that the streams were cut.
    Cut,
    /// What is lost with the streams that were cut is no more than the audit cluster can say.
    Bounded,
    /// The fault was felt: attempts have failed.
    Failing,
    /// The fault was felt: batches came twice.
    Duplicating,
    /// The fault was felt: records were dropped.
    Dropping,
    /// The fault was felt: streams have ended, and others begun.
    Renewing,
    /// The fault was felt: a VM was built anew after each trap.
    Reloading,
    /// The fault was felt: batches of a VM that had crashed were sent by another one.
    Recovering,
    /// The fault was felt: entries in shared data were refused.
    Distrusting,
    /// Nothing was dropped, and no VM was built anew.
    Holding,
    /// The fault was felt: requests were refused, since there was no place for their record.
    Refusing,
    /// The fault was felt: bodies were too large together.
    TooLarge,
}

/// `batch.max_delay` and a tick, and three times as much again for a machine that is busy.
pub const INTERVAL: Duration = Duration::from_secs(1);

impl Law {
    /// What breaks the law, if anything does.
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
