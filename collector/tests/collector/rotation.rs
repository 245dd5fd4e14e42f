//! Tokens and certificates that are replaced while the program runs.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use crate::common::{batch, record};
use crate::process::{DEADLINE, Program, answer};
use crate::tls::{Authority, start, write};

/// Waits until `holds` returns true.
#[track_caller]
fn eventually(what: &str, holds: impl Fn() -> bool) {
    const POLL: Duration = Duration::from_millis(50);
    for _ in 0..DEADLINE.div_duration_f64(POLL) as u32 {
        if holds() {
            return;
        }
        sleep(POLL);
    }
    panic!("{what}");
}

fn token_file(directory: &TempDir, text: &str) -> PathBuf {
    let path = directory.path().join("token");
    fs::write(&path, text).unwrap();
    path
}

fn status_with(program: &Program, token: &str) -> u16 {
    let body = batch(&[record("aud_1", &[])]);
    let mut stream = program.connect();
    let head = format!(
        "host: c\r\nconnection: close\r\nauthorization: Bearer {token}\r\ncontent-type: application/json"
    );
    write!(
        stream,
        "POST /v1/logs HTTP/1.1\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();

    answer(stream).0
}

#[test]
fn tokens_overlap_and_are_read_anew() {
    let directory = TempDir::new().unwrap();
    let file = token_file(&directory, "old\n");
    let program = Program::start(&directory, &["--ingest-token-file", file.to_str().unwrap()]);
    assert_eq!(
        (status_with(&program, "old"), status_with(&program, "new")),
        (200, 401)
    );

    fs::write(&file, "new\nold\n").unwrap();
    eventually("the new token counts", || {
        status_with(&program, "new") == 200
    });
    assert_eq!(
        status_with(&program, "old"),
        200,
        "and the old one still does"
    );

    fs::write(&file, "new\n").unwrap();
    eventually("the old token is gone", || {
        status_with(&program, "old") == 401
    });
    assert_eq!(status_with(&program, "new"), 200);
}

/// The kubelet replaces a Secret this way: the mounted files are links into a directory. The
/// directory is a link, which changes in one step.
#[test]
fn a_file_behind_a_link_is_read_anew() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name);
    for (generation, token) in [("1", "old"), ("2", "new")] {
        fs::create_dir(path(generation)).unwrap();
        fs::write(path(generation).join("token"), token).unwrap();
    }

    std::os::unix::fs::symlink("1", path("data")).unwrap();
    let file = path("data").join("token");
    let program = Program::start(&directory, &["--ingest-token-file", file.to_str().unwrap()]);
    assert_eq!(status_with(&program, "old"), 200);

    std::os::unix::fs::symlink("2", path("next")).unwrap();
    fs::rename(path("next"), path("data")).unwrap();
    program.signal("HUP");
    eventually("the new token counts", || {
        status_with(&program, "new") == 200
    });
    assert_eq!(status_with(&program, "old"), 401);
}

#[test]
fn what_cannot_be_used_changes_nothing() {
    let directory = TempDir::new().unwrap();
    let file = token_file(&directory, "good\n");
    let program = Program::start(&directory, &["--ingest-token-file", file.to_str().unwrap()]);
    for bad in ["", "a b\n"] {
        fs::write(&file, bad).unwrap();
        program.signal("HUP");
        assert_eq!(status_with(&program, "good"), 200, "{bad:?}");
        assert_eq!(status_with(&program, ""), 401, "{bad:?}");
    }

    fs::remove_file(&file).unwrap();
    program.signal("HUP");
    assert_eq!(status_with(&program, "good"), 200);

    fs::write(&file, "better\n").unwrap();
    eventually("the next token counts", || {
        status_with(&program, "better") == 200
    });
}

/// Whether a client that trusts this authority for the server's certificate gets an answer.
fn is_served(program: &Program, authority: &Authority, clients: Option<&Authority>) -> bool {
    let identity = clients.map(Authority::issue);
    let mut stream = crate::tls::connect(
        program,
        authority.client(identity.as_ref(), crate::tls::LATEST),
    );
    let sent = write!(
        stream,
        "GET /healthz HTTP/1.1\r\nhost: c\r\nconnection: close\r\n\r\n"
    );
    let mut text = String::new();
    sent.is_ok() && stream.read_to_string(&mut text).is_ok() && text.starts_with("HTTP/1.1 200")
}

#[test]
fn certificates_and_authorities_are_read_anew() {
    let directory = TempDir::new().unwrap();
    let [old, new, clients, others] = [(); 4].map(|()| Authority::new());
    let program = start(&directory, &old, Some(&clients));
    assert!(is_served(&program, &old, Some(&clients)) && !is_served(&program, &old, Some(&others)));

    let identity = new.issue();
    let replace = |directory: &Path, name: &str, text: &str| drop(write(directory, name, text));
    replace(directory.path(), "certificate.pem", &identity.pem);
    program.signal("HUP");
    assert!(
        is_served(&program, &old, Some(&clients)),
        "a certificate without its key changes nothing"
    );

    replace(directory.path(), "key.pem", &identity.key.serialize_pem());
    eventually("the new certificate is used", || {
        is_served(&program, &new, Some(&clients))
    });
    assert!(!is_served(&program, &old, Some(&clients)));

    replace(directory.path(), "clients.pem", &others.0.pem());
    eventually("the new authority counts", || {
        is_served(&program, &new, Some(&others))
    });
    assert!(!is_served(&program, &new, Some(&clients)));
}
