//! CPU time as the scheduler accounts it, in nanoseconds.

use std::fs;
use std::path::Path;

/// What all threads of a process have had that are still there.
pub fn of_process(id: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).expect("the process runs, on Linux");
    tasks.map(|task| read(&task.unwrap().path())).sum()
}

/// What this thread has had.
pub fn of_this_thread() -> u64 {
    read(Path::new("/proc/thread-self"))
}

/// The first field of `schedstat`; 0 for a thread that has just ended.
fn read(task: &Path) -> u64 {
    let text = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    text.split(' ').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
