//! The last line of `audit-collector verify`: a ledger that no signature proves is not called sound
//! alone.

use tempfile::TempDir;

use crate::common::{batch, database_url, record};
use crate::process::{Program, command};

/// Exit code and output.
fn verify(directory: &TempDir, flags: &[&str]) -> (Option<i32>, String) {
    let mut verify = command(&["verify", "--database", &database_url(directory)]);
    let output = verify.args(flags).output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn a_ledger_without_a_checkpoint_is_not_called_sound_alone() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    let (code, text) = verify(&directory, &[]);
    let empty = "sound, but EMPTY: it has no row and no checkpoint\n";
    assert!(code == Some(0) && text.ends_with(empty), "{text}");

    program.post(&batch(&[record("aud_1", &[])]));
    let (code, text) = verify(&directory, &[]);
    let unsigned = "sound, but UNSIGNED: it has no checkpoint\n";
    assert!(code == Some(0) && text.ends_with(unsigned), "{text}");
    assert!(
        text.contains("rows after the last checkpoint: 1\n"),
        "{text}"
    );

    program.signal("TERM");
    assert_eq!(program.exit_code(), Some(0));
    let (code, text) = verify(&directory, &[]);
    assert!(code == Some(0) && text.ends_with("\nsound\n"), "{text}");
    assert!(
        text.contains("rows after the last checkpoint: 0\n"),
        "{text}"
    );
}
