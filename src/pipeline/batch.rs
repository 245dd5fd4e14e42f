//! A batch: its id, its bytes, and the records in them. Bytes and id never change between attempts.

use std::ops::Range;
use std::time::Duration;

use uuid::Uuid;

use super::buffer::Encoded;
use super::lane::Lane;
use super::room::room;
use super::trial::Trial;
use crate::record::Loss;
use crate::wire::{Encoder, Origin};

/// Records that are sent together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// `audit.batch.id`, and the idempotency key.
    pub id: Uuid,
    /// The stream of its records.
    pub origin: Origin,
    /// How far the stream had come when its records were sealed.
    pub progress: Progress,
    /// Its lane.
    pub lane: Lane,
    /// The journal's cell that holds a copy of it.
    pub cell: Option<usize>,
    /// Attempts so far.
    pub attempts: u64,
    /// Not to be sent before this moment.
    pub not_before: Duration,
    /// The evidence of its failures.
    pub trial: Trial,
    /// Whether it was cut from a larger batch.
    pub is_piece: bool,
    /// The journal's room, then the body.
    bytes: Vec<u8>,
    items: Vec<Item>,
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// `audit.sequence.next`: all numbers below were given out.
    pub next: u64,
    /// The lowest number that is in no batch, and not reported as lost either.
    pub oldest: u64,
    /// How often numbers of a batch have become losses to report. `oldest` may go back each time.
    pub returns: u64,
}

/// One record of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its number in the stream.
    pub number: u64,
    /// When it was made.
    pub made: Duration,
    /// The lane that pays for its memory.
    pub lane: Lane,
    /// What kind of record it is.
    pub content: Content,
    range: Range<usize>,
}

/// The kind of a record, as far as its end is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// An exchange: it uses memory of the buffer.
    Exchange,
    /// Start or end of the stream.
    Lifecycle,
    /// A report of losses. When it is lost, its losses must be reported again.
    Loss(Loss),
}

impl Item {
    /// Its bytes on the wire.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.range.len()
    }

    /// Its position in the batch's bytes.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The losses that it reports.
    #[must_use]
    pub fn loss(&self) -> Option<Loss> {
        match self.content {
            Content::Loss(loss) => Some(loss),
            Content::Exchange | Content::Lifecycle => None,
        }
    }
}

impl Batch {
    /// Seals records into a batch.
    #[must_use]
    pub fn seal(
        id: Uuid,
        origin: Origin,
        progress: Progress,
        lane: Lane,
        records: &[(Encoded, Content)],
        encoder: &Encoder,
    ) -> Self {
        let body = encoder.batch(
            origin,
            progress.next,
            id,
            room(records.len()),
            records.iter().map(|(record, _)| &*record.fragment),
        );
        let item = |((record, content), range): (&(Encoded, Content), Range<usize>)| Item {
            number: record.number,
            made: record.made,
            lane: record.lane,
            content: *content,
            range,
        };
        let items = records.iter().zip(body.fragments).map(item).collect();

        Self {
            id,
            origin,
            progress,
            lane,
            cell: None,
            attempts: 0,
            not_before: Duration::ZERO,
            trial: Trial::default(),
            is_piece: false,
            bytes: body.bytes,
            items,
        }
    }

    /// The request body.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes
            .get(room(self.items.len()).before..)
            .unwrap_or_default()
    }

    /// Its bytes with the journal's room before them, and its records.
    pub(super) fn value_mut(&mut self) -> (&mut Vec<u8>, &[Item]) {
        (&mut self.bytes, &self.items)
    }

    /// Its records.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The losses that it reports.
    pub fn losses(&self) -> impl Iterator<Item = Loss> {
        self.items.iter().filter_map(Item::loss)
    }

    /// Lowest and highest number in it.
    #[must_use]
    pub fn numbers(&self) -> Option<(u64, u64)> {
        let numbers = || self.items.iter().map(|item| item.number);
        Some((numbers().min()?, numbers().max()?))
    }

    /// The lowest number in it.
    #[must_use]
    pub fn lowest(&self) -> Option<u64> {
        self.items.iter().map(|item| item.number).min()
    }

    /// Its numbers as ranges without gaps.
    #[must_use]
    pub fn ranges(&self) -> Vec<(u64, u64)> {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for item in &self.items {
            match ranges.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(item.number) => *last = item.number,
                _ => ranges.push((item.number, item.number)),
            }
        }
        ranges
    }

    /// When its newest record was made.
    #[must_use]
    pub fn newest(&self) -> Option<Duration> {
        self.items.iter().map(|item| item.made).max()
    }

    /// Splits it in halves with these ids; `None` for a single record.
    #[must_use]
    pub fn split(&self, ids: [Uuid; 2], encoder: &Encoder) -> Option<[Self; 2]> {
        let (left, right) = self.items.split_at_checked(self.items.len() / 2)?;
        if left.is_empty() {
            return None;
        }
        let [first, second] = ids;
        Some([
            self.reseal(first, &self.records(left), encoder),
            self.reseal(second, &self.records(right), encoder),
        ])
    }

    /// Some of its records under another id, with the same origin, progress and lane.
    #[must_use]
    pub fn reseal(&self, id: Uuid, records: &[(Encoded, Content)], encoder: &Encoder) -> Self {
        Self::seal(id, self.origin, self.progress, self.lane, records, encoder)
    }

    /// Its records, to be sealed into another batch.
    #[must_use]
    pub fn unsealed(&self) -> Vec<(Encoded, Content)> {
        self.records(&self.items)
    }

    fn records(&self, items: &[Item]) -> Vec<(Encoded, Content)> {
        let record = |item: &Item| {
            let fragment = self
                .bytes()
                .get(item.range.clone())
                .unwrap_or_default()
                .into();
            (
                Encoded {
                    number: item.number,
                    made: item.made,
                    lane: item.lane,
                    fragment,
                },
                item.content,
            )
        };

        items.iter().map(record).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Format, Resource};

    const ORIGIN: Origin = Origin {
        stream_id: Uuid::nil(),
        recovered: false,
    };

    fn encoder() -> Encoder {
        Encoder::new(Format::Ndjson, Resource::default())
    }

    fn batch(count: u64) -> Batch {
        let record = |number: u64| {
            let fragment = format!(r#"{{"n":{number}"#).into_bytes().into();
            (
                Encoded {
                    number,
                    made: Duration::from_secs(number),
                    lane: Lane::Bulk,
                    fragment,
                },
                Content::Exchange,
            )
        };
        Batch::seal(
            Uuid::nil(),
            ORIGIN,
            Progress {
                next: 9,
                oldest: 5,
                returns: 0,
            },
            Lane::Bulk,
            &(0..count).map(record).collect::<Vec<_>>(),
            &encoder(),
        )
    }

    #[test]
    fn halves_hold_the_same_records_under_new_ids() {
        let whole = batch(5);
        let ids = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let [left, right] = whole.split(ids, &encoder()).unwrap();
        assert_eq!(
            (left.numbers(), right.numbers()),
            (Some((0, 1)), Some((2, 4)))
        );
        assert_eq!(
            (left.id, right.id),
            (Uuid::from_u128(1), Uuid::from_u128(2))
        );
        assert_eq!(
            (left.progress, right.progress),
            (whole.progress, whole.progress),
            "the progress of the whole still holds"
        );

        let text = str::from_utf8(right.bytes()).unwrap();
        assert!(text.starts_with(r#"{"n":2,"#) && text.contains(&Uuid::from_u128(2).to_string()));
        assert_eq!(right.newest(), Some(Duration::from_secs(4)));
    }

    #[test]
    fn a_single_record_cannot_be_split() {
        assert_eq!(batch(1).split([Uuid::nil(); 2], &encoder()), None);
        assert_eq!(batch(0).split([Uuid::nil(); 2], &encoder()), None);
    }
}
