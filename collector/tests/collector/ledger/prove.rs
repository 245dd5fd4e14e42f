//! `audit-collector prove`: every record has a proof, also after retention, and one line names why
//! there is none.

use audit_collector::ledger::chain::{Hash, Hasher};
use audit_collector::ledger::checkpoint::Checkpoint;
use audit_collector::ledger::proof::{Proof, ProofError, prove};
use audit_collector::ledger::retention::Hold;
use audit_collector::ledger::tree::{leaf, root_of_path};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{batch, record};
use crate::ledger::fixture::{Fixture, NOW, blocking, entries, entry_at, eventually, rows};
use crate::ledger::on_both;
use crate::ledger::tree::{append, expire, late};
use crate::process::{Program, command};

on_both![
    every_record_is_proved_by_each_checkpoint_after_it,
    a_record_is_proved_after_others_were_deleted,
    a_record_on_hold_is_proved_though_checkpoints_around_it_are_not,
    one_line_names_why_there_is_no_proof,
    nothing_is_proved_by_a_damaged_ledger,
    a_record_whose_line_lacks_something_is_not_proved,
];

async fn proof(fixture: &Fixture, uid: String, at: Option<i64>) -> Result<Proof, String> {
    let proof = fixture.with(move |connection| Ok(prove(connection, &uid, at)));
    proof.await.map_err(|error: ProofError| error.to_string())
}

fn hash(digits: &str) -> Hash {
    hex::decode(digits).unwrap().try_into().unwrap()
}

/// Asserts that the proof leads from the row to the signed root.
async fn assert_proved(fixture: &Fixture, uid: &str, at: Option<i64>) -> i64 {
    let proof = proof(fixture, uid.to_owned(), at).await.unwrap();
    let line: Value = serde_json::from_str(&proof.record).unwrap();
    assert_eq!(line["log.record.uid"], uid);
    assert_eq!(line["position"], proof.position);

    let checkpoint = Checkpoint::try_from(proof.checkpoint).unwrap();
    assert!(checkpoint.is_signed_by(&fixture.key().public()));
    let size = checkpoint.head.position;
    let path: Vec<_> = proof.path.iter().map(|digits| hash(digits)).collect();
    let row = hash(line["hash"].as_str().unwrap());
    let root = root_of_path(proof.position, size, leaf(&row), &path);
    assert_eq!(root, checkpoint.root, "{uid} at {size}");
    size
}

async fn every_record_is_proved_by_each_checkpoint_after_it(fixture: Fixture) {
    for range in [0..1, 1..40, 40..300, 300..520] {
        append(&fixture, entries(range)).await;
    }

    for number in [0, 1, 38, 39, 40, 255, 256, 299, 300, 511, 519] {
        let uid = format!("aud_{number}");
        let after = [1, 40, 300, 520].into_iter().filter(|at| *at > number);
        let first = assert_proved(&fixture, &uid, None).await;
        for at in after {
            assert!(first <= at);
            assert_eq!(assert_proved(&fixture, &uid, Some(at)).await, at);
        }
    }
}

async fn a_record_is_proved_after_others_were_deleted(fixture: Fixture) {
    append(&fixture, entries(0..600)).await;
    expire(&fixture, Vec::new(), 0).await;
    append(&fixture, late(600..610)).await;
    append(&fixture, late(610..1100)).await;

    assert_eq!(assert_proved(&fixture, "aud_600", None).await, 610);
    assert_eq!(assert_proved(&fixture, "aud_600", Some(1100)).await, 1100);
    assert_eq!(assert_proved(&fixture, "aud_1099", None).await, 1100);

    // The row before the first one is known from the cut.
    let first = proof(&fixture, "aud_600".to_owned(), None).await.unwrap();
    let ledger = fixture.ledger().await;
    let row = rows(&ledger).await.remove(0);
    let before = hash(&first.hash_before);
    let cells = row.entry.cells();
    assert_eq!(Hasher::default().row(&before, 601, cells), row.hash);
}

async fn a_record_on_hold_is_proved_though_checkpoints_around_it_are_not(fixture: Fixture) {
    let hold = Hold {
        tag: "case".to_owned(),
        value: None,
    };
    let held = entry_at(NOW, "aud_100", 100, &[("audit.tag.case", json!("4711"))]);
    let mut first = entries(0..100);
    first.push(held);
    append(&fixture, first).await;
    append(&fixture, entries(101..300)).await;
    append(&fixture, entries(300..600)).await;
    expire(&fixture, vec![hold], 1).await;
    append(&fixture, late(600..800)).await;

    // Its own block has a row, the two after it have none.
    assert_eq!(assert_proved(&fixture, "aud_100", None).await, 101);
    assert_eq!(assert_proved(&fixture, "aud_100", Some(600)).await, 600);
    assert_eq!(assert_proved(&fixture, "aud_100", Some(800)).await, 800);
    let error = proof(&fixture, "aud_100".to_owned(), Some(300))
        .await
        .unwrap_err();
    assert!(error.contains("deleted rows 102 to 600"), "{error}");

    fixture
        .change("DELETE FROM checkpoints WHERE position = 101")
        .await;
    assert_eq!(assert_proved(&fixture, "aud_100", None).await, 600);
}

/// Exit code, output and errors of the command.
async fn run(fixture: &Fixture, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = command(&["prove", "--database", &fixture.url]);
    command.args(arguments);
    let output = blocking(move || command.output().unwrap()).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

async fn one_line_names_why_there_is_no_proof(fixture: Fixture) {
    append(&fixture, entries(0..10)).await;
    let (code, text, _) = run(&fixture, &["aud_3"]).await;
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &document["position"]), (Some(0), &json!(4)));
    assert_eq!(document["kind"], "audit-proof-v1");

    let sign = |connection: &mut dyn audit_collector::db::Connection| {
        connection.execute(
            "INSERT INTO checkpoints (position, key_id, hash, made_at_unix_nano, signature, root) \
                SELECT 7, key_id, hash, 1, signature, NULL FROM checkpoints",
            &[],
        )
    };
    fixture.with(sign).await;
    for (arguments, error) in [
        (&["aud_x"][..], "no record has the uid \"aud_x\""),
        (
            &["aud_3", "--checkpoint", "9"],
            "there is no checkpoint at row 9",
        ),
        (
            &["aud_3", "--checkpoint", "7"],
            "the checkpoint at row 7 has no root",
        ),
    ] {
        let (code, text, found) = run(&fixture, arguments).await;
        assert_eq!((code, text.as_str()), (Some(2), ""), "{found}");
        assert_eq!(found, format!("audit-collector: {error}\n"));
    }

    expire(&fixture, Vec::new(), 0).await;
    append(&fixture, late(10..12)).await;
    let error = proof(&fixture, "aud_3".to_owned(), None).await.unwrap_err();
    let cut = "; retention has deleted rows, the latest 1 to 10, and their uids with them";
    assert_eq!(error, format!("no record has the uid \"aud_3\"{cut}"));
    let error = proof(&fixture, "aud_11".to_owned(), Some(10))
        .await
        .unwrap_err();
    assert_eq!(
        error,
        "the record is row 12, behind the checkpoint at row 10"
    );

    let ledger = fixture.ledger().await;
    ledger.append(late(12..13)).await.unwrap();
    let error = proof(&fixture, "aud_12".to_owned(), None)
        .await
        .unwrap_err();
    assert_eq!(
        error,
        "the record is row 13, and no checkpoint with a root covers it yet"
    );
}

async fn nothing_is_proved_by_a_damaged_ledger(fixture: Fixture) {
    append(&fixture, entries(0..600)).await;
    for change in [
        "UPDATE records SET observed_time_unix_nano = 7 WHERE position = 300",
        "UPDATE records SET hash = (SELECT hash FROM head) WHERE position = 299",
        "UPDATE records SET hash = (SELECT hash FROM head) WHERE position = 301",
        "UPDATE tree SET hash = (SELECT hash FROM head) WHERE last_position = 256",
        "DELETE FROM tree WHERE last_position = 256",
        "DELETE FROM records WHERE position = 299",
        "DELETE FROM records WHERE position = 310",
        "UPDATE checkpoints SET root = (SELECT hash FROM head)",
    ] {
        let error = fixture
            .with(move |connection| {
                connection.begin_write()?;
                assert!(connection.execute(change, &[])? > 0, "{change}");
                let error = prove(connection, "aud_299", None).unwrap_err();
                connection.rollback();
                Ok(error.to_string())
            })
            .await;
        let damaged = "row 300 does not lead to the root at row 600: verify the ledger";
        assert_eq!(error, damaged, "{change}");
    }
    assert_proved(&fixture, "aud_299", None).await;
}

async fn a_record_whose_line_lacks_something_is_not_proved(fixture: Fixture) {
    let odd = [
        ("body", json!("hidden")),
        ("flags", json!("hidden")),
        ("nul", json!("a\0b")),
    ];
    let odd = (0..).zip(odd).map(|(number, (name, value))| {
        let attribute = [(name, value)];
        entry_at(NOW, &format!("aud_{number}"), number, &attribute)
    });
    append(&fixture, odd.collect()).await;
    for number in 0..3 {
        let error = proof(&fixture, format!("aud_{number}"), None)
            .await
            .unwrap_err();
        let position = number + 1;
        let start = format!("row {position} cannot be proved by its line");
        assert!(error.starts_with(&start), "{error}");
    }
}

#[tokio::test]
async fn a_kill_between_checkpoints_leaves_a_tree_that_goes_on() {
    let directory = TempDir::new().unwrap();
    let flags = ["--checkpoint-records", "300"];
    let url = format!("sqlite://{}", directory.path().join("audit.db").display());
    let prove = |uid: &str| {
        command(&["prove", "--database", &url, uid])
            .output()
            .unwrap()
    };

    for first in [0, 1000, 2000] {
        let program = Program::start_on(&url, &flags);
        let post = |range: std::ops::Range<i32>| {
            let records: Vec<_> = range
                .map(|number| record(&format!("aud_{number}"), &[]))
                .collect();
            assert_eq!(program.post(&batch(&records)).0, 200);
        };

        post(first..first + 700);
        eventually(async || prove(&format!("aud_{}", first + 699)).status.success()).await;
        // These are in no checkpoint when the program ends.
        post(first + 700..first + 900);
        program.signal("KILL");
        program.exit_code();
        let unproved = prove(&format!("aud_{}", first + 899));
        let error = String::from_utf8(unproved.stderr).unwrap();
        assert!(
            error.contains("no checkpoint with a root covers it yet"),
            "{error}"
        );
    }

    let program = Program::start_on(&url, &flags);
    program.signal("TERM");
    assert_eq!(program.exit_code(), Some(0));
    for number in [0, 899, 1000, 1899, 2899] {
        assert!(prove(&format!("aud_{number}")).status.success(), "{number}");
    }
    let verify = command(&["verify", "--database", &url]).output().unwrap();
    let text = String::from_utf8(verify.stdout).unwrap();
    assert!(verify.status.success(), "{text}");
}
