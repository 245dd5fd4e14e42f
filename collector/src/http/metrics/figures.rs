//! What the ledger itself counts, read when metrics are.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::time::{Instant, timeout};

use crate::completeness::Moment;
use crate::db::{Connection, DbError};
use crate::ledger::Ledger;
use crate::ledger::checkpoint::Checkpoint;
use crate::time::SECOND;
use crate::views;
use crate::views::streams::{Summary, summary};

/// How long figures are shown before they are read again.
const FRESH: Duration = Duration::from_secs(1);

/// How long metrics wait for the database; without an answer they have no figures.
const PATIENCE: Duration = Duration::from_secs(1);

/// Figures of a ledger. Each is read from an index or from one row.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    streams: Summary,
    views_lag: i64,
    unsigned: i64,
    last_checkpoint: Option<Checkpoint>,
}

impl Figures {
    fn read(connection: &mut dyn Connection, moment: Moment) -> Result<Self, DbError> {
        let streams = summary(connection, moment)?;
        let position = streams.records;
        let checkpoint = Checkpoint::latest(connection, 1)?.pop();
        let signed = checkpoint.as_ref().map_or(0, |last| last.head.position);

        Ok(Self {
            views_lag: position - views::position(connection)?,
            unsigned: position - signed,
            last_checkpoint: checkpoint,
            streams,
        })
    }

    fn list(&self) -> [(&'static str, &'static str, i64); 8] {
        [
            (
                "streams_with_gaps",
                "Streams of which numbers are missing without an explanation",
                self.streams.gap_streams,
            ),
            (
                "missing_numbers",
                "Numbers that are missing without an explanation, of all streams",
                self.streams.unexplained_numbers,
            ),
            (
                "open_numbers",
                "Numbers that are missing for less than the grace period",
                self.streams.open_numbers,
            ),
            (
                "explained_losses",
                "Numbers that loss records explain, of all streams",
                self.streams.explained_losses,
            ),
            (
                "silent_streams",
                "Streams without an end that have been silent for too long",
                self.streams.silent_streams,
            ),
            (
                "conflicts",
                "Contents kept beside a record that they contradict",
                self.streams.conflicts,
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

/// The latest figures, for one reader at a time.
#[derive(Debug, Default)]
pub(super) struct LedgerFigures {
    latest: Mutex<Option<Figures>>,
    /// When they were read.
    reading: tokio::sync::Mutex<Option<Instant>>,
}

impl LedgerFigures {
    /// Reads them again, unless that was done a moment ago.
    pub(super) async fn refresh(&self, ledger: &Ledger, moment: Moment) {
        let mut read_at = self.reading.lock().await;
        if read_at.is_some_and(|read_at| read_at.elapsed() < FRESH) {
            return;
        }

        let read = move |connection: &mut dyn Connection| Figures::read(connection, moment);
        let figures = timeout(PATIENCE, ledger.read_aside(read)).await;
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
        let latest = self.0.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(figures) = latest.as_ref() else {
            return Ok(());
        };

        let mut show = |name, help, value| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        for (name, help, value) in figures.list() {
            show(name, help, value)?;
        }
        // Absent before the first one.
        let Some(last) = &figures.last_checkpoint else {
            return Ok(());
        };
        show(
            "last_checkpoint_timestamp_seconds",
            "When the end of the chain was last signed",
            last.made_at / SECOND,
        )?;
        show(
            "last_checkpoint_has_root",
            "Whether the last checkpoint signs a root, so that single records can be proved",
            last.root.is_some().into(),
        )
    }
}
