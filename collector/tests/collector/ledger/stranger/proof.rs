//! The proof of one record convinces a reader with the page alone, and a change anywhere in it does
//! not.

use std::fs;

use serde_json::{Value, json};

use super::{Case, PACKAGES, assert_named, filled, python};
use crate::ledger::fixture::{Fixture, entries};
use crate::ledger::tree::append;
use crate::process::command;

/// The proof of a record, as `prove` prints it.
fn proof(fixture: &Fixture, arguments: &[&str]) -> Value {
    let mut command = command(&["prove", "--database", &fixture.url]);
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What the page finds in a document.
fn check(case: &Case, document: &Value) -> super::Outcome {
    let file = case.file("proof.json");
    fs::write(&file, document.to_string()).unwrap();
    case.by_page(&["--proof", &file.display().to_string()])
}

/// The same digits with another first one.
fn flipped(digits: &Value) -> Value {
    let digits = digits.as_str().unwrap();
    let other = if digits.starts_with('0') { "1" } else { "0" };
    [other, digits.get(1..).unwrap()].concat().into()
}

/// What a sound proof comes to: without the package nothing is proved.
fn proved() -> (Option<i32>, &'static str) {
    match PACKAGES.is_some() {
        true => (Some(0), "\nPROVED: the record is this row"),
        false => (Some(2), "\nNOT PROVED: the signature is not checked"),
    }
}

#[track_caller]
fn assert_proved(found: &super::Outcome) {
    let (code, text) = proved();
    assert!(found.0 == code && found.1.contains(text), "{}", found.1);
}

async fn five_hundred() -> Fixture {
    let fixture = Fixture::sqlite();
    for range in [0..100, 100..300, 300..500] {
        append(&fixture, entries(range)).await;
    }
    fixture
}

#[tokio::test]
async fn each_record_is_proved() {
    let fixture = five_hundred().await;
    let case = Case::of(&fixture).await;
    for number in [0, 1, 99, 100, 255, 256, 299, 300, 499] {
        let uid = format!("aud_{number}");
        let found = check(&case, &proof(&fixture, &[&uid]));
        assert_proved(&found);
        let line = format!(
            "record: {uid}, row {}, received 2027-01-15T08:00:00Z",
            number + 1
        );
        assert!(found.1.starts_with(&line), "{}", found.1);
        assert_proved(&check(
            &case,
            &proof(&fixture, &[&uid, "--checkpoint", "500"]),
        ));
    }

    // After retention, too.
    let fixture = filled().await;
    let case = Case::of(&fixture).await;
    for uid in ["aud_10", "aud_15", "aud_16", "aud_19"] {
        assert_proved(&check(&case, &proof(&fixture, &[uid])));
    }
}

#[tokio::test]
async fn a_change_of_each_part_is_named() {
    let fixture = five_hundred().await;
    let case = Case::of(&fixture).await;
    let sound = proof(&fixture, &["aud_41", "--checkpoint", "300"]);
    assert_proved(&check(&case, &sound));

    let record = sound["record"].as_str().unwrap();
    let named = |change: Value, line: &str| {
        let mut document = sound.clone();
        for (pointer, value) in change.as_object().unwrap() {
            *document.pointer_mut(pointer).unwrap() = value.clone();
        }
        assert_named(&check(&case, &document), line, &change.to_string());
    };

    let line: Value = serde_json::from_str(record).unwrap();
    let hash = line["hash"].as_str().unwrap();
    let other_hash = flipped(&line["hash"]);
    for (from, to) in [
        ("GET /check", "GET /other"),
        ("\"aud_41\"", "\"aud_42\""),
        ("\"severity_number\":9", "\"severity_number\":10"),
        (
            "\"received_at_unix_nano\":\"1",
            "\"received_at_unix_nano\":\"2",
        ),
        (hash, other_hash.as_str().unwrap()),
    ] {
        let changed = record.replacen(from, to, 1);
        assert_ne!(changed, record, "{from}");
        let line = "proof 42 record: does not match its hash (";
        named(json!({"/record": changed}), line);
    }

    let moved = record.replace("\"position\":42", "\"position\":43");
    named(
        json!({"/record": moved}),
        "proof 43 position: differs from that of the record",
    );
    named(
        json!({"/position": 43}),
        "proof 42 position: differs from that of the record",
    );
    let moved = json!({"/record": moved, "/position": 43});
    named(moved, "proof 43 record: does not match its hash");

    let path = "proof 42 path: does not lead to the root of the checkpoint at 300";
    named(
        json!({"/hash_before": flipped(&sound["hash_before"])}),
        "proof 42 record: does not",
    );
    for index in 0..sound["path"].as_array().unwrap().len() {
        let pointer = format!("/path/{index}");
        named(
            json!({&pointer: flipped(sound.pointer(&pointer).unwrap())}),
            path,
        );
    }
    named(json!({"/path": []}), path);
    let root = flipped(&sound["checkpoint"]["root"]);
    named(json!({"/checkpoint/root": root}), path);
    named(
        json!({"/checkpoint/position": 10_000}),
        "proof 42 path: does not lead",
    );
    named(
        json!({"/checkpoint/position": 0}),
        "proof 42 path: does not lead",
    );

    if PACKAGES.is_some() {
        let signature = "proof 42 signature: not of a trusted key";
        for part in ["hash", "root", "signature"] {
            let pointer = format!("/checkpoint/{part}");
            named(
                json!({&pointer: flipped(&sound["checkpoint"][part])}),
                signature,
            );
        }
        named(json!({"/checkpoint/made_at_unix_nano": "7"}), signature);
        named(json!({"/checkpoint/key_id": "another"}), signature);
        named(json!({"/checkpoint/position": 301}), signature);
    }
}

#[tokio::test]
async fn a_proof_of_another_checkpoint_or_record_leads_nowhere() {
    let fixture = five_hundred().await;
    let case = Case::of(&fixture).await;
    let sound = proof(&fixture, &["aud_41"]);
    let other = proof(&fixture, &["aud_42"]);
    let mut mixed = sound.clone();
    mixed["path"] = other["path"].clone();
    assert_named(
        &check(&case, &mixed),
        "proof 42 path: does not lead",
        "path",
    );
    let mut mixed = sound;
    mixed["checkpoint"] = proof(&fixture, &["aud_41", "--checkpoint", "500"])["checkpoint"].clone();
    assert_named(
        &check(&case, &mixed),
        "proof 42 path: does not lead",
        "checkpoint",
    );
}

#[tokio::test]
async fn a_checkpoint_that_was_kept_proves_without_a_key() {
    let fixture = five_hundred().await;
    let case = Case::of(&fixture).await;
    let write = |name: &str, content: Vec<u8>| {
        fs::write(case.file(name), content).unwrap();
        case.file(name).display().to_string()
    };
    let checkpoints = command(&["checkpoints", "--database", &fixture.url]).output();
    let kept = write("kept.ndjson", checkpoints.unwrap().stdout);
    let document = proof(&fixture, &["aud_41", "--checkpoint", "300"]);
    let file = write("proof.json", document.to_string().into_bytes());

    let found = super::outcome(python(None).args(["--proof", &file]));
    assert_eq!(found.0, Some(2), "{}", found.1);
    assert!(
        found.1.contains("not checked without --public-key"),
        "{}",
        found.1
    );
    let found = super::outcome(python(None).args(["--proof", &file, "--checkpoints", &kept]));
    assert!(
        found.0 == Some(0) && found.1.contains("\nPROVED"),
        "{}",
        found.1
    );

    let lines = fs::read_to_string(&kept).unwrap();
    let first = lines.lines().next().unwrap().as_bytes().to_vec();
    let others = write("others.ndjson", first);
    let found = super::outcome(python(None).args(["--proof", &file, "--checkpoints", &others]));
    let line = "proof 42 checkpoint: is not one of those kept elsewhere";
    assert_named(&found, line, "another");
}

#[tokio::test]
async fn what_is_no_proof_is_not_read() {
    let fixture = five_hundred().await;
    let case = Case::of(&fixture).await;
    let sound = proof(&fixture, &["aud_41"]);
    for (pointer, value) in [
        ("/kind", json!("audit-proof-v2")),
        ("/record", json!("{}")),
        ("/record", json!("no line")),
        ("/record", Value::Null),
        ("/path", json!("00")),
        ("/path/0", json!("xx")),
        ("/hash_before", Value::Null),
        ("/checkpoint", json!([])),
        ("/checkpoint/root", json!("00")),
        ("/checkpoint/position", json!("300")),
        ("/checkpoint/made_at_unix_nano", json!("soon")),
    ] {
        let mut document = sound.clone();
        *document.pointer_mut(pointer).unwrap() = value.clone();
        let found = check(&case, &document);
        assert_eq!(found.0, Some(2), "{pointer} {value}: {}", found.1);
        assert!(found.1.starts_with("cannot be read: "), "{}", found.1);
    }

    let file = case.file("proof.json").display().to_string();
    let both = super::outcome(python(None).args([&file, "--proof", &file]));
    assert_eq!(both.0, Some(2), "{}", both.1);
}
