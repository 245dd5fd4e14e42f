//! What goes wrong in a row, while the load is on.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::load::Load;
use crate::stage::{Held, Stage};
use crate::support::Mesh;
use crate::support::sink::Answer;

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
    /// The audit cluster has no host at first.
    NoHost,
    /// The audit cluster is not known to Envoy at first.
    NoCluster,
    /// The filter's configuration is replaced.
    Updated,
    /// Envoy drains its listeners, and quits when the filter's buffer is empty.
    Drained,
    /// Envoy is killed.
    Killed,
    /// The VM of a worker traps, then that of any worker once more.
    Crashed,
    /// The same while nothing listens where the audit cluster was.
    CrashedInOutage,
}

/// The callbacks that trap: when a stream has ended, and when one begins.
pub const TRAPS: [&str; 2] = ["log", "headers"];

/// How long the audit cluster that is restarted is away, and how long it is there.
const RESTART: (Duration, Duration) = (Duration::from_millis(200), Duration::from_millis(800));

impl Fault {
    /// Lets it happen, and heals it after `span` where it can be healed.
    pub async fn happen(&self, stage: &mut Stage, load: &Load, span: Duration) {
        match self {
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
            Self::Drained => {
                stage.mesh.envoy.admin_post("/drain_listeners?graceful").await;
                sleep(span).await;
            }
            Self::Killed => {
                sleep(span).await;
                stage.kill().await;
            }
            Self::Crashed => crash(stage, span).await,
            Self::CrashedInOutage => {
                stage.mesh.sink.down().await;
                sleep(span / 2).await;
                crash(stage, span / 2).await;
                stage.mesh.sink.up().await;
            }
            Self::None | Self::Refuses(..) => sleep(span).await,
        }
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
    let Held::Listeners(listeners) = &stage.held else { panic!("the listeners come from a file") };
    listeners.update(&json!({"service": "updated"}));
    sleep(span).await;
    load.redirect(stage.mesh.envoy.listener("http").await);
}

/// Traps, and waits until the load has made Envoy build the VM anew.
async fn crash(stage: &Stage, span: Duration) {
    for (reloads, callback) in (1..).zip(TRAPS) {
        stage.mesh.get("/check", &[("x-audit-crash-for-tests", callback)]).await;
        sleep(span / TRAPS.len() as u32).await;
        stage.wait_for_reloads(reloads).await;
    }
}
