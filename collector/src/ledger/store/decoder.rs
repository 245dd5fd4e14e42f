//! Reads stored rows.

use std::borrow::Cow;
use std::collections::hash_map::Entry as Place;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use super::content::Content;
use super::dictionary::generation;
use super::raw::Raw;
use super::shape::Shape;
use super::values::{Line, lines, read};
use super::{keys, segment_of, uid};
use crate::db::{Cell, Connection, DbError, EachRow, Row, select_in};
use crate::ledger::entry::Entry;
use crate::ledger::stored::StoredEntry;

/// Most segments whose dictionaries are kept.
const MAX_SEGMENTS: usize = 8;

/// Reads rows, and keeps what it has read of the dictionaries.
#[derive(Default)]
pub struct Decoder {
    segments: HashMap<i64, Dictionary>,
}

/// What an entry has of its shape and values.
#[derive(Default)]
struct Owned {
    event_name: String,
    severity: i64,
    texts: [Option<String>; 10],
    sequence_number: Option<i64>,
    attributes: String,
}

fn contents(content: &Content<'_>) -> Owned {
    let mut attributes = String::with_capacity(content.attributes_len());
    content.attributes(|text| attributes.push_str(text));

    Owned {
        event_name: content.event_name.clone().into_owned(),
        severity: content.severity,
        texts: content.texts().map(|text| text.map(Cow::into_owned)),
        sequence_number: content.sequence_number(),
        attributes,
    }
}

fn entry(row: Raw, uid: String, content: Owned) -> Entry {
    let [
        stream_id,
        service_name,
        rule,
        action,
        outcome,
        user_id,
        user_name,
        user_email,
        session_id,
        token_ref,
    ] = content.texts;

    Entry {
        uid,
        received_at: row.received_at,
        at: row.at,
        time: row.time.unwrap_or(row.at),
        observed_time: row.observed_time,
        severity: content.severity,
        flags: row.flags,
        event_name: content.event_name,
        stream_id,
        sequence_number: content.sequence_number,
        service_name,
        rule,
        action,
        outcome,
        user_id,
        user_name,
        user_email,
        session_id,
        token_ref,
        trace_id: row.trace_id.map(hex::encode),
        span_id: row.span_id.map(hex::encode),
        body: row.body,
        attributes: content.attributes,
    }
}

/// What was read of the dictionary of a segment; `None` where there is nothing, or nothing that a
/// collector writes.
#[derive(Default)]
pub(super) struct Dictionary {
    /// How often it was swept when it was read.
    generation: i64,
    shapes: HashMap<i64, Option<Shape>>,
    texts: HashMap<i64, Option<Box<str>>>,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Decoder {
    /// Forgets dictionaries that were swept since they were read: their ids may have returned. Needed
    /// before the first rows of another transaction.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub(crate) fn refresh(&mut self, connection: &mut dyn Connection) -> Result<(), DbError> {
        for (segment, read) in std::mem::take(&mut self.segments) {
            let generation = generation(connection, segment)?;
            if generation == read.generation {
                self.segments.insert(segment, read);
            }
        }
        Ok(())
    }

    /// The rows, in their order. A row that cannot be read, or whose columns contradict each other, is
    /// damaged.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub(crate) fn decode(
        &mut self,
        connection: &mut dyn Connection,
        rows: Vec<Raw>,
    ) -> Result<Vec<StoredEntry>, DbError> {
        if self.segments.len() > MAX_SEGMENTS {
            self.segments.clear();
        }
        self.load(connection, &rows)?;
        Ok(rows.into_iter().map(|row| self.entry(row)).collect())
    }

    /// Reads what the rows need.
    fn load(&mut self, connection: &mut dyn Connection, rows: &[Raw]) -> Result<(), DbError> {
        for (segment, (shapes, texts)) in self.missing(rows) {
            let read = match self.segments.entry(segment) {
                Place::Occupied(known) => known.into_mut(),
                Place::Vacant(place) => place.insert(Dictionary::of(connection, segment)?),
            };
            read.load_shapes(connection, segment, &shapes)?;
            read.load_texts(connection, segment, &texts)?;
        }
        Ok(())
    }

    /// The ids of shapes and texts that the rows need and that were not read, by segment.
    fn missing(&self, rows: &[Raw]) -> BTreeMap<i64, (BTreeSet<i64>, BTreeSet<i64>)> {
        let mut missing = BTreeMap::<_, (BTreeSet<i64>, BTreeSet<i64>)>::new();
        for row in rows {
            let segment = segment_of(row.position);
            let read = self.segments.get(&segment);

            if read.is_none_or(|read| !read.shapes.contains_key(&row.shape_id)) {
                missing.entry(segment).or_default().0.insert(row.shape_id);
            }
            for id in references(&row.values) {
                if read.is_none_or(|read| !read.texts.contains_key(&id)) {
                    missing.entry(segment).or_default().1.insert(id);
                }
            }
        }
        missing
    }

    fn entry(&self, row: Raw) -> StoredEntry {
        let read = self.segments.get(&segment_of(row.position));
        let uid = uid::decode(&row.uid);
        let content = uid
            .as_deref()
            .filter(|_| !row.is_broken)
            .and_then(|uid| Some(contents(&read?.content(row.shape_id, &row.values, uid)?)));

        let is_readable = content.is_some();
        let (position, hash, conflict) = (row.position, row.hash, row.conflict);
        let kept = (row.at, row.keys);
        let uid = uid.unwrap_or_else(|| String::from_utf8_lossy(&row.uid).replace('\0', ""));
        let entry = entry(row, uid, content.unwrap_or_default());

        StoredEntry {
            position,
            hash: hash.unwrap_or_default(),
            is_damaged: !is_readable
                || hash.is_none()
                || kept != (entry.ordering_time(), keys::of(&entry)),
            entry,
            conflict,
        }
    }
}

/// The ids of the texts in the values of a row.
pub(crate) fn references(values: &str) -> impl Iterator<Item = i64> {
    lines(values).filter_map(|line| match read(line) {
        Line::Text(id) => Some(id),
        _ => None,
    })
}

impl Dictionary {
    /// Nothing of a segment yet.
    fn of(connection: &mut dyn Connection, segment: i64) -> Result<Self, DbError> {
        Ok(Self {
            generation: generation(connection, segment)?,
            ..Self::default()
        })
    }

    /// All that a segment has.
    pub(super) fn whole(connection: &mut dyn Connection, segment: i64) -> Result<Self, DbError> {
        let mut whole = Self::default();
        let cells = [Cell::Integer(segment)];
        connection.query(SHAPES, &cells, &mut |row| whole.add_shape(row))?;
        connection.query(TEXTS, &cells, &mut |row| whole.add_text(row))?;
        Ok(whole)
    }

    fn load_shapes(
        &mut self,
        connection: &mut dyn Connection,
        segment: i64,
        ids: &BTreeSet<i64>,
    ) -> Result<(), DbError> {
        self.shapes.extend(ids.iter().map(|id| (*id, None)));
        with_ids(connection, SHAPES, segment, ids, &mut |row| {
            self.add_shape(row)
        })
    }

    fn load_texts(
        &mut self,
        connection: &mut dyn Connection,
        segment: i64,
        ids: &BTreeSet<i64>,
    ) -> Result<(), DbError> {
        self.texts.extend(ids.iter().map(|id| (*id, None)));
        with_ids(connection, TEXTS, segment, ids, &mut |row| {
            self.add_text(row)
        })
    }

    fn add_shape(&mut self, row: &dyn Row) -> Result<(), DbError> {
        let text = |column| row.text(column).ok().flatten();
        let template = text(3).unwrap_or_default();
        let severity = row.integer(2)?.unwrap_or_default();
        let shape = Shape::read(text(1).unwrap_or_default(), severity, template);

        // Where the columns contradict the template, a search would not find the rows.
        let is_open = row.integer(4)?.unwrap_or_default() > 0;
        let kept = [5, 6, 7, 8].map(|column| text(column).map(ToOwned::to_owned));
        let shape = shape.filter(|shape| kept == shape.searched() && is_open == shape.is_open());
        self.shapes
            .insert(row.integer(0)?.unwrap_or_default(), shape);
        Ok(())
    }

    fn add_text(&mut self, row: &dyn Row) -> Result<(), DbError> {
        let text = row.text(1).ok().flatten().map(Into::into);
        self.texts.insert(row.integer(0)?.unwrap_or_default(), text);
        Ok(())
    }

    /// `None` when the shape or a text is missing or damaged.
    pub(super) fn content<'t>(
        &'t self,
        shape: i64,
        values: &'t str,
        uid: &str,
    ) -> Option<Content<'t>> {
        let shape = self.shapes.get(&shape)?.as_ref()?;
        let text = |id| self.texts.get(&id)?.as_deref();
        Content::read(shape, values, uid, text)
    }
}

const SHAPES: &str = "SELECT id, event_name, severity_number, template, is_open, service_name, rule, \
    action, outcome FROM shapes WHERE segment = $1";
const TEXTS: &str = "SELECT id, text FROM texts WHERE segment = $1";

/// Runs `select` for the entries of a segment that have these ids.
fn with_ids(
    connection: &mut dyn Connection,
    select: &str,
    segment: i64,
    ids: &BTreeSet<i64>,
    each: EachRow<'_>,
) -> Result<(), DbError> {
    let select = format!("{select} AND id IN");
    let keys: Vec<_> = ids.iter().copied().collect();
    select_in(
        connection,
        (&select, &[Cell::Integer(segment)]),
        &keys,
        each,
    )
}
