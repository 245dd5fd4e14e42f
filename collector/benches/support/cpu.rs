//! CPU time as the scheduler accounts it, in nanoseconds.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, thread};

/// How long a process must be quiet to count as idle, and the CPU time below which it is quiet. The
/// collector runs background tasks every 250 ms.
const QUIET: Duration = Duration::from_millis(300);
const QUIET_NANOS: u64 = 6_000_000;

/// CPU time of all threads of a process that still exist.
pub fn of_process(id: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).expect("the process runs, on Linux");
    tasks.map(|task| read(&task.unwrap().path())).sum()
}

/// CPU time of this thread.
pub fn of_this_thread() -> u64 {
    read(Path::new("/proc/thread-self"))
}

/// The first field of `schedstat`; 0 for a thread that has just ended.
fn read(task: &Path) -> u64 {
    let text = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

/// Waits until a process is idle, and returns how long it was busy.
pub fn settle(id: u32) -> Duration {
    let start = Instant::now();
    loop {
        let before = of_process(id);
        thread::sleep(QUIET);
        if of_process(id).saturating_sub(before) < QUIET_NANOS {
            return start.elapsed() - QUIET;
        }
    }
}
