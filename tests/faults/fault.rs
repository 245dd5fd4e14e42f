//! What goes wrong in a row, while the load is on.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::crowds;
use crate::load::{Call, Load};
use crate::stage::{Held, Stage};
use crate::support::Mesh;
use crate::support::intruder::Intruder;
use crate::support::sink::Answer;
use crate::updates::Update;

/// One kind of trouble.
pub enum Fault {
    /// None at all.
    None,
    /// Nothing listens where the audit cluster was, for a while.
    Down,
    /// The same, with a buffer that cannot hold so much.
    SmallBuffer,
    /// The audit cluster goes away and comes back, again and again.
    Restarted,
    /// Every batch is answered so, for a while.
    Answers(Answer),
    /// Some batches are answered with this status, all the time.
    Refuses(u16, fn(&[u8]) -> bool),
    /// The same with a status that is not about the content: a batch is known to be bad by the others only, so that
    /// there must be some until the end.
    Fails(u16, fn(&[u8]) -> bool),
    /// The audit cluster has no host at first.
    NoHost,
    /// The audit cluster is not known to Envoy at first.
    NoCluster,
    /// The filter's configuration is replaced.
    Updated,
    /// The same while the audit cluster takes nothing.
    UpdatedInOutage(Update),
    /// Envoy drains its listeners, and quits when the filter's buffer is empty.
    Drained,
    /// Envoy is killed.
    Killed,
    /// Envoy drains its inbound listeners, and is killed a while later, whatever it holds.
    DrainedThenKilled,
    /// The VM of a worker traps, then that of any worker once more.
    Crashed,
    /// The same while nothing listens where the audit cluster was.
    CrashedInOutage,
    /// The same, and another plugin has changed a byte in every batch that the filter keeps in shared data.
    Forged,
    /// A client sends many requests whose record is required, and never their bodies.
    SlowRequests,
    /// A client requests many large bodies that are read for the user, and fetches none of them.
    Bodies,
    /// Many requests end at the same moment.
    Burst,
}

/// The callbacks that trap: when a stream has ended, and when one begins.
pub const TRAPS: [&str; 2] = ["log", "headers"];

/// From the drain to the kill: `terminationDrainDuration`, which Istio's agent waits before it kills its Envoy
/// (istio/istio pkg/envoy/agent.go).
const TERMINATION: Duration = Duration::from_secs(5);

/// How long the audit cluster that is restarted is away, and how long it is there.
const RESTART: (Duration, Duration) = (Duration::from_millis(200), Duration::from_millis(800));

/// After this long without a sign of life a VM is gone for the others (`src/pipeline/watch.rs`).
const SILENCE: Duration = Duration::from_secs(30);

impl Fault {
    /// How long it may take until others learn of it: Envoy ends a VM without a word, where one was built anew before.
    pub fn silence(&self) -> Duration {
        match self {
            Self::UpdatedInOutage(Update::AfterCrash) => SILENCE,
            _ => Duration::ZERO,
        }
    }

    /// Lets it happen, and heals it after `span` where it can be healed. Yields the requests that were part of it and are to
    /// have a record.
    pub async fn happen(&self, stage: &mut Stage, load: &Load, span: Duration) -> Vec<Call> {
        match self {
            Self::SlowRequests => return crowds::slow_requests(stage, span).await,
            Self::Bodies => return crowds::bodies(stage, span).await,
            Self::Burst => return crowds::burst(stage).await,

            Self::Down | Self::SmallBuffer => {
                stage.mesh.sink.down().await;
                sleep(span).await;
                stage.mesh.sink.up().await;
            }
            Self::Restarted => restart(&mut stage.mesh, span).await,
            Self::Answers(answer) => {
                stage.mesh.sink.answer_all(Some(answer.clone()));
                sleep(span).await;
                stage.mesh.sink.answer_all(None);
            }
            Self::NoHost | Self::NoCluster => {
                sleep(span).await;
                stage.appear();
            }
            Self::Updated => update(stage, load, span).await,
            Self::UpdatedInOutage(update) => update.happen(stage, span).await,
            Self::Drained => {
                stage
                    .mesh
                    .envoy
                    .admin_post("/drain_listeners?graceful")
                    .await;
                sleep(span).await;
            }
            Self::Killed => {
                sleep(span).await;
                stage.kill().await;
            }
            Self::DrainedThenKilled => {
                stage
                    .mesh
                    .envoy
                    .admin_post("/drain_listeners?inboundonly&graceful&skip_exit")
                    .await;
                sleep(TERMINATION).await;
                stage.kill().await;
            }
            Self::Crashed => crash(stage, span).await,
            Self::CrashedInOutage => {
                stage.mesh.sink.down().await;
                sleep(span / 2).await;
                crash(stage, span / 2).await;
                stage.mesh.sink.up().await;
            }
            Self::Forged => {
                stage.mesh.sink.down().await;
                sleep(span / 2).await;
                forge(&stage.mesh).await;
                crash(stage, span / 2).await;
                stage.mesh.sink.up().await;
            }
            Self::None | Self::Refuses(..) | Self::Fails(..) => sleep(span).await,
        }
        Vec::new()
    }
}

async fn restart(mesh: &mut Mesh, span: Duration) {
    let end = Instant::now() + span;
    while Instant::now() < end {
        mesh.sink.down().await;
        sleep(RESTART.0).await;
        mesh.sink.up().await;
        sleep(RESTART.1).await;
    }
}

async fn update(stage: &Stage, load: &Load, span: Duration) {
    let Held::Listeners(listeners) = &stage.held else {
        panic!("the listeners come from a file")
    };
    listeners.update(&json!({"service": "updated"}));
    sleep(span).await;
    load.redirect(stage.mesh.envoy.listener("http").await);
}

async fn forge(mesh: &Mesh) {
    let intruder = Intruder(mesh);
    for batch in intruder.batches().await {
        intruder.damage(&batch).await;
    }
}

/// Traps, and waits until the load has made Envoy build the VM anew.
pub async fn crash(stage: &Stage, span: Duration) {
    for (reloads, callback) in (1..).zip(TRAPS) {
        stage
            .mesh
            .get("/check", &[("x-audit-crash-for-tests", callback)])
            .await;
        sleep(span / TRAPS.len() as u32).await;
        stage.wait_for_reloads(reloads).await;
    }
}
