//! CPU time as the scheduler accounts it, in nanoseconds, and the cores that a process may use.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use crate::now;

/// Envoy's core, and the core of everything else.
const CORES: [u32; 2] = [0, 1];
/// How long a process must be quiet to count as idle, and the CPU time below which it is quiet. The
/// collector runs background tasks every 250 ms.
const QUIET: Duration = Duration::from_millis(300);
const QUIET_NANOS: u64 = 6_000_000;

/// The fields of `schedstat` (Linux, `Documentation/scheduler/sched-stats.rst`).
const RAN: usize = 0;
const WAITED: usize = 1;

/// CPU time of all threads of a process that still exist. Exact for threads that are not running.
pub fn of_process(id: u32) -> u64 {
    sum(id, RAN)
}

/// CPU time of this thread.
pub fn of_this_thread() -> u64 {
    read(Path::new("/proc/thread-self"), RAN)
}

/// The time for which threads of a process could run and had no core.
pub fn waiting_of_process(id: u32) -> u64 {
    sum(id, WAITED)
}

/// The time for which this thread could run and had no core.
pub fn waiting_of_this_thread() -> u64 {
    read(Path::new("/proc/thread-self"), WAITED)
}

fn sum(id: u32, field: usize) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).expect("the process runs, on Linux");
    tasks.map(|task| read(&task.unwrap().path(), field)).sum()
}

/// A field of `schedstat`; 0 for a thread that has just ended.
fn read(task: &Path, field: usize) -> u64 {
    let text = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    text.split(' ')
        .nth(field)
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

/// Waits until a process is idle, and returns how long it was busy.
pub fn settle(id: u32) -> Duration {
    let start = now();
    loop {
        let before = of_process(id);
        thread::sleep(QUIET);
        if of_process(id).saturating_sub(before) < QUIET_NANOS {
            return start.elapsed() - QUIET;
        }
    }
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
