//! Plays rows: starts the mesh, the load and the fault, and polls until the laws hold or the
//! deadline has passed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use testkit::DEADLINE;
use tokio::time::{Instant, sleep};

use crate::args::Args;
use crate::count::Count;
use crate::fault::Fault;
use crate::load::{Call, Load, POISON};
use crate::matrix::{self, Row};
use crate::stage::{POLL, Stage};

/// Final observations of a row.
pub struct Observed {
    pub calls: Vec<Call>,
    pub count: Count,
    /// `None` if Envoy was killed.
    pub stats: Option<BTreeMap<String, u64>>,
    pub killed: Option<Instant>,
}

/// The result of a row; without observations if it panicked.
pub struct Played {
    pub row: Arc<Row>,
    pub seen: Option<Observed>,
}

impl Played {
    /// The broken laws, each with its message.
    pub fn breaches(&self) -> Vec<String> {
        match &self.seen {
            Some(seen) => seen.breaches(&self.row),
            None => vec!["the row could not be played to its end".to_owned()],
        }
    }
}

/// Plays the selected rows, and the baseline before them.
pub async fn all(args: &Args) -> Vec<Played> {
    let mut rows: Vec<Row> = matrix::rows()
        .into_iter()
        .filter(|row| args.wants(row.name))
        .collect();
    if !rows.is_empty() || args.wants(matrix::BASELINE.name) {
        rows.insert(0, matrix::BASELINE);
    }

    let mut results = Vec::new();
    for row in rows {
        eprintln!("playing: {}", row.name);
        results.push(guarded(row, args.length).await);
    }
    results
}

/// A row that panics, for instance because Envoy has ended, must not hide the others.
async fn guarded(row: Row, length: Duration) -> Played {
    let row = Arc::new(row);
    let playing = tokio::spawn(play(Arc::clone(&row), length));
    Played {
        row,
        seen: playing.await.ok(),
    }
}

/// The fault begins after a fifth of the load, and ends with a quarter left.
async fn play(row: Arc<Row>, length: Duration) -> Observed {
    let mut stage = Stage::set(&row.fault).await;
    let load = Load::start(stage.mesh.http);
    sleep(length.mul_f64(0.2)).await;

    let part = row
        .fault
        .happen(&mut stage, &load, length.mul_f64(0.55))
        .await;
    sleep(length.mul_f64(0.25)).await;

    let mut calls = load.stop().await;
    calls.extend(part);
    let seen = settle(&stage, &row, calls).await;

    if matches!(row.fault, Fault::Drained) {
        stage.quit().await;
    }
    seen
}

/// Polls until the laws hold; at the deadline the last observation is judged.
async fn settle(stage: &Stage, row: &Row, calls: Vec<Call>) -> Observed {
    let end = Instant::now() + DEADLINE + row.fault.silence();
    let mut polls = 0;
    let mut seen = Observed {
        calls,
        count: Count::default(),
        stats: None,
        killed: stage.killed,
    };

    loop {
        let is_over = Instant::now() >= end;
        seen.stats = stage.stats().await;
        if is_over || seen.is_quiet() {
            seen.count = Count::of(&seen.calls, &stage.mesh.sink.records());
            if is_over || seen.breaches(row).is_empty() {
                return seen;
            }
        }

        if matches!(row.fault, Fault::Fails(..)) && seen.has_poison_left() {
            stage.trickle(polls).await;
        }
        polls += 1;
        sleep(POLL).await;
    }
}

impl Observed {
    pub fn stat(&self, name: &str) -> u64 {
        self.stats
            .as_ref()
            .and_then(|stats| stats.get(name))
            .copied()
            .unwrap_or_default()
    }

    /// Requests without the upstream's answer.
    pub fn disturbed(&self) -> usize {
        self.calls.iter().filter(|call| !call.is_answered).count()
    }

    /// The requests without a record.
    pub fn missing(&self) -> impl Iterator<Item = &Call> {
        self.calls
            .iter()
            .filter(|call| self.count.missing.contains(&call.name))
    }

    /// Whether a bad record waits for good ones that prove it bad. With more bad records than that,
    /// the buffer could not become empty.
    fn has_poison_left(&self) -> bool {
        let sent = self
            .calls
            .iter()
            .filter(|call| call.is_answered && call.name.starts_with(POISON))
            .count();
        self.stat("records.rejected") < sent as u64
    }

    fn breaches(&self, row: &Row) -> Vec<String> {
        row.laws.iter().filter_map(|law| law.breach(self)).collect()
    }

    /// Whether the buffer is empty, so that counting is worthwhile.
    fn is_quiet(&self) -> bool {
        self.stats
            .as_ref()
            .is_none_or(|stats| stats.get("buffer.records") == Some(&0))
    }
}
