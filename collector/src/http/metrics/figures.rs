//! What the ledger itself counts, read when metrics are.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::time::{Instant, timeout};

use crate::db::{Connection, DbError};
use crate::ledger::Ledger;
use crate::ledger::append::conflicts;
use crate::ledger::chain::head;
use crate::ledger::checkpoint::Checkpoint;
use crate::time::SECOND;
use crate::views;

/// How long figures are shown before they are read again.
const FRESH: Duration = Duration::from_secs(1);

/// How long metrics wait for the database; without an answer they have no figures.
const PATIENCE: Duration = Duration::from_secs(1);

/// Figures of a ledger. Each is read from an index or from one row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    conflicts: i64,
    views_lag: i64,
    unsigned: i64,
    /// When the last checkpoint was made, in nanoseconds since the Unix epoch.
    last_checkpoint: Option<i64>,
}

impl Figures {
    fn read(connection: &mut dyn Connection) -> Result<Self, DbError> {
        let position = head(connection)?.position;
        let checkpoint = Checkpoint::latest(connection, 1)?.pop();
        let signed = checkpoint.as_ref().map_or(0, |last| last.head.position);

        Ok(Self {
            conflicts: conflicts(connection)?,
            views_lag: position - views::position(connection)?,
            unsigned: position - signed,
            last_checkpoint: checkpoint.map(|last| last.made_at),
        })
    }

    fn list(&self) -> [(&'static str, &'static str, i64); 3] {
        [
            (
                "conflicts",
                "Contents kept beside a record that they contradict",
                self.conflicts,
            ),
            (
                "views_lag_records",
                "Records that the views do not include yet",
                self.views_lag,
            ),
            (
                "unsigned_records",
                "Records behind the last checkpoint",
                self.unsigned,
            ),
        ]
    }
}

/// In seconds since the Unix epoch; absent before the first one.
const LAST_CHECKPOINT: (&str, &str) = (
    "last_checkpoint_timestamp_seconds",
    "When the end of the chain was last signed",
);

/// The latest figures, for one reader at a time.
#[derive(Debug, Default)]
pub(super) struct LedgerFigures {
    latest: Mutex<Option<Figures>>,
    /// When they were read.
    reading: tokio::sync::Mutex<Option<Instant>>,
}

impl LedgerFigures {
    /// Reads them again, unless that was done a moment ago.
    pub(super) async fn refresh(&self, ledger: &Ledger) {
        let mut read_at = self.reading.lock().await;
        if read_at.is_some_and(|read_at| read_at.elapsed() < FRESH) {
            return;
        }

        let figures = timeout(PATIENCE, ledger.read_aside(Figures::read)).await;
        let figures = figures.ok().and_then(Result::ok);
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = figures;
        *read_at = Some(Instant::now());
    }
}

/// Shows them among the metrics; none while the database does not answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown(pub(super) Arc<LedgerFigures>);

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let latest = *self.0.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(figures) = latest else { return Ok(()) };

        let mut show = |name, help, value| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        for (name, help, value) in figures.list() {
            show(name, help, value)?;
        }
        match figures.last_checkpoint {
            None => Ok(()),
            Some(made_at) => {
                let (name, help) = LAST_CHECKPOINT;
                show(name, help, made_at / SECOND)
            }
        }
    }
}
