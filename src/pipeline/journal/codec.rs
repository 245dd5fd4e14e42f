//! Checkpoints and batches as bytes in shared data. The same module reads them in another VM.

use std::ops::Range;

use uuid::Uuid;

use crate::pipeline::batch::{Batch, Content, Item, Progress};
use crate::pipeline::lane::Lane;
use crate::pipeline::room::{BATCH_NUMBERS, RECORD_NUMBERS};
use crate::record::{Loss, LossReason};
use crate::stats::Gauges;

/// The journal's summary of a stream at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pipeline) struct Checkpoint {
    /// The lowest number that is in no batch, and not reported as lost either.
    pub(in crate::pipeline) oldest: u64,
    /// The lowest number without a known end, in a batch or not.
    pub(in crate::pipeline) unsettled: u64,
    /// The next number that was to be given out.
    pub(in crate::pipeline) next: u64,
    /// No number from this one on was given out.
    pub(in crate::pipeline) reserved_until: u64,
    /// See [`Progress::returns`].
    pub(in crate::pipeline) returns: u64,
    /// The stream's share of the process-wide gauges.
    pub(in crate::pipeline) gauges: Gauges,
}

/// A batch as read from the journal.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::pipeline) struct Saved {
    pub(in crate::pipeline) id: Uuid,
    pub(in crate::pipeline) stream: Uuid,
    pub(in crate::pipeline) progress: Progress,
    pub(in crate::pipeline) lane: Lane,
    pub(in crate::pipeline) records: Vec<SavedRecord>,
}

/// One record of a [`Saved`] batch.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::pipeline) struct SavedRecord {
    pub(in crate::pipeline) number: u64,
    pub(in crate::pipeline) lane: Lane,
    pub(in crate::pipeline) content: Content,
    pub(in crate::pipeline) fragment: Box<[u8]>,
}

/// Eight numbers, each 8 bytes little-endian.
pub(super) fn write_checkpoint(checkpoint: &Checkpoint) -> Vec<u8> {
    [
        checkpoint.oldest,
        checkpoint.unsettled,
        checkpoint.next,
        checkpoint.reserved_until,
        checkpoint.returns,
    ]
    .iter()
    .chain(&checkpoint.gauges)
    .flat_map(|number| number.to_le_bytes())
    .collect()
}

pub(super) fn read_checkpoint(mut bytes: &[u8]) -> Option<Checkpoint> {
    let bytes = &mut bytes;
    let (oldest, unsettled) = (next_number(bytes)?, next_number(bytes)?);
    let (next, reserved_until, returns) = (
        next_number(bytes)?,
        next_number(bytes)?,
        next_number(bytes)?,
    );
    let mut gauges = Gauges::default();
    for gauge in &mut gauges {
        *gauge = next_number(bytes)?;
    }

    Some(Checkpoint {
        oldest,
        unsettled,
        next,
        reserved_until,
        returns,
        gauges,
    })
}

/// A batch as a value, without copying its bytes: id, stream, progress, lane, number of records;
/// for each record its number, lane, range and content; then the batch's bytes. The tag follows.
pub(super) fn write_batch(batch: &mut Batch) -> &mut Vec<u8> {
    let [id, stream] = [batch.id, batch.origin.stream_id].map(words);
    let (progress, lane) = (batch.progress, lane_code(batch.lane));
    let (value, items) = batch.value_mut();
    let (places, _) = value.as_chunks_mut();

    if let Some((of_batch, of_records)) = places.split_first_chunk_mut::<BATCH_NUMBERS>() {
        let Progress {
            next,
            oldest,
            returns,
        } = progress;
        let count = items.len() as u64;
        let ([id, id_end], [stream, stream_end]) = (id, stream);
        *of_batch = [
            id, id_end, stream, stream_end, next, oldest, returns, lane, count,
        ]
        .map(u64::to_le_bytes);

        for (place, item) in of_records.as_chunks_mut().0.iter_mut().zip(items) {
            *place = numbers_of(item).map(u64::to_le_bytes);
        }
    }

    value
}

/// An id as two numbers, so that its bytes are the same.
fn words(id: Uuid) -> [u64; 2] {
    let (high, low) = id.as_u64_pair();
    [high, low].map(u64::swap_bytes)
}

fn numbers_of(item: &Item) -> [u64; RECORD_NUMBERS] {
    let Range { start, end } = item.range();
    let [content, count, first, last] = content_code(&item.content);
    [
        item.number,
        lane_code(item.lane),
        start as u64,
        end as u64,
        content,
        count,
        first,
        last,
    ]
}

/// `None`: empty, or cut short.
pub(super) fn read_batch(mut bytes: &[u8]) -> Option<Saved> {
    let bytes = &mut bytes;
    let (id, stream) = (next_uuid(bytes)?, next_uuid(bytes)?);
    let (next, oldest, returns) = (
        next_number(bytes)?,
        next_number(bytes)?,
        next_number(bytes)?,
    );
    let progress = Progress {
        next,
        oldest,
        returns,
    };
    let (lane, count) = (lane_of(next_number(bytes)?), next_number(bytes)?);
    let mut headers = Vec::new();
    for _ in 0..count {
        headers.push(Header::read(bytes)?);
    }

    let records = headers
        .into_iter()
        .map(|header| header.with_bytes(bytes))
        .collect::<Option<_>>()?;
    Some(Saved {
        id,
        stream,
        progress,
        lane,
        records,
    })
}

struct Header {
    number: u64,
    lane: Lane,
    content: Content,
    range: Range<usize>,
}

impl Header {
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (number, lane) = (next_number(bytes)?, lane_of(next_number(bytes)?));
        let range = usize::try_from(next_number(bytes)?).ok()?
            ..usize::try_from(next_number(bytes)?).ok()?;
        Some(Self {
            number,
            lane,
            content: next_content(bytes)?,
            range,
        })
    }

    fn with_bytes(self, bytes: &[u8]) -> Option<SavedRecord> {
        let Self {
            number,
            lane,
            content,
            range,
        } = self;

        Some(SavedRecord {
            number,
            lane,
            content,
            fragment: bytes.get(range)?.into(),
        })
    }
}

const REASONS: [LossReason; 7] = [
    LossReason::BufferFull,
    LossReason::TooLarge,
    LossReason::MaxAttempts,
    LossReason::MaxAge,
    LossReason::Rejected,
    LossReason::VmCrash,
    LossReason::Abandoned,
];

/// Codes of [`Content`]. The code of a loss is [`FIRST_LOSS`] plus the index of its reason in
/// [`REASONS`].
const EXCHANGE: u64 = 0;
const LIFECYCLE: u64 = 1;
const FIRST_LOSS: u64 = 2;

fn content_code(content: &Content) -> [u64; 4] {
    match content {
        Content::Exchange => [EXCHANGE, 0, 0, 0],
        Content::Lifecycle => [LIFECYCLE, 0, 0, 0],
        Content::Loss(loss) => [
            FIRST_LOSS + loss.reason as u64,
            loss.count,
            loss.first,
            loss.last,
        ],
    }
}

fn next_content(bytes: &mut &[u8]) -> Option<Content> {
    let (code, count, first, last) = (
        next_number(bytes)?,
        next_number(bytes)?,
        next_number(bytes)?,
        next_number(bytes)?,
    );

    match code {
        EXCHANGE => Some(Content::Exchange),
        LIFECYCLE => Some(Content::Lifecycle),
        _ => {
            let reason = *REASONS.get(usize::try_from(code - FIRST_LOSS).ok()?)?;
            Some(Content::Loss(Loss {
                reason,
                count,
                first,
                last,
            }))
        }
    }
}

fn lane_code(lane: Lane) -> u64 {
    lane as u64
}

fn lane_of(code: u64) -> Lane {
    if code == lane_code(Lane::Immediate) {
        Lane::Immediate
    } else {
        Lane::Bulk
    }
}

fn next_number(bytes: &mut &[u8]) -> Option<u64> {
    bytes
        .split_off(..8)?
        .try_into()
        .ok()
        .map(u64::from_le_bytes)
}

fn next_uuid(bytes: &mut &[u8]) -> Option<Uuid> {
    bytes.split_off(..16)?.try_into().ok().map(Uuid::from_bytes)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pipeline::buffer::Encoded;
    use crate::pipeline::room::TAG_BYTES;
    use crate::wire::{Encoder, Format, Origin, Resource};

    #[test]
    fn a_batch_reads_as_it_was_written() {
        let losses = REASONS.map(|reason| {
            Content::Loss(Loss {
                reason,
                count: 2,
                first: 3,
                last: 5,
            })
        });
        let contents = [Content::Exchange, Content::Lifecycle]
            .into_iter()
            .chain(losses);
        let records: Vec<(Encoded, Content)> = (7..)
            .zip(contents)
            .map(|(number, content)| {
                let lane = if number % 2 == 0 {
                    Lane::Immediate
                } else {
                    Lane::Bulk
                };
                let fragment = format!(r#"{{"n":{number}"#).into_bytes().into();
                (
                    Encoded {
                        number,
                        made: Duration::ZERO,
                        lane,
                        fragment,
                    },
                    content,
                )
            })
            .collect();
        let (id, stream) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (origin, encoder) = (
            Origin {
                stream_id: stream,
                recovered: false,
            },
            Encoder::new(Format::Ndjson, Resource::default()),
        );

        for lane in Lane::ALL {
            let progress = Progress {
                next: 18,
                oldest: 16,
                returns: 3,
            };
            let mut batch = Batch::seal(id, origin, progress, lane, &records, &encoder);
            let body = batch.bytes().to_vec();
            let value = write_batch(&mut batch);
            assert!(
                value.capacity() >= value.len() + TAG_BYTES,
                "the tag needs no other piece of memory"
            );
            let saved = read_batch(value);
            assert_eq!(batch.bytes(), body, "the body is left as it was");

            let expected = records.iter().cloned().map(
                |(
                    Encoded {
                        number,
                        lane,
                        fragment,
                        ..
                    },
                    content,
                )| {
                    SavedRecord {
                        number,
                        lane,
                        content,
                        fragment,
                    }
                },
            );

            assert_eq!(
                saved,
                Some(Saved {
                    id,
                    stream,
                    progress,
                    lane,
                    records: expected.collect()
                })
            );
        }
    }
}
