//! The soak: trouble of every kind in an order from a seed, on one mesh under load, for a given
//! time.
//!
//! The time is divided into lives of Envoy. In each one the load continues while the audit
//! cluster's weather changes, the configuration is updated and VMs crash. Lives end in different
//! ways. Then the clients' answers are joined with the stored records and the numbers in Envoy's
//! log, as in the rows of the matrix.

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
/// An update sets a new environment variable, so that Envoy makes a new VM.
pub const NEW_VM: &str = "new-vm";
/// A VM crashes while it still has a replaced configuration. That configuration's records are in
/// shared data, and no root context of the new VM is its successor.
pub const CRASH_WHILE_DRAINING: &str = "crash-while-draining";

/// Shortest and longest life. The stored records of a life stay in memory until they are counted.
/// Only the last life may be longer than a quarter of the soak.
const MIN_LIFE: Duration = Duration::from_secs(20);
const MAX_LIFE: Duration = Duration::from_secs(300);

/// Runs the soak and prints the results. True: every law held.
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
