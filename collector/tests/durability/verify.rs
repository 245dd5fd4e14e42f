//! The collector's own proof of what it has stored.

use std::process::{Command, Stdio};

use crate::support::program::BINARY;

/// Whether the program has the subcommand.
const EXISTS: bool = false;

/// Runs `audit-collector verify`, as one does after a crash: the chain must hold.
pub(crate) fn verify(database: &str) {
    if !EXISTS {
        return;
    }
    let output = Command::new(BINARY).args(["verify", "--database", database]).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}
