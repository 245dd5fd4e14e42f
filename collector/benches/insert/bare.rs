//! The least that anything costs which stores such rows: a loop over prepared rows on one connection.

use std::time::{Duration, Instant};

use audit_collector::record::Record;
use rusqlite::{Connection, params};

const SCHEMA: &str = include_str!("../../migrations/sqlite/0001_records.sql");

const INSERT: &str = "INSERT INTO records (uid, received_at_unix_nano, time_unix_nano, observed_time_unix_nano, \
    severity_number, event_name, stream_id, batch_id, sequence_number, service_name, rule, action, outcome, user_id, \
    session_id, trace_id, span_id, body, attributes) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (uid) DO NOTHING";

/// A table like the collector's in a database of its own, with the same durability.
pub trait Bare {
    /// Stores each batch in one transaction, and returns how long all of them took.
    fn round(&mut self, batches: &[Vec<Row>]) -> Duration;
}

/// A record and the text of its attributes, which is not made while time is taken.
pub struct Row {
    record: Record,
    attributes: String,
}

impl Row {
    pub fn new(record: Record) -> Self {
        let attributes = serde_json::to_string(&record.content.attributes).unwrap();
        Self { record, attributes }
    }
}

pub struct Sqlite(Connection);

impl Sqlite {
    pub fn create(file: &std::path::Path) -> Self {
        let connection = Connection::open(file).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;").unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        Self(connection)
    }

    fn insert(&mut self, rows: &[Row]) {
        let transaction = self.0.transaction().unwrap();
        let mut statement = transaction.prepare_cached(INSERT).unwrap();
        for Row { record, attributes } in rows {
            let content = &record.content;
            let values = params![
                record.uid,
                content.time_unix_nano,
                content.time_unix_nano,
                content.observed_time_unix_nano,
                content.severity_number,
                content.event_name,
                content.text("audit.stream.id"),
                content.text("audit.batch.id"),
                content.integer("audit.sequence.number"),
                content.text("service.name"),
                content.text("audit.rule"),
                content.text("audit.action"),
                content.text("audit.outcome"),
                content.text("user.id"),
                content.text("session.id"),
                content.trace_id,
                content.span_id,
                content.body,
                attributes,
            ];
            assert_eq!(statement.execute(values).unwrap(), 1);
        }
        drop(statement);
        transaction.commit().unwrap();
    }
}

impl Bare for Sqlite {
    fn round(&mut self, batches: &[Vec<Row>]) -> Duration {
        let start = Instant::now();
        batches.iter().for_each(|rows| self.insert(rows));
        start.elapsed()
    }
}
