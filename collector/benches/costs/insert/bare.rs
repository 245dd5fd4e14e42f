//! The least cost of storing such rows: a loop over prepared cells on one connection. Its separate
//! database has the collector's schema, indexes and durability.

use std::time::Duration;

use audit_collector::db::sqlite::insert_text;
use audit_collector::db::{Cell, Connection, open};
use audit_collector::ledger::entry::RECORDS;
use testkit::now;

/// How the rows of a batch are inserted.
#[derive(Clone, Copy)]
pub enum Way {
    /// As the collector's driver inserts many rows: a prepared INSERT in SQLite, COPY in
    /// PostgreSQL.
    Batch,
    /// By a prepared INSERT for each row, also in PostgreSQL.
    Single,
}

/// A bare loop.
pub struct Bare {
    pub name: &'static str,
    connection: Box<dyn Connection>,
    way: Way,
    single: String,
}

impl Bare {
    /// A loop that inserts into the new database at `url`.
    pub fn new(name: &'static str, way: Way, url: &str) -> Self {
        let connection = open(url).unwrap().database.connect().unwrap();
        Self {
            name,
            connection,
            way,
            single: insert_text(&RECORDS),
        }
    }

    /// Stores each batch in one transaction, and returns how long all of them took.
    pub fn round(&mut self, batches: &[Vec<Cell<'_>>]) -> Duration {
        let start = now();
        for cells in batches {
            self.connection.begin_write().unwrap();
            self.insert(cells);
            self.connection.commit().unwrap();
        }
        start.elapsed()
    }

    fn insert(&mut self, cells: &[Cell<'_>]) {
        match self.way {
            Way::Batch => self.connection.insert(&RECORDS, cells).unwrap(),
            Way::Single => {
                for row in cells.chunks(RECORDS.columns.len()) {
                    assert_eq!(self.connection.execute(&self.single, row).unwrap(), 1);
                }
            }
        }
    }
}
