//! The cases: the state of the audit cluster, or no filter.

use std::net::SocketAddr;

use testkit::audit::sink::{Answer, Sink as Scripted};
use testkit::bench::artefacts;
use testkit::bench::audit::{self, USER_HEADER};
use testkit::bench::bootstrap::{self, AUDIT};
use testkit::bench::requests::{RECORD, Requests, Traffic};
use testkit::bench::sink::{Sink, Streams};
use testkit::envoy::bootstrap::Bootstrap;

/// The requests of every case, which are always recorded.
pub const TRAFFIC: Traffic = Traffic::Tracked;

pub fn requests() -> Requests {
    Requests::new(TRAFFIC)
}

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
    pub down: Scripted,
    hung: Scripted,
}

impl Clusters {
    pub async fn start() -> Self {
        let hung = Scripted::start().await;
        hung.answer_all(Some(Answer::Hang));
        Self {
            up: Sink::start(RECORD, Streams::AtEnd).await,
            down: Scripted::start_down(),
            hung,
        }
    }

    /// The Envoy of a case. Its upstream is Envoy itself.
    pub fn bootstrap(&self, case: Case) -> Bootstrap {
        let mut bootstrap = match case {
            Case::NoFilter => bootstrap::no_filter(TRAFFIC),
            Case::Up | Case::Down | Case::Hung => {
                bootstrap::audit(TRAFFIC, artefacts::full(), &audit::usual(USER_HEADER))
            }
        };
        bootstrap.point(AUDIT, self.addr(case));
        bootstrap
    }

    fn addr(&self, case: Case) -> SocketAddr {
        match case {
            Case::Up => self.up.addr(),
            Case::NoFilter | Case::Down => self.down.addr(),
            Case::Hung => self.hung.addr(),
        }
    }
}
