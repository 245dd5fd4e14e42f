//! Memory of Envoy's process during one life.

use std::time::Duration;

use tokio::time::Instant;

/// A process that has just started is still growing.
const WARM_UP: Duration = Duration::from_secs(10);
/// Fewer samples prove nothing.
const MIN_SAMPLES: usize = 30;

/// Resident memory, sampled.
#[derive(Clone, Default)]
pub struct Memory {
    samples: Vec<(Instant, u64)>,
}

impl Memory {
    /// Samples a process, if it exists.
    pub fn sample(&mut self, pid: u32) {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        self.samples.extend(kib.map(|kib| (Instant::now(), kib)));
    }

    /// The last sample, in MiB.
    pub fn last(&self) -> u64 {
        self.samples.last().map_or(0, |(_, kib)| kib / 1024)
    }

    /// Medians of the first and of the last third after the warm-up, in MiB.
    pub fn thirds(&self) -> Option<(u64, u64)> {
        let start = self.samples.first()?.0 + WARM_UP;
        let warm: Vec<u64> = self
            .samples
            .iter()
            .filter(|(at, _)| *at >= start)
            .map(|(_, kib)| *kib)
            .collect();
        let third = warm.len() / 3;

        (warm.len() >= MIN_SAMPLES)
            .then(|| (median(&warm[..third]), median(&warm[warm.len() - third..])))
    }
}

fn median(kib: &[u64]) -> u64 {
    let mut sorted = kib.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2] / 1024
}
