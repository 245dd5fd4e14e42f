//! The soak: trouble of every kind, in an order that a seed gives, on one mesh under load for as long as the caller says.
//!
//! The time is divided into lives of Envoy. In each one the load goes on while the audit cluster's weather changes, the
//! configuration is updated and VMs crash; each ends in its own way. Then the clients' answers are joined with what the
//! audit cluster has kept and what Envoy's log names, as in the rows of the matrix.

mod diary;
mod life;
mod memory;
mod report;
mod scene;
mod watch;
mod weather;

use std::time::Duration;

use tokio::time::Instant;

use crate::args::Soak;
use life::{Ending, Life};
use scene::Scene;

/// Kinds of trouble that come only with `--also NAME`.
pub const ON_DEMAND: [&str; 2] = [NEW_VM, CRASH_WHILE_DRAINING];
/// An update gives the VM a new environment variable, so that Envoy makes a new VM for it.
pub const NEW_VM: &str = "new-vm";
/// A VM crashes while it still holds a configuration that was replaced. What that one held is in shared data, and no root of
/// the new VM is its successor.
pub const CRASH_WHILE_DRAINING: &str = "crash-while-draining";

/// Shortest life, and longest one: what the audit cluster has kept in a life is kept in memory until it is counted. No life
/// but the last is longer than a quarter of the soak.
const MIN_LIFE: Duration = Duration::from_secs(20);
const MAX_LIFE: Duration = Duration::from_secs(300);

/// Runs the soak and prints what it has shown. True: every law held.
pub async fn run(soak: &Soak) -> Result<bool, String> {
    if let Some(unknown) = soak
        .also
        .iter()
        .find(|name| !ON_DEMAND.contains(&name.as_str()))
    {
        return Err(format!(
            "--also {unknown} is not known; known are {}",
            ON_DEMAND.join(", ")
        ));
    }

    let mut rng = fastrand::Rng::with_seed(soak.seed);
    let mut scene = Scene::set(soak).await;
    let end = Instant::now() + soak.length;
    let lines = tokio::spawn(watch::print_lines(scene.seen.clone(), scene.stored_count()));
    let mut lives: Vec<Life> = Vec::new();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let span = soak
            .length
            .mul_f64(rng.f64() / 4.0)
            .clamp(MIN_LIFE, MAX_LIFE);
        let is_last = left < span + MIN_LIFE;
        let (span, ending) = if is_last {
            (left, Ending::Drained)
        } else {
            (span, Ending::any(&mut rng))
        };
        lives.push(Life::lead(&mut scene, &mut rng.fork(), span, ending).await);
        if is_last {
            lines.abort();
            return Ok(report::print(soak, &lives, &scene.diary));
        }
        scene.restart(&mut rng).await;
    }
}
