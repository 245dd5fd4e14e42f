//! A database that was set back or replaced under a running collector, such as by a restore or by a
//! failover to a server that lags.

use audit_collector::ledger::Ledger;

use crate::ledger::fixture::{Fixture, entries, rows};
use crate::ledger::on_both;

on_both![
    a_ledger_that_was_set_back_takes_nothing,
    another_row_at_the_end_is_seen,
    rows_of_another_collector_continue_the_chain,
];

async fn assert_refuses(ledger: &Ledger) {
    let refused = ledger.append(entries(20..21)).await.unwrap_err();
    assert!(
        refused.to_string().contains("set back or replaced"),
        "{refused}"
    );
    assert!(ledger.check().await.is_err());
    assert!(ledger.append(Vec::new()).await.is_err(), "also a replay");
}

async fn a_ledger_that_was_set_back_takes_nothing(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    ledger.append(entries(0..10)).await.unwrap();
    ledger.check().await.unwrap();
    for change in [
        "DELETE FROM records WHERE position > 7",
        "UPDATE head SET position = 7, hash = (SELECT hash FROM records WHERE position = 7)",
    ] {
        fixture.change(change).await;
    }
    assert_refuses(&ledger).await;

    ledger.close().await.unwrap();
    let restarted = fixture.ledger().await;
    restarted.append(entries(5..10)).await.unwrap();
    restarted.check().await.unwrap();
    assert_eq!(rows(&restarted).await.len(), 10);
}

async fn another_row_at_the_end_is_seen(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    ledger.append(entries(0..10)).await.unwrap();
    for change in [
        "UPDATE records SET hash = (SELECT hash FROM records WHERE position = 1) WHERE position = 10",
        "UPDATE head SET position = 11",
    ] {
        fixture.change(change).await;
    }
    assert_refuses(&ledger).await;
}

async fn rows_of_another_collector_continue_the_chain(fixture: Fixture) {
    let (one, other) = (fixture.ledger().await, fixture.ledger().await);
    one.append(entries(0..5)).await.unwrap();
    other.append(entries(5..10)).await.unwrap();
    one.append(entries(10..12)).await.unwrap();
    one.check().await.unwrap();
    other.check().await.unwrap();
    assert!(fixture.verify().await.is_sound());
}
