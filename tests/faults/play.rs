//! Plays rows: starts the mesh, the load and the fault, and looks until the laws hold or the deadline is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::args::Args;
use crate::count::Count;
use crate::fault::Fault;
use crate::load::{Call, Load, POISON};
use crate::matrix::{self, Row};
use crate::stage::{POLL, Stage};
use crate::support::DEADLINE;

/// What was seen of a row in the end.
pub struct Observed {
    pub calls: Vec<Call>,
    pub count: Count,
    /// None when Envoy was killed.
    pub stats: Option<BTreeMap<String, u64>>,
    pub killed: Option<Instant>,
}

/// A row that was played; nothing was seen of one that panicked.
pub struct Played {
    pub row: Arc<Row>,
    pub seen: Option<Observed>,
}

impl Played {
    /// The laws that are broken, and by what.
    pub fn breaches(&self) -> Vec<String> {
        match &self.seen {
            Some(seen) => seen.breaches(&self.row),
            None => vec!["the row could not be played to its end".to_owned()],
        }
    }
}

/// Plays the rows that are asked for, and the baseline before them.
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

/// A row that panics, for instance since Envoy has ended, must not hide the others.
async fn guarded(row: Row, length: Duration) -> Played {
    let row = Arc::new(row);
    let playing = tokio::spawn(play(Arc::clone(&row), length));
    Played {
        row,
        seen: playing.await.ok(),
    }
}

/// The fault begins after a fifth of the load, and is healed when a quarter is left.
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

/// Looks until the laws hold; what is seen at the deadline is what is judged.
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

    /// Requests that the upstream's answer did not reach.
    pub fn disturbed(&self) -> usize {
        self.calls.iter().filter(|call| !call.is_answered).count()
    }

    /// The requests without a record.
    pub fn missing(&self) -> impl Iterator<Item = &Call> {
        self.calls
            .iter()
            .filter(|call| self.count.missing.contains(&call.name))
    }

    /// Whether a bad record waits for good ones that prove it bad. More of them than that would keep the buffer from being
    /// empty.
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

    /// Whether counting is worth while.
    fn is_quiet(&self) -> bool {
        self.stats
            .as_ref()
            .is_none_or(|stats| stats.get("buffer.records") == Some(&0))
    }
}
