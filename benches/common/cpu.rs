//! CPU time of a process as accounted by the scheduler, and the cores that it may use.

use std::fs;
use std::process::{Command, Stdio};

/// Envoy's core, and the core of everything else.
const CORES: [u32; 2] = [0, 1];

/// CPU time of all threads of a process, in nanoseconds. Exact for threads that are not running.
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

/// Pins all Envoys to one core and this process to another; returns a description of the result.
pub fn part(envoys: impl IntoIterator<Item = u32>) -> String {
    let [core, rest] = CORES;
    if envoys.into_iter().all(|envoy| pin(envoy, core)) && pin(std::process::id(), rest) {
        format!("Envoy on core {core}, load on core {rest}")
    } else {
        "Envoy and load not pinned to cores".to_owned()
    }
}

/// Pins every thread of a process to one core; false where that fails.
fn pin(pid: u32, core: u32) -> bool {
    let (pid, core) = (pid.to_string(), core.to_string());
    let mut command = Command::new("taskset");
    command
        .args(["--all-tasks", "--cpu-list", "--pid", &core, &pid])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
