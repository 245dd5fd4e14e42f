//! The fault of a row, injected under load.

use std::time::Duration;

use serde_json::json;
use testkit::Mesh;
use testkit::audit::sink::Answer;
use testkit::envoy::intruder::Intruder;
use tokio::time::{Instant, sleep};

use crate::crowds;
use crate::load::{Call, Load};
use crate::stage::{Held, Stage};
use crate::updates::Update;

/// One kind of trouble.
pub enum Fault {
    /// No fault.
    None,
    /// The audit cluster's port is closed for a while.
    Down,
    /// The same, with a buffer too small for that time.
    SmallBuffer,
    /// The audit cluster stops and restarts, repeatedly.
    Restarted,
    /// Every batch gets this answer, for a while.
    Answers(Answer),
    /// Some batches are answered with this status, all the time.
    Refuses(u16, fn(&[u8]) -> bool),
    /// The same with a status that does not concern the content. A batch is found to be bad only by
    /// comparison with others, so there must be others until the end.
    Fails(u16, fn(&[u8]) -> bool),
    /// The audit cluster has no host at first.
    NoHost,
    /// Envoy does not have the audit cluster at first.
    NoCluster,
    /// The filter's configuration is replaced.
    Updated,
    /// The same while the audit cluster is down.
    UpdatedInOutage(Update),
    /// Envoy drains its listeners, and quits when the filter's buffer is empty.
    Drained,
    /// Envoy is killed.
    Killed,
    /// Envoy drains its inbound listeners, and is killed a while later, even with records in the
    /// buffer.
    DrainedThenKilled,
    /// The VM of one worker traps, later that of any worker once more.
    Crashed,
    /// The same while the audit cluster's port is closed.
    CrashedInOutage,
    /// The same, and another plugin has changed a byte in every batch in shared data.
    Forged,
    /// A client sends many requests with a required record, and never their bodies.
    SlowRequests,
    /// A client requests many large bodies that are read for the user, and reads none of them.
    Bodies,
    /// Many requests end at the same moment.
    Burst,
}

/// The callbacks that trap: at the end of a stream, and at its start.
pub const TRAPS: [&str; 2] = ["log", "headers"];

/// From the drain to the kill: `terminationDrainDuration`, for which Istio's agent waits before it
/// kills its Envoy (istio/istio pkg/envoy/agent.go).
const TERMINATION: Duration = Duration::from_secs(5);

/// How long the restarted audit cluster is down, and how long it is up.
const RESTART: (Duration, Duration) = (Duration::from_millis(200), Duration::from_millis(800));

/// A VM without a sign of life for this long counts as gone (`src/pipeline/watch.rs`).
const SILENCE: Duration = Duration::from_secs(30);

impl Fault {
    /// Longest time until other VMs detect the loss: Envoy ends a VM without a callback if it was
    /// rebuilt before.
    pub fn silence(&self) -> Duration {
        match self {
            Self::UpdatedInOutage(Update::AfterCrash) => SILENCE,
            _ => Duration::ZERO,
        }
    }

    /// Injects the fault, and ends it after `span` if possible. Yields the requests that were part
    /// of it and must have a record.
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
            Self::CrashedInOutage | Self::Forged => {
                stage.mesh.sink.down().await;
                sleep(span / 2).await;
                if matches!(self, Self::Forged) {
                    forge(&stage.mesh).await;
                }
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

/// Traps, and waits until requests of the load have made Envoy rebuild the VM.
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
