//! Runs the rows of a group in alternating slices.

use crate::bench::origin::Origin;
use crate::bench::progress;
use crate::bench::requests::Requests;
use crate::bench::row::Row;
use crate::bench::subject::{Slice, Subject};
use crate::cpu;

/// Requests that warm up a row: V8 recompiles hot code while it runs.
pub const WARM_UP: usize = 9000;

/// Number of rounds and requests.
#[derive(Clone, Copy)]
pub struct Size {
    /// Rounds of slices.
    pub rounds: usize,
    /// Requests of a row in each round.
    pub requests: usize,
}

impl std::fmt::Display for Size {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} rounds of {} requests a row",
            self.rounds, self.requests
        )
    }
}

/// The measured cost of one row.
pub struct Outcome {
    /// Name of the row.
    pub name: String,
    /// What the requests of the row have in common.
    pub requests: Requests,
    /// Number of workers of the Envoy.
    pub workers: usize,
    /// One entry per round.
    pub slices: Vec<Slice>,
    /// Records that arrived, per request.
    pub recorded: f64,
    /// Bytes that arrived at the audit cluster, per request.
    pub bytes: f64,
}

/// The rows of one group in one run.
pub struct Measured {
    /// Name of the group.
    pub group: &'static str,
    /// The cores on which everything ran.
    pub cores: String,
    /// The rows in their order.
    pub outcomes: Vec<Outcome>,
}

/// Starts an Envoy for every row, and measures the rows in slices, round by round. Every other
/// round runs in reverse order.
pub async fn measure(group: &'static str, rows: Vec<Row>, size: Size) -> Measured {
    let origin = Origin::start().await;
    let mut running = Vec::new();
    for row in rows {
        progress::show(&format!("{group}: starting {}", row.name));
        running.push((Subject::start(row, &origin).await, Vec::new()));
    }

    let cores = cpu::part(running.iter().map(|(subject, _)| subject.envoy.pid()));
    for (subject, _) in &mut running {
        progress::show(&format!("{group}: warming up {}", subject.row.name));
        subject.slice(WARM_UP).await;
    }

    progress::rounds(
        group,
        size.rounds,
        &mut running,
        async |(subject, slices)| {
            slices.push(subject.slice(size.requests).await);
        },
    )
    .await;

    let mut outcomes = Vec::new();
    for (subject, slices) in running {
        outcomes.push(outcome(subject, slices).await);
    }

    Measured {
        group,
        cores,
        outcomes,
    }
}

async fn outcome(subject: Subject, slices: Vec<Slice>) -> Outcome {
    let (recorded, bytes) = (subject.recorded().await, subject.bytes());
    let Row {
        name,
        requests,
        workers,
        ..
    } = subject.row;

    Outcome {
        name,
        requests,
        workers,
        slices,
        recorded,
        bytes,
    }
}

impl Measured {
    /// The row without a filter that has the same requests.
    pub fn base(&self, of: &Outcome) -> &Outcome {
        self.find("no filter", of)
            .expect("every group has its rows without a filter")
    }

    /// The row with this name that has the same requests and workers.
    pub fn find(&self, name: &str, of: &Outcome) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| {
            outcome.name == name
                && outcome.requests == of.requests.base()
                && outcome.workers == of.workers
        })
    }
}
