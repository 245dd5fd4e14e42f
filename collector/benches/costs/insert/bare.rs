//! The least cost of storing such rows: a loop over prepared rows on one connection. Its separate
//! database has the collector's schema, indexes and durability.

use std::time::Duration;

use audit_collector::db::{Connection, open};
use audit_collector::ledger::store::encoder::Encoder;
use testkit::now;

use crate::rows::Rows;

/// A bare loop.
pub struct Bare {
    connection: Box<dyn Connection>,
    encoder: Encoder,
}

impl Bare {
    /// A loop that inserts into the new database at `url`.
    pub fn new(url: &str) -> Self {
        Self {
            connection: open(url).unwrap().database.connect().unwrap(),
            encoder: Encoder::default(),
        }
    }

    /// Stores each batch in one transaction, and returns how long all of them took.
    pub fn round(&mut self, batches: &[Rows]) -> Duration {
        let start = now();
        for rows in batches {
            self.connection.begin_write().unwrap();
            rows.store(&mut *self.connection, &mut self.encoder);
            self.connection.commit().unwrap();
        }
        start.elapsed()
    }
}
