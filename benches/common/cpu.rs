//! CPU time of a process as the scheduler accounts it, and on which core it may run.

use std::fs;
use std::process::{Command, Stdio};

/// Envoy's core, and the one of everything else.
const CORES: [u32; 2] = [0, 1];

/// CPU time that all threads of a process have had, in nanoseconds. Exact for threads that do not run now.
pub fn nanos(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs, on Linux");
    tasks
        .map(|task| {
            task_nanos(&fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap())
        })
        .sum()
}

/// The first field of `schedstat`.
fn task_nanos(schedstat: &str) -> u64 {
    schedstat
        .split(' ')
        .next()
        .and_then(|digits| digits.parse().ok())
        .expect("schedstat starts with nanoseconds")
}

/// Keeps all Envoys on one core and this process on another, and says whether that could be had.
pub fn part(envoys: impl IntoIterator<Item = u32>) -> String {
    let [core, rest] = CORES;
    if envoys.into_iter().all(|envoy| pin(envoy, core)) && pin(std::process::id(), rest) {
        format!("Envoy on core {core}, load on core {rest}")
    } else {
        "Envoy and load not pinned to cores".to_owned()
    }
}

/// Keeps every thread of a process on one core; false where that cannot be had.
fn pin(pid: u32, core: u32) -> bool {
    let (pid, core) = (pid.to_string(), core.to_string());
    let mut command = Command::new("taskset");
    command
        .args(["--all-tasks", "--cpu-list", "--pid", &core, &pid])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
