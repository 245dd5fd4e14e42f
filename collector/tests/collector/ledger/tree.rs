//! The Merkle tree: checkpoints sign the root over all rows, also after retention, and `verify` names
//! what was changed in it.

use std::time::Duration;

use audit_collector::db::Cell;
use audit_collector::ledger::chain::Hash;
use audit_collector::ledger::checkpoint::Checkpoint;
use audit_collector::ledger::entry::Entry;
use audit_collector::ledger::retention::{Hold, Policy};
use audit_collector::ledger::tree::{Peaks, leaf};
use audit_collector::ledger::verify::Fault;
use serde_json::json;

use crate::ledger::fixture::{Fixture, NOW, SECOND, entries, entry_at, eventually, rows};
use crate::ledger::on_both;

on_both![
    each_checkpoint_has_the_root_of_the_rows_before_it,
    roots_of_later_rows_are_right_after_rows_were_deleted,
    rows_can_be_deleted_before_they_are_in_the_tree,
    rows_on_hold_stay_in_the_tree,
    a_changed_tree_is_named,
    a_changed_root_is_named,
    a_changed_node_of_deleted_rows_makes_the_next_root_wrong,
    no_root_is_signed_over_a_missing_row,
    no_root_is_signed_over_a_changed_tree,
    a_checkpoint_without_a_root_is_checked_by_its_hash,
];

const DAY: i64 = 24 * 3600 * SECOND;

/// When the rows of [`entries`] have expired.
pub(super) fn later() -> i64 {
    NOW + 100 * DAY
}

/// Rows that are kept then.
pub(super) fn late(range: std::ops::Range<i64>) -> Vec<Entry> {
    let late = |number| entry_at(later(), &format!("aud_{number}"), number, &[]);
    range.map(late).collect()
}

pub(super) fn policy(holds: Vec<Hold>) -> Policy {
    Policy {
        retain: Duration::from_secs(3600),
        holds,
        export: None,
    }
}

/// Appends rows, and closes the ledger, which makes a checkpoint.
pub(super) async fn append(fixture: &Fixture, entries: Vec<Entry>) {
    let ledger = fixture.ledger().await;
    ledger.append(entries).await.unwrap();
    ledger.close().await.unwrap();
}

/// Deletes what has expired, until this many rows are left.
pub(super) async fn expire(fixture: &Fixture, holds: Vec<Hold>, left: usize) {
    let ledger = fixture.ledger_with_retention(policy(holds), later).await;
    eventually(async || rows(&ledger).await.len() == left).await;
    ledger.close().await.unwrap();
}

/// The hashes of all rows.
async fn hashes(fixture: &Fixture) -> Vec<Hash> {
    let ledger = fixture.ledger().await;
    let hashes = rows(&ledger).await.iter().map(|row| row.hash).collect();
    ledger.close().await.unwrap();
    hashes
}

fn root(rows: &[Hash]) -> Option<Hash> {
    let mut peaks = Peaks::default();
    for row in rows {
        peaks.push(0, leaf(row), &mut |_| {});
    }
    peaks.root()
}

/// Each checkpoint has the root of so many of these rows.
#[track_caller]
fn assert_roots(checkpoints: &[Checkpoint], rows: &[Hash]) {
    for checkpoint in checkpoints {
        let size = usize::try_from(checkpoint.head.position).unwrap();
        assert_eq!(checkpoint.root, root(&rows[..size]), "{size}");
        assert!(checkpoint.root.is_some());
    }
}

async fn each_checkpoint_has_the_root_of_the_rows_before_it(fixture: Fixture) {
    let sizes = [1, 2, 255, 256, 257, 511, 512, 700, 1024];
    let mut before = 0;
    for size in sizes {
        append(&fixture, entries(before..size)).await;
        before = size;
    }

    let checkpoints = fixture.checkpoints().await;
    let positions: Vec<_> = checkpoints
        .iter()
        .map(|found| found.head.position)
        .collect();
    assert_eq!(positions, sizes);
    assert_roots(&checkpoints, &hashes(&fixture).await);
    assert_eq!(fixture.count("SELECT COUNT(*) FROM tree").await, 4);
    assert!(fixture.verify().await.is_sound());
}

async fn roots_of_later_rows_are_right_after_rows_were_deleted(fixture: Fixture) {
    append(&fixture, entries(0..700)).await;
    let mut all = hashes(&fixture).await;

    // Among the deleted rows are two whole blocks and a part of a third one.
    expire(&fixture, Vec::new(), 0).await;
    assert!(fixture.verify().await.is_sound());
    append(&fixture, late(700..701)).await;
    append(&fixture, late(701..1100)).await;
    all.extend(hashes(&fixture).await);

    assert_eq!(all.len(), 1100);
    assert_roots(&fixture.checkpoints().await, &all);
    let found = fixture.verify().await;
    assert!(found.is_sound(), "{found:?}");
    assert_eq!((found.rows, found.deleted_rows), (400, 700));
}

async fn rows_can_be_deleted_before_they_are_in_the_tree(fixture: Fixture) {
    let ledger = fixture
        .ledger_with_retention(policy(Vec::new()), later)
        .await;
    ledger.append(entries(0..600)).await.unwrap();
    eventually(async || rows(&ledger).await.is_empty()).await;
    ledger.append(late(600..650)).await.unwrap();
    assert!(fixture.checkpoints().await.is_empty());
    assert!(fixture.verify().await.is_sound());
    ledger.close().await.unwrap();

    // The same rows, of which none was deleted.
    let other = Fixture::sqlite();
    append(&other, entries(0..600)).await;
    append(&other, late(600..650)).await;
    assert_roots(&fixture.checkpoints().await, &hashes(&other).await);
    let found = fixture.verify().await;
    assert!(found.is_sound(), "{found:?}");
    let low = "SELECT COUNT(*) FROM tree WHERE level < 8 AND last_position <= 512";
    assert_eq!(fixture.count(low).await, 0);
}

async fn rows_on_hold_stay_in_the_tree(fixture: Fixture) {
    // Each one is a cut of its own, and each cut has a signature, which takes long in a test.
    let is_held = |number: i64| number % 3 == 1 && number < 30 || number % 97 == 5;
    let case = |number| if is_held(number) { "held" } else { "other" };
    let tagged = |number| {
        let tag = [("audit.tag.case", json!(case(number)))];
        entry_at(NOW, &format!("aud_{number}"), number, &tag)
    };
    let held = (0..600).filter(|number| is_held(*number)).count();
    append(&fixture, (0..600).map(tagged).collect()).await;
    let mut all = hashes(&fixture).await;

    let hold = Hold {
        tag: "case".to_owned(),
        value: Some("held".to_owned()),
    };
    expire(&fixture, vec![hold], held).await;
    assert!(fixture.verify().await.is_sound());
    append(&fixture, late(600..650)).await;
    assert!(fixture.verify().await.is_sound());

    // The hold is lifted: of whole blocks, only their own nodes stay.
    expire(&fixture, Vec::new(), 50).await;
    append(&fixture, late(650..800)).await;
    all.extend(hashes(&fixture).await);
    assert_roots(&fixture.checkpoints().await, &all);
    let found = fixture.verify().await;
    assert!(found.is_sound(), "{found:?}");
    let low = "SELECT COUNT(*) FROM tree WHERE level < 8 AND last_position <= 512";
    assert_eq!(fixture.count(low).await, 0);
}

/// What is changed, and the node that is named.
const CHANGES: [(&str, (i64, i64)); 9] = [
    (
        "UPDATE tree SET hash = (SELECT hash FROM head) WHERE level = 8 AND last_position = 512",
        (257, 512),
    ),
    (
        "DELETE FROM tree WHERE level = 8 AND last_position = 512",
        (257, 512),
    ),
    ("DELETE FROM tree WHERE level = 8", (1, 256)),
    ("INSERT INTO tree SELECT 3, 640, hash FROM head", (633, 640)),
    ("INSERT INTO tree SELECT 7, 512, hash FROM head", (385, 512)),
    ("INSERT INTO tree SELECT 9, 512, hash FROM head", (512, 512)),
    (
        "INSERT INTO tree SELECT 8, 1024, hash FROM head",
        (1024, 1024),
    ),
    ("INSERT INTO tree SELECT 8, 0, hash FROM head", (0, 0)),
    (
        "UPDATE tree SET level = 16 WHERE last_position = 512",
        (257, 512),
    ),
];

async fn a_changed_tree_is_named(fixture: Fixture) {
    append(&fixture, entries(0..700)).await;
    for (change, (first_position, last_position)) in CHANGES {
        fixture
            .change("CREATE TABLE kept AS SELECT * FROM tree")
            .await;
        assert!(fixture.change(change).await > 0, "{change}");
        let named = Fault::Tree {
            first_position,
            last_position,
        };
        let found = fixture.verify().await;
        assert!(
            found.faults.contains(&named),
            "{change}: {:?}",
            found.faults
        );
        assert!(
            found
                .faults
                .iter()
                .all(|fault| matches!(fault, Fault::Tree { .. })),
            "{change}: {:?}",
            found.faults
        );

        for back in [
            "DELETE FROM tree",
            "INSERT INTO tree SELECT * FROM kept",
            "DROP TABLE kept",
        ] {
            fixture.change(back).await;
        }
        assert!(fixture.verify().await.is_sound(), "{change}");
    }

    let shorten = "UPDATE tree SET hash = $1 WHERE last_position = 256";
    fixture
        .with(move |connection| connection.execute(shorten, &[Cell::Bytes(&[0])]))
        .await;
    let block = Fault::Tree {
        first_position: 1,
        last_position: 256,
    };
    assert_eq!(fixture.verify().await.faults, [block]);
}

async fn a_changed_root_is_named(fixture: Fixture) {
    for range in [0..300, 300..400, 400..500] {
        append(&fixture, entries(range)).await;
    }
    let change = "UPDATE checkpoints SET root = (SELECT hash FROM head) WHERE position = 400";
    fixture.change(change).await;
    let key_id = fixture.key().id().to_owned();
    let signature = Fault::Signature {
        position: 400,
        key_id,
    };
    let root = Fault::Root { position: 400 };
    assert_eq!(fixture.verify().await.faults, [signature, root]);
}

async fn a_changed_node_of_deleted_rows_makes_the_next_root_wrong(fixture: Fixture) {
    append(&fixture, entries(0..300)).await;
    expire(&fixture, Vec::new(), 0).await;
    append(&fixture, late(300..400)).await;
    append(&fixture, late(400..450)).await;
    assert!(fixture.verify().await.is_sound());

    // The first block has no other evidence left than the signed roots.
    let change = "UPDATE tree SET hash = (SELECT hash FROM head) WHERE last_position = 256";
    fixture.change(change).await;
    let root = Fault::Root { position: 300 };
    assert_eq!(fixture.verify().await.faults, [root]);

    fixture.change("DELETE FROM tree WHERE level = 8").await;
    let lost = Fault::Tree {
        first_position: 1,
        last_position: 300,
    };
    assert_eq!(fixture.verify().await.faults, [lost]);
}

/// Whether the last checkpoint has a root.
async fn is_rooted(fixture: &Fixture) -> bool {
    let checkpoints = fixture.checkpoints().await;
    checkpoints.last().unwrap().root.is_some()
}

async fn no_root_is_signed_over_a_missing_row(fixture: Fixture) {
    append(&fixture, entries(0..10)).await;
    fixture
        .change("DELETE FROM records WHERE position = 4")
        .await;
    append(&fixture, entries(10..400)).await;
    assert!(!is_rooted(&fixture).await);

    let missing = Fault::Missing {
        first_position: 4,
        last_position: 4,
    };
    assert_eq!(fixture.verify().await.faults, [missing]);
}

async fn no_root_is_signed_over_a_changed_tree(fixture: Fixture) {
    append(&fixture, entries(0..600)).await;
    let block = "UPDATE tree SET hash = (SELECT hash FROM head) WHERE last_position = 256";
    fixture.change(block).await;
    append(&fixture, entries(600..700)).await;
    assert!(!is_rooted(&fixture).await);

    // Nothing was deleted, so the tree can be made anew.
    fixture.change("DELETE FROM tree").await;
    append(&fixture, entries(700..800)).await;
    assert!(is_rooted(&fixture).await);
    assert!(fixture.verify().await.is_sound());
}

async fn a_checkpoint_without_a_root_is_checked_by_its_hash(fixture: Fixture) {
    append(&fixture, entries(0..10)).await;
    let made = fixture.checkpoints().await.remove(0);
    let old = Checkpoint::sign(made.head, None, made.made_at, &fixture.key());
    let (version, rest) = old
        .statement()
        .split_once('\n')
        .map(|(v, r)| (v.to_owned(), r.to_owned()))
        .unwrap();
    assert_eq!(
        (version.as_str(), rest.lines().count()),
        ("audit-checkpoint-v1", 4)
    );
    assert!(fixture.verify_with(vec![old.clone()]).await.is_sound());

    let mut other = old;
    other.head.hash = [7; 32];
    let faults = fixture.verify_with(vec![other]).await.faults;
    assert!(
        faults.contains(&Fault::Checkpoint { position: 10 }),
        "{faults:?}"
    );
}

#[tokio::test]
async fn a_tree_of_more_than_one_kept_level_is_right() {
    let fixture = Fixture::sqlite();
    let ledger = fixture.ledger().await;
    for first in (0..70_000).step_by(5000) {
        ledger.append(entries(first..first + 5000)).await.unwrap();
    }
    ledger.close().await.unwrap();
    append(&fixture, entries(70_000..70_001)).await;

    let checkpoints = fixture.checkpoints().await;
    let last = checkpoints.len() - 2;
    assert_roots(&checkpoints[last..], &hashes(&fixture).await);
    let low = fixture.count("SELECT COUNT(*) FROM tree WHERE level = 8");
    let high = fixture.count("SELECT COUNT(*) FROM tree WHERE level = 16");
    assert_eq!((low.await, high.await), (70_000 / 256, 1));
    assert!(fixture.verify().await.is_sound());
}
