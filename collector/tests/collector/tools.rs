//! Programs and packages that tests use when they can be had.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A file of the tests with foreign tools.
pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/analyse")
        .join(name)
}

/// The directory of Python packages. Without them one line names what is skipped.
pub(crate) fn packages(name: &str) -> Option<PathBuf> {
    let script = Command::new(file("get-tool.sh"))
        .arg(name)
        .output()
        .unwrap();
    if !script.status.success() {
        let error = String::from_utf8_lossy(&script.stderr);
        let last = error.lines().last().unwrap_or_default();
        note_skipped(name, last);
        return None;
    }

    let path = String::from_utf8(script.stdout).unwrap();
    Some(PathBuf::from(path.trim_end()))
}

/// Whether a program is installed. Without it one line names what is skipped.
pub(crate) fn has_program(name: &str) -> bool {
    let found = Command::new(name)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !found {
        note_skipped(name, "it is not installed");
    }
    found
}

/// Not by a macro, since the test's output is not shown when it succeeds.
fn note_skipped(name: &str, reason: &str) {
    let _ = writeln!(
        std::io::stderr(),
        "skipped: what is checked with {name} ({reason})"
    );
}

/// What the command prints. It must succeed.
pub(crate) fn printed(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let errors = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {errors}");
    String::from_utf8(stdout).unwrap()
}
