//! The rows that the collector makes of a batch.

use audit_collector::db::Connection;
use audit_collector::ledger::chain::{Hasher, Head};
use audit_collector::ledger::entry::{Entry, Skew};
use audit_collector::ledger::store::encoder::Encoder;
use audit_collector::otlp::decode_json;

/// Entries with their places in the chain.
pub struct Rows {
    before: Head,
    placed: Vec<(Head, Entry)>,
}

impl Rows {
    /// The rows of the batch with this body after `head`, which moves to the last of them.
    pub fn follow(head: &mut Head, body: &[u8]) -> Self {
        let (mut hasher, before) = (Hasher::default(), *head);
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

        Self {
            placed: placed.collect(),
            before,
        }
    }

    /// Stores them within the transaction that `connection` is in.
    pub fn store(&self, connection: &mut dyn Connection, encoder: &mut Encoder) {
        let rows: Vec<_> = self
            .placed
            .iter()
            .map(|(place, entry)| (*place, entry))
            .collect();
        encoder.store(connection, self.before, &rows).unwrap();
    }
}
