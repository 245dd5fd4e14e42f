//! One life of Envoy: load and trouble until its end, and the count of the fate of every request.

use std::time::Duration;

use testkit::DEADLINE;
use testkit::audit::ledger::named_in;
use tokio::time::{Instant, sleep};

use super::scene::{DRAIN, Scene};
use super::watch::Seen;
use super::weather::Weather;
use crate::count::Count;
use crate::law::{INTERVAL, is_conserved};
use crate::load::{Call, Load};
use crate::stage::POLL;

/// Ways to end a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// SIGTERM under load, in any weather.
    Terminated,
    /// Listeners drained, the buffer empty, then quit.
    Drained,
    /// SIGKILL under load, in any weather.
    Killed,
}

impl Ending {
    pub fn any(rng: &mut fastrand::Rng) -> Self {
        [
            Self::Terminated,
            Self::Terminated,
            Self::Drained,
            Self::Killed,
        ][rng.usize(..4)]
    }

    fn name(self) -> &'static str {
        match self {
            Self::Terminated => "SIGTERM",
            Self::Drained => "drain and quit",
            Self::Killed => "SIGKILL",
        }
    }
}

/// A finished life.
pub struct Life {
    pub ending: Ending,
    pub length: Duration,
    pub count: Count,
    /// Most requests that may lack a record because of a kill.
    bound: usize,
    pub seen: Seen,
    /// Violations.
    pub breaches: Vec<String>,
}

impl Life {
    pub async fn lead(
        scene: &mut Scene,
        rng: &mut fastrand::Rng,
        span: Duration,
        ending: Ending,
    ) -> Self {
        let start = Instant::now();
        let load = Load::start_as(scene.mesh.http, &scene.name());
        let watch = scene.watch();
        let mut weather = Weather::Calm;

        while start.elapsed() < span {
            weather.clear(&mut scene.mesh.sink).await;
            weather = Weather::any(rng);
            scene.diary.note(weather.name());
            weather
                .last(&mut scene.mesh.sink, seconds(rng, 0.2, 2.0))
                .await;
            scene.disturb(rng, &load).await;
            sleep(seconds(rng, 0.0, 2.0)).await;
        }

        scene.diary.note(ending.name());
        let (calls, breach) = match ending {
            Ending::Terminated => (signalled(scene, "TERM", load).await, None),
            Ending::Killed => (signalled(scene, "KILL", load).await, None),
            Ending::Drained => {
                weather.clear(&mut scene.mesh.sink).await;
                weather = Weather::Calm;
                drained(scene, load).await
            }
        };

        weather.clear(&mut scene.mesh.sink).await;
        drop(watch);

        let life = Self {
            ending,
            length: start.elapsed(),
            count: Count::default(),
            bound: 0,
            seen: scene.seen.lock().unwrap().clone(),
            breaches: breach.into_iter().collect(),
        };
        life.judged(scene, &calls).await
    }

    /// Polls until the laws hold, or the deadline has passed: records in flight at the end may
    /// still arrive.
    async fn judged(mut self, scene: &Scene, calls: &[Call]) -> Self {
        let (end, named) = (Instant::now() + DEADLINE, named_in(&scene.mesh.envoy.log()));
        loop {
            self.count = Count::with_named(calls, &scene.stored(), &named);
            let breach = self.breach(calls);
            if breach.is_none() || Instant::now() > end {
                self.breaches.extend(breach);
                scene.forget_stored();
                return self;
            }
            sleep(POLL).await;
        }
    }

    fn breach(&mut self, calls: &[Call]) -> Option<String> {
        let count = &self.count;
        let is_wrong = if self.ending == Ending::Killed {
            self.bound = self.may_be_lost(calls);
            count.reused + count.split > 0 || count.unaccounted > self.bound
        } else {
            count.unexplained() > 0
        };

        is_wrong.then(|| {
            format!(
                "{:?}: at most {} may be lost; {count:?}",
                self.ending, self.bound
            )
        })
    }

    /// Most records that a kill may cost: held ones at the last read of the statistics, ended
    /// requests since, and dropped ones by then. The report of the latter may not have arrived.
    fn may_be_lost(&self, calls: &[Call]) -> usize {
        let safe = self.seen.asked.map(|asked| asked - INTERVAL);
        let since = calls
            .iter()
            .filter(|call| call.is_answered && safe.is_none_or(|safe| call.ended > safe))
            .count();
        let dropped = usize::try_from(self.seen.dropped())
            .unwrap()
            .saturating_sub(self.count.reported);
        since + dropped + usize::try_from(self.seen.stat("buffer.records")).unwrap()
    }

    /// Requests without a record because of a kill.
    pub fn killed(&self) -> usize {
        if self.ending == Ending::Killed {
            self.count.unaccounted.min(self.bound)
        } else {
            0
        }
    }

    /// Requests without a record and without an explanation.
    pub fn unaccounted(&self) -> usize {
        self.count.unaccounted - self.killed()
    }
}

fn seconds(rng: &mut fastrand::Rng, least: f64, most: f64) -> Duration {
    Duration::from_secs_f64(least + rng.f64() * (most - least))
}

/// Ends the life under load; yields the calls.
async fn signalled(scene: &mut Scene, signal: &str, load: Load) -> Vec<Call> {
    scene.mesh.envoy.signal(signal);
    scene.mesh.envoy.wait().await;
    load.stop().await
}

/// Drains the listeners, ends the load, and Envoy after its buffer is empty. Yields the calls, and
/// the violation in the final statistics.
async fn drained(scene: &mut Scene, load: Load) -> (Vec<Call>, Option<String>) {
    scene
        .mesh
        .envoy
        .admin_post("/drain_listeners?graceful")
        .await;
    sleep(DRAIN).await;

    let calls = load.stop().await;
    let end = Instant::now() + DEADLINE;
    let mut stats = scene.stats().await;
    while !is_conserved(&stats) && Instant::now() < end {
        sleep(POLL).await;
        stats = scene.stats().await;
    }

    let breach = (!is_conserved(&stats))
        .then(|| format!("something is held, or the statistics do not add up: {stats:#?}"));
    scene.mesh.envoy.admin_post("/quitquitquit").await;
    scene.mesh.envoy.wait().await;
    (calls, breach)
}
