//! Plays the rows on one Envoy, concurrently, and compares the records.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use testkit::{Record, now};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::client::{self, agent};
use crate::expect::Cells;
use crate::row::{Row, Table};
use crate::stage::Stage;

/// Number of rows that are played at the same time.
const AT_ONCE: usize = 16;
/// A row without a result by then is left without the client's view.
const ROW_DEADLINE: Duration = Duration::from_secs(15);
/// Longest delay of records after all requests are sent.
const RECORDS_DEADLINE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// The result of a row.
pub struct Played {
    pub row: usize,
    pub client: String,
    pub records: Vec<Record>,
}

impl Played {
    pub fn cells(&self) -> Cells {
        Cells::of(&self.records)
    }

    /// All deviations from the row's expectations.
    pub fn breaches(&self, row: &Row) -> Vec<String> {
        let mut breaches = Vec::new();
        if self.client != row.client {
            breaches.push(format!(
                "the client got {:?}, not {:?}",
                self.client, row.client
            ));
        }

        if self.cells() != row.expected {
            let expected = row.expected.columns().join(" | ");
            breaches.push(format!("the record should be {expected}"));
        }

        if let Some(record) = self.records.last() {
            breaches.extend(
                row.attributes
                    .iter()
                    .filter_map(|attribute| attribute.breach(record, self.row)),
            );
        }

        breaches
    }
}

/// Plays these rows on this version of Envoy.
pub async fn all(version: &str, table: &Arc<Table>, rows: &[usize]) -> Vec<Played> {
    let stage = Arc::new(Stage::set(version, &table.orders).await);
    let clients = play(&stage, table, rows).await;
    let markers = stage.send_markers(&table.orders).await;
    let records = settle(&stage, table, rows, &markers).await;

    let reloads = stage.reloads().await;
    assert!(
        reloads.values().all(|count| *count == 0),
        "a VM has crashed: {}",
        stage.log()
    );

    let played = |row: &usize| Played {
        row: *row,
        client: clients[row].clone(),
        records: records.get(&agent(*row)).cloned().unwrap_or_default(),
    };
    rows.iter().map(played).collect()
}

/// Yields each client's result.
async fn play(stage: &Arc<Stage>, table: &Arc<Table>, rows: &[usize]) -> BTreeMap<usize, String> {
    let (mut playing, permits) = (JoinSet::new(), Arc::new(Semaphore::new(AT_ONCE)));
    for index in rows.iter().copied() {
        let (stage, table, permits) = (Arc::clone(stage), Arc::clone(table), Arc::clone(&permits));
        playing.spawn(async move {
            let _permit = permits.acquire_owned().await;
            let row = &table.rows[index];
            let playing = client::play(&stage, stage.listener(row.order), index, &row.traffic);
            let client = tokio::time::timeout(ROW_DEADLINE, playing).await;
            (
                index,
                client.unwrap_or_else(|_| "nothing in time".to_owned()),
            )
        });
    }

    playing.join_all().await.into_iter().collect()
}

/// The records by user agent, as soon as all have arrived, or at the deadline.
async fn settle(
    stage: &Stage,
    table: &Table,
    rows: &[usize],
    markers: &[String],
) -> BTreeMap<String, Vec<Record>> {
    let end = now() + RECORDS_DEADLINE;
    loop {
        let records = by_agent(stage.sink.exchanges());
        let count = |agent: &str| records.get(agent).map_or(0, Vec::len);
        let is_whole = rows
            .iter()
            .all(|row| count(&agent(*row)) >= table.rows[*row].expected.records);
        let is_marked = markers.iter().all(|marker| count(marker) >= 1);
        if (is_whole && is_marked) || now() >= end {
            return records;
        }
        tokio::time::sleep(POLL).await;
    }
}

fn by_agent(records: Vec<Record>) -> BTreeMap<String, Vec<Record>> {
    let mut map: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for record in records {
        map.entry(record.text("user_agent.original"))
            .or_default()
            .push(record);
    }
    map
}
