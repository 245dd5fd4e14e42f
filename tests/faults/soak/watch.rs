//! Observes one life of Envoy: its memory, its statistics, and when its buffer was last empty.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use testkit::envoy::process::{Envoy, stats};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::memory::Memory;

const PERIOD: Duration = Duration::from_millis(250);
/// Interval between printed lines.
const LINE: Duration = Duration::from_secs(30);
/// Selected statistics: the filter's and those about its VMs.
pub const FILTER: &str = "audit_filter%7Cvm_reload";

/// Observations.
#[derive(Clone, Default)]
pub struct Seen {
    /// Number of the life, from 1.
    pub life: usize,
    pub memory: Memory,
    pub stats: BTreeMap<String, u64>,
    /// Time at which these were requested.
    pub asked: Option<Instant>,
}

/// Observations of the current life.
pub type Shared = Arc<Mutex<Seen>>;

/// Ends when dropped.
pub struct Watch(JoinHandle<()>);

impl Watch {
    /// Starts with empty observations.
    pub fn start(envoy: &Envoy, life: usize, seen: Shared) -> Self {
        *seen.lock().unwrap() = Seen {
            life,
            ..Seen::default()
        };

        let (admin, pid) = (envoy.admin(), envoy.pid());
        Self(tokio::spawn(async move {
            loop {
                let asked = Instant::now();
                // Envoy may be gone.
                let stats = stats(admin, FILTER).await.unwrap_or_default();
                seen.lock().unwrap().note(pid, asked, stats);
                sleep(PERIOD).await;
            }
        }))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Seen {
    fn note(&mut self, pid: u32, asked: Instant, stats: BTreeMap<String, u64>) {
        self.memory.sample(pid);
        if !stats.is_empty() {
            (self.stats, self.asked) = (stats, Some(asked));
        }
    }

    pub fn stat(&self, name: &str) -> u64 {
        self.stats.get(name).copied().unwrap_or_default()
    }

    /// Dropped records, for any reason.
    pub fn dropped(&self) -> u64 {
        let dropped = self
            .stats
            .iter()
            .filter(|(name, _)| name.starts_with("records.dropped"));
        dropped.map(|(_, count)| count).sum()
    }
}

/// Prints a line at each interval, with the number of `stored` records.
pub async fn print_lines(seen: Shared, stored: impl Fn() -> usize) {
    let start = Instant::now();
    loop {
        sleep(LINE).await;
        let seen = seen.lock().unwrap().clone();
        println!(
            "{:>5} s, life {}: captured {}, acknowledged {}, dropped {}, held {}, stored {}, RSS {} MiB",
            start.elapsed().as_secs(),
            seen.life,
            seen.stat("records.captured"),
            seen.stat("records.acknowledged"),
            seen.dropped(),
            seen.stat("buffer.records"),
            stored(),
            seen.memory.last(),
        );
    }
}
