//! Runs the rows of a group in alternating slices.

use crate::bench::origin::Origin;
use crate::bench::pace::RATE;
use crate::bench::progress;
use crate::bench::quiet::{Kept, is_held_up, is_idle};
use crate::bench::requests::Requests;
use crate::bench::row::Row;
use crate::bench::subject::{Paced, Slice, Subject};
use crate::{cpu, quantile};

/// Requests that warm up a row: V8 recompiles hot code while it runs.
pub const WARM_UP: usize = 9000;
/// Slices of the warm-up, which show how busy Envoy usually is at full speed.
const WARM_UPS: usize = 5;
/// Slices at a pace that follow, and show for how long a core is usually waited for.
const PACED_WARM_UPS: usize = 3;

/// Number of rounds and requests.
#[derive(Clone, Copy)]
pub struct Size {
    /// Rounds of slices.
    pub rounds: usize,
    /// Requests of a row in each round, at full speed.
    pub requests: usize,
    /// Requests of a row in each round at a pace, for their times; 0: none.
    pub paced: usize,
    /// How often at most a disturbed slice is taken again; 0: none is.
    pub again: usize,
}

impl std::fmt::Display for Size {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} rounds of {} requests a row",
            self.rounds, self.requests
        )?;
        if self.paced > 0 {
            write!(formatter, ", then {} at {RATE} a second", self.paced)?;
        }
        if self.again > 0 {
            let again = self.again;
            write!(
                formatter,
                "; a disturbed slice is taken again, at most {again} times"
            )?;
        }
        Ok(())
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
    pub full: Kept<Slice>,
    /// One entry per round, or none.
    pub paced: Kept<Paced>,
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

/// A row that is being measured.
struct Case {
    subject: Subject,
    usual: Usual,
    full: Kept<Slice>,
    paced: Kept<Paced>,
}

/// What a row shows before it is measured: medians of the warm-up's slices.
struct Usual {
    /// See [`Slice::busy`].
    busy: f64,
    /// See [`Paced::waiting`]; 0 without a pace.
    waiting: f64,
}

/// Starts an Envoy for every row, and measures the rows in slices, round by round. Every other
/// round runs in reverse order.
pub async fn measure(group: &'static str, rows: Vec<Row>, size: Size) -> Measured {
    let origin = Origin::start().await;
    let mut subjects = Vec::new();
    for row in rows {
        progress::show(&format!("{group}: starting {}", row.name));
        subjects.push(Subject::start(row, &origin).await);
    }

    let cores = cpu::part(subjects.iter().map(|subject| subject.envoy.pid()));
    let mut cases = Vec::new();
    for subject in subjects {
        progress::show(&format!("{group}: warming up {}", subject.row.name));
        cases.push(Case::warm(subject, size.paced).await);
    }

    progress::rounds(group, size.rounds, &mut cases, async |case: &mut Case| {
        case.round(size).await;
    })
    .await;

    let mut outcomes = Vec::new();
    for case in cases {
        outcomes.push(case.outcome().await);
    }
    Measured {
        group,
        cores,
        outcomes,
    }
}

impl Case {
    async fn warm(mut subject: Subject, paced: usize) -> Self {
        let mut busy = Vec::new();
        for _ in 0..WARM_UPS {
            busy.push(subject.slice(WARM_UP / WARM_UPS).await.busy);
        }

        let mut waiting = vec![0.0];
        if paced > 0 {
            waiting.clear();
            for _ in 0..PACED_WARM_UPS {
                waiting.push(subject.paced(paced).await.waiting);
            }
        }

        let [busy, waiting] = [busy, waiting].map(|shares| quantile(&shares, 0.5));
        Self {
            subject,
            usual: Usual { busy, waiting },
            full: Kept::default(),
            paced: Kept::default(),
        }
    }

    async fn round(&mut self, size: Size) {
        let (subject, usual) = (&mut self.subject, &self.usual);
        let is_disturbed = |slice: &Slice| is_idle(slice.busy, usual.busy);
        let slice = async || subject.slice(size.requests).await;
        self.full.take(size.again, is_disturbed, slice).await;

        if size.paced > 0 {
            let is_disturbed = |slice: &Paced| is_held_up(slice.waiting, usual.waiting);
            let slice = async || subject.paced(size.paced).await;
            self.paced.take(size.again, is_disturbed, slice).await;
        }
    }

    async fn outcome(self) -> Outcome {
        let (recorded, bytes) = (self.subject.recorded().await, self.subject.bytes());
        let Row {
            name,
            requests,
            workers,
            ..
        } = self.subject.row;

        Outcome {
            name,
            requests,
            workers,
            full: self.full,
            paced: self.paced,
            recorded,
            bytes,
        }
    }
}

impl Outcome {
    /// CPU time per request in every round, in microseconds.
    pub fn micros(&self) -> Vec<f64> {
        let slices = self.full.slices.iter();
        slices.map(|slice| slice.micros).collect()
    }

    /// Median times of the requests in every round, in microseconds; empty without a pace.
    pub fn p50(&self) -> Vec<f64> {
        self.paced.slices.iter().map(|slice| slice.p50).collect()
    }

    /// 99th percentiles of the requests' times in every round.
    pub fn p99(&self) -> Vec<f64> {
        self.paced.slices.iter().map(|slice| slice.p99).collect()
    }
}

impl Measured {
    /// The row without a filter that has the same requests.
    pub fn base(&self, of: &Outcome) -> &Outcome {
        self.find("no filter", of)
            .expect("every group has its rows without a filter")
    }

    /// The row with this name and the requests to compare with, on as many workers.
    pub fn find(&self, name: &str, of: &Outcome) -> Option<&Outcome> {
        self.with(name, of.requests.base(), of.workers)
    }

    /// The row with this name and the same requests, on as many workers.
    pub fn twin(&self, name: &str, of: &Outcome) -> Option<&Outcome> {
        self.with(name, of.requests, of.workers)
    }

    fn with(&self, name: &str, requests: Requests, workers: usize) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| {
            outcome.name == name && outcome.requests == requests && outcome.workers == workers
        })
    }
}
