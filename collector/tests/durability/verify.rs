//! `audit-collector verify` on the stored records.

use std::process::{Command, Stdio};

use testkit::collector::{binary, directory};

/// Runs `audit-collector verify`, as an operator does after a crash: the chain must hold.
pub(crate) fn verify(database: &str) {
    let mut command = Command::new(binary());
    command
        .args(["verify", "--database", database])
        .current_dir(directory())
        .stdin(Stdio::null());

    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}
