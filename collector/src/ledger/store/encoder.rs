//! Stores rows.

use super::dictionary::{Dictionary, generation};
use super::keys;
use super::segment_of;
use super::split::members;
use super::table::RECORDS;
use super::uid;
use crate::db::{Cell, Connection, DbError};
use crate::ledger::chain::Head;
use crate::ledger::entry::Entry;

/// Stores rows at the end of the ledger, and keeps the dictionary of the last segment in between.
///
/// It is right for any state of the database: what it keeps counts only while the chain has its last
/// row, and the dictionary was not swept.
#[derive(Default)]
pub struct Encoder {
    kept: Option<(Head, Dictionary)>,
}

impl Encoder {
    /// Stores `rows` behind `head`, within the transaction that `connection` is in. Their positions
    /// ascend.
    ///
    /// # Errors
    ///
    /// Those of the database; the transaction must then be rolled back.
    pub fn store(
        &mut self,
        connection: &mut dyn Connection,
        head: Head,
        rows: &[(Head, &Entry)],
    ) -> Result<(), DbError> {
        let (Some((first, _)), Some((last, _))) = (rows.first(), rows.last()) else {
            return Ok(());
        };

        let mut dictionary = self.dictionary(connection, head, segment_of(first.position))?;
        let mut stored = Vec::with_capacity(rows.len());
        for (place, entry) in rows {
            let segment = segment_of(place.position);
            if segment != dictionary.segment {
                dictionary.store(connection)?;
                dictionary = Dictionary::new(segment);
            }
            stored.push(Stored::of(place, entry, &mut dictionary));
        }

        dictionary.store(connection)?;
        let cells: Vec<_> = stored.iter().flat_map(Stored::cells).collect();
        connection.insert(&RECORDS, &cells)?;
        self.kept = Some((*last, dictionary));
        Ok(())
    }

    fn dictionary(
        &mut self,
        connection: &mut dyn Connection,
        head: Head,
        segment: i64,
    ) -> Result<Dictionary, DbError> {
        if let Some((end, mut dictionary)) = self.kept.take()
            && dictionary.segment == segment
            && generation(connection, segment)? == dictionary.generation
        {
            if end == head {
                return Ok(dictionary);
            }
            // Another collector has added to it.
            if is_stored(connection, end)? {
                dictionary.catch_up(connection)?;
                return Ok(dictionary);
            }
        }
        Dictionary::load(connection, segment)
    }
}

/// Whether the ledger has this row: the transaction that stored it has come to its end.
fn is_stored(connection: &mut dyn Connection, place: Head) -> Result<bool, DbError> {
    let mut hash = None;
    connection.query(
        "SELECT hash FROM records WHERE position = $1",
        &[Cell::Integer(place.position)],
        &mut |row| {
            hash = row.bytes(0)?.map(<[u8]>::to_vec);
            Ok(())
        },
    )?;
    Ok(hash.as_deref() == Some(&place.hash))
}

/// A row as it is stored.
struct Stored<'e> {
    place: &'e Head,
    entry: &'e Entry,
    uid: Vec<u8>,
    trace_id: Option<Vec<u8>>,
    span_id: Option<Vec<u8>>,
    shape: i64,
    values: String,
}

impl<'e> Stored<'e> {
    fn of(place: &'e Head, entry: &'e Entry, dictionary: &mut Dictionary) -> Self {
        let members = members(&entry.attributes);
        let (shape, values) = dictionary.place(entry, members.as_deref());
        let id = |hex: &Option<String>| hex.as_ref().and_then(|hex| hex::decode(hex).ok());

        Self {
            place,
            entry,
            uid: uid::encode(&entry.uid),
            trace_id: id(&entry.trace_id),
            span_id: id(&entry.span_id),
            shape,
            values,
        }
    }

    fn cells(&self) -> [Cell<'_>; RECORDS.columns.len()] {
        let entry = self.entry;
        let time = Some(entry.time).filter(|time| *time != entry.at);
        let [user, name, email, session, token, stream] = keys::cells(entry);

        [
            Cell::Integer(self.place.position),
            Cell::Integer(entry.at),
            Cell::Integer(entry.received_at),
            time.into(),
            Cell::Integer(entry.observed_time),
            Cell::Integer(entry.flags),
            Cell::Integer(self.shape),
            user,
            name,
            email,
            session,
            token,
            stream,
            Cell::Bytes(&self.place.hash),
            Cell::Bytes(&self.uid),
            self.trace_id.as_deref().into(),
            self.span_id.as_deref().into(),
            entry.body.as_deref().into(),
            Cell::Text(&self.values),
        ]
    }
}
