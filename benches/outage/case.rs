//! The cases: what the audit cluster of a filter does, or no filter at all.

use std::net::SocketAddr;

use super::rows::{Filter, Row, Traffic};
use super::sink::Sink;
use super::support::bootstrap::Bootstrap;
use super::support::sink::{Answer, Sink as Scripted};

/// The requests of every case: recorded, whatever the answer.
pub const TRAFFIC: Traffic = Traffic::Tracked;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Case {
    NoFilter,
    /// Answers 200 at once.
    Up,
    /// Refuses connections.
    Down,
    /// Accepts connections, reads, and never answers.
    Hung,
}

impl Case {
    pub fn name(self) -> &'static str {
        match self {
            Self::NoFilter => "no filter",
            Self::Up => "collector up",
            Self::Down => "collector down",
            Self::Hung => "collector hung",
        }
    }

    /// Whether records pile up until the buffer is full.
    pub fn piles_up(self) -> bool {
        matches!(self, Self::Down | Self::Hung)
    }
}

/// The audit clusters of all cases.
pub struct Clusters {
    pub up: Sink,
    down: Scripted,
    hung: Scripted,
}

impl Clusters {
    pub async fn start() -> Self {
        let hung = Scripted::start().await;
        hung.answer_all(Some(Answer::Hang));
        Self { up: Sink::start().await, down: Scripted::start_down(), hung }
    }

    /// The Envoy of a case. Its upstream is Envoy itself, so the gRPC cluster is nobody's.
    pub fn bootstrap(&self, case: Case) -> Bootstrap {
        let filter = if case == Case::NoFilter { Filter::None } else { Filter::Audit };
        Row { traffic: TRAFFIC, filter }.bootstrap(self.addr(case), self.down.addr())
    }

    fn addr(&self, case: Case) -> SocketAddr {
        match case {
            Case::Up => self.up.addr(),
            Case::NoFilter | Case::Down => self.down.addr(),
            Case::Hung => self.hung.addr(),
        }
    }
}
