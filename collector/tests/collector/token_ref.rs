//! The command `token-ref`: the line it prints, and its refusals, which contain no secret.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const SHORT_KEY: &str = "0123456789abcdef0123456789abcde";
const TOKEN: &[u8] = b"s3cr3t-token";
/// `printf s3cr3t-token | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef`
const HMAC: &str =
    "hmac-sha256:2026-08:0ea892ea17498776be5226513dbdd420bc2a52ebacae77c5b422b13443cbe3b4\n";
/// `printf s3cr3t-token | sha256sum`
const SHA256: &str = "sha256:fb07916a0e7daf7f3f4823b7773f85a839a8dd46fbf3858b8f53d3fa463c8ef3\n";

/// Exit code, stdout, stderr.
type Ending = (Option<i32>, String, String);

fn token_ref(flags: &[&str], variables: &[(&str, &str)], stdin: &[u8]) -> Ending {
    let mut child = Command::new(env!("CARGO_BIN_EXE_audit-collector"))
        .arg("token-ref")
        .args(flags)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();

    // Fails if the program has already rejected its flags.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    (
        status.code(),
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    )
}

fn printed(line: &str) -> Ending {
    (Some(0), line.to_owned(), String::new())
}

fn refused(sentence: &str) -> Ending {
    (
        Some(2),
        String::new(),
        format!("audit-collector: token-ref: {sentence}\n"),
    )
}

const KEY_ID: [&str; 2] = ["--key-id", "2026-08"];

#[test]
fn a_reference_is_computed_by_the_key_of_the_environment() {
    assert_eq!(
        token_ref(&KEY_ID, &[("AUDIT_HMAC_KEY", KEY)], TOKEN),
        printed(HMAC)
    );

    let flags = [
        "--mode",
        "hmac",
        "--key-env",
        "OTHER",
        "--key-id",
        "2026-08",
    ];

    let variables = [
        ("OTHER", KEY),
        ("AUDIT_HMAC_KEY", "another key of thirty-two bytes or more"),
    ];
    assert_eq!(token_ref(&flags, &variables, TOKEN), printed(HMAC));
}

#[test]
fn a_reference_is_computed_by_the_key_of_a_file() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("key");
    let flags = ["--key-id", "2026-08", "--key-file", path.to_str().unwrap()];
    let variables = [("AUDIT_HMAC_KEY", "another key of thirty-two bytes or more")];
    for text in [KEY.to_owned(), format!("{KEY}\n")] {
        fs::write(&path, text).unwrap();
        assert_eq!(token_ref(&flags, &variables, TOKEN), printed(HMAC));
    }

    fs::write(&path, format!("{KEY}\n\n")).unwrap();
    let (code, reference, _) = token_ref(&flags, &[], TOKEN);
    assert!(
        code == Some(0) && reference != HMAC,
        "only one newline does not count"
    );
}

#[test]
fn a_hash_needs_no_key() {
    assert_eq!(
        token_ref(&["--mode", "sha256"], &[], TOKEN),
        printed(SHA256)
    );
}

#[test]
fn one_newline_behind_the_token_does_not_count() {
    let with = |end: &[u8]| token_ref(&["--mode", "sha256"], &[], &[TOKEN, end].concat()).1;
    assert_eq!(with(b"\n"), SHA256);
    for end in [b"\n\n".as_slice(), b" ", b"\r\n", b"\n "] {
        assert_ne!(with(end), SHA256, "{end:?}");
    }
}

#[test]
fn a_missing_or_short_key_is_refused() {
    let no_variable = "--key-env: there is no such environment variable";
    assert_eq!(token_ref(&KEY_ID, &[], TOKEN), refused(no_variable));
    // The value of the flag was given in place of the key.
    assert_eq!(
        token_ref(&["--key-id", "2026-08", "--key-env", KEY], &[], TOKEN),
        refused(no_variable)
    );

    let short = "the key has 31 bytes, and must have at least 32";
    assert_eq!(
        token_ref(&KEY_ID, &[("AUDIT_HMAC_KEY", SHORT_KEY)], TOKEN),
        refused(short)
    );

    let no_id = "--key-id is missing; it is the id of a key in the filter's session.hmac_keys";
    assert_eq!(
        token_ref(&[], &[("AUDIT_HMAC_KEY", KEY)], TOKEN),
        refused(no_id)
    );
}

#[test]
fn a_key_file_that_is_missing_or_short_is_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("key");
    let flags = ["--key-id", "2026-08", "--key-file", path.to_str().unwrap()];
    let variables = [("AUDIT_HMAC_KEY", KEY)];
    let missing = "--key-file: No such file or directory (os error 2)";
    assert_eq!(token_ref(&flags, &variables, TOKEN), refused(missing));

    fs::write(&path, format!("{SHORT_KEY}\n")).unwrap();
    assert_eq!(
        token_ref(&flags, &variables, TOKEN),
        refused("the key has 31 bytes, and must have at least 32")
    );
}

#[test]
fn a_token_is_read_from_stdin_only() {
    for end in ["", "\n"] {
        assert_eq!(
            token_ref(&["--mode", "sha256"], &[], end.as_bytes()),
            refused("stdin: there is no token")
        );
    }

    let sentence = "the token is read from stdin, not from the command line";
    assert_eq!(
        token_ref(&["--mode", "sha256", "s3cr3t-token"], &[], b""),
        refused(sentence)
    );
}

#[test]
fn flags_that_cannot_be_used_are_refused() {
    // A file that would be valid as a key.
    let two_keys = [
        "--key-id",
        "2026-08",
        "--key-env",
        "AUDIT_HMAC_KEY",
        "--key-file",
        "Cargo.toml",
    ];

    for flags in [
        &two_keys[..],
        &["--mode", "clear"],
        &["--mode", "omit"],
        &["--listen", "127.0.0.1:0"],
    ] {
        let (code, stdout, _) = token_ref(flags, &[("AUDIT_HMAC_KEY", KEY)], TOKEN);
        assert_eq!((code, stdout), (Some(2), String::new()), "{flags:?}");
    }
}
