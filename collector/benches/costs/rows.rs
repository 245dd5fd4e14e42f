//! The rows that the collector makes of a batch.

use audit_collector::db::Cell;
use audit_collector::ledger::chain::{Hasher, Head};
use audit_collector::ledger::entry::{Entry, RECORDS, Skew};
use audit_collector::otlp::decode_json;

/// Entries with their places in the chain.
pub struct Rows(Vec<(Head, Entry)>);

impl Rows {
    /// The rows of the batch with this body after `head`, which moves to the last of them.
    pub fn follow(head: &mut Head, body: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        let placed = decode_json(body).unwrap().into_iter().map(|record| {
            let received_at = record.content.time_unix_nano;
            let entry = Entry::new(record, received_at, Skew::default());
            let position = head.position + 1;
            *head = Head {
                position,
                hash: hasher.row(&head.hash, position, entry.cells()),
            };
            (*head, entry)
        });

        Self(placed.collect())
    }

    pub fn cells(&self) -> Vec<Cell<'_>> {
        let mut cells = Vec::with_capacity(self.0.len() * RECORDS.columns.len());
        for (place, entry) in &self.0 {
            cells.extend([Cell::Integer(place.position), Cell::Bytes(&place.hash)]);
            cells.extend(entry.cells());
        }
        cells
    }
}
