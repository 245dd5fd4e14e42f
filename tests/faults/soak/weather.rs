//! Behaviour of the audit cluster for a while.

use std::time::Duration;

use testkit::audit::sink::{Answer, Sink};
use tokio::time::{Instant, sleep};

/// One kind of weather.
#[derive(Clone, Copy)]
pub enum Weather {
    Calm,
    Down,
    /// Down and up, repeatedly.
    Flapping,
    Hanging,
    Unavailable,
    Throttling,
    Slow,
    /// Answers break off after their headers.
    CutOff,
    /// The answer is not HTTP.
    Garbage,
    /// Batches are stored, and connections closed without an answer.
    Lost,
}

use Weather::*;

/// Calm is as frequent as all trouble together, so that buffers become empty now and then.
const KINDS: [Weather; 18] = [
    Down,
    Flapping,
    Hanging,
    Unavailable,
    Throttling,
    Slow,
    CutOff,
    Garbage,
    Lost,
    Calm,
    Calm,
    Calm,
    Calm,
    Calm,
    Calm,
    Calm,
    Calm,
    Calm,
];

impl Weather {
    pub fn any(rng: &mut fastrand::Rng) -> Self {
        KINDS[rng.usize(..KINDS.len())]
    }

    pub fn name(self) -> &'static str {
        match self {
            Calm => "calm",
            Down => "down",
            Flapping => "flapping",
            Hanging => "hanging",
            Unavailable => "503",
            Throttling => "429",
            Slow => "slow",
            CutOff => "cut off",
            Garbage => "garbage",
            Lost => "answer lost",
        }
    }

    fn answer(self) -> Option<Answer> {
        match self {
            Calm | Down | Flapping => None,
            Hanging => Some(Answer::Hang),
            Unavailable => Some(Answer::Status(503, "")),
            Throttling => Some(Answer::RetryAfter(429, "1")),
            Slow => Some(Answer::Late(Duration::from_millis(500))),
            CutOff => Some(Answer::CutOff),
            Garbage => Some(Answer::Garbage),
            Lost => Some(Answer::Lost),
        }
    }

    /// Sets this weather and keeps it for `span`.
    pub async fn last(self, sink: &mut Sink, span: Duration) {
        sink.answer_all(self.answer());
        if matches!(self, Down) {
            sink.down().await;
        }

        let end = Instant::now() + span;
        while matches!(self, Flapping) && Instant::now() < end {
            sink.down().await;
            sleep(Duration::from_millis(200)).await;
            sink.up().await;
            sleep(Duration::from_millis(800)).await;
        }
        tokio::time::sleep_until(end).await;
    }

    /// Returns to calm.
    pub async fn clear(self, sink: &mut Sink) {
        sink.answer_all(None);
        if matches!(self, Down) {
            sink.up().await;
        }
    }
}
