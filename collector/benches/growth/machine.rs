//! On what a run was measured.

use std::fs;
use std::process::Command;

use testkit::collector::binary;

use crate::options::Options;

/// Prints processor, kernel, and versions. Those of servers come from the caller.
pub fn print(options: &Options, servers: &[String]) {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model
        .unwrap_or_default()
        .trim_start_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();

    println!(
        "{model}, {cores} cores, Linux {}, load at the end {}",
        kernel.trim(),
        load.trim()
    );
    let programs = [Some(binary()), options.against.clone()];
    for program in programs.into_iter().flatten() {
        let output = Command::new(&program).arg("--version").output().unwrap();
        let version = String::from_utf8_lossy(&output.stdout);
        println!("{}: {}", program.display(), version.trim());
    }
    println!("SQLite {}", rusqlite::version());
    for server in servers {
        println!("{server}");
    }
}
