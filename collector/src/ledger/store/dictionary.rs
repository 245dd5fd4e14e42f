//! The dictionary of the segment that is written.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use super::shape::{Shape, Template};
use super::table::{SHAPES, TEXTS};
use super::values::{self, reference};
use crate::db::{Cell, Connection, DbError, Table};
use crate::ledger::entry::Entry;

/// Most shapes of a segment that hold constants. Records of further kinds open all values.
const MAX_CONSTANT_SHAPES: usize = 2048;

/// Most shapes of a segment. Records of further kinds are stored whole.
const MAX_SHAPES: usize = 4096;

/// The shape of records that are stored whole; a segment has it once one of them comes.
const WHOLE: &str = "";

/// Most texts of a segment. Further values stand in their rows.
const MAX_TEXTS: usize = 65_536;

/// Shorter values stand in their rows: a reference would not be shorter.
const MIN_TEXT_BYTES: usize = 8;

/// Longer values stand in their rows, so that the memory of the dictionary is bounded.
const MAX_TEXT_BYTES: usize = 512;

/// Most values of which is known that they occurred once.
const MAX_SEEN: usize = 262_144;

/// What the rows of one segment share, and what of it is not stored yet.
pub(super) struct Dictionary {
    pub(super) segment: i64,
    /// Counts how often it was swept.
    pub(super) generation: i64,
    shapes: HashMap<Kind, i64>,
    texts: HashMap<Box<str>, i64>,
    next_shape: i64,
    next_text: i64,
    new_shapes: Vec<(i64, Kind)>,
    new_texts: Vec<(i64, Box<str>)>,
    /// Hashes of values that occurred once.
    seen: HashSet<u64>,
    hashes: RandomState,
    /// Of the rows since the last call of [`Self::store`].
    times: Option<(i64, i64)>,
}

/// What a shape is, but for its id.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind {
    event_name: String,
    severity: i64,
    template: String,
}

impl Dictionary {
    /// That of a segment without rows.
    pub(super) fn new(segment: i64) -> Self {
        Self {
            segment,
            generation: 0,
            shapes: HashMap::new(),
            texts: HashMap::new(),
            next_shape: 0,
            next_text: 0,
            new_shapes: Vec::new(),
            new_texts: Vec::new(),
            seen: HashSet::new(),
            hashes: RandomState::new(),
            times: None,
        }
    }

    /// What is stored of a segment.
    pub(super) fn load(connection: &mut dyn Connection, segment: i64) -> Result<Self, DbError> {
        let mut loaded = Self::new(segment);
        loaded.generation = generation(connection, segment)?;
        loaded.catch_up(connection)?;
        Ok(loaded)
    }

    /// Reads what was stored since.
    pub(super) fn catch_up(&mut self, connection: &mut dyn Connection) -> Result<(), DbError> {
        const SHAPES: &str = "SELECT id, event_name, severity_number, template FROM shapes \
            WHERE segment = $1 AND id >= $2";
        const TEXTS: &str = "SELECT id, text FROM texts WHERE segment = $1 AND id >= $2";

        let shapes = [self.segment, self.next_shape].map(Cell::Integer);
        connection.query(SHAPES, &shapes, &mut |row| {
            let text = |column| Ok::<_, DbError>(row.text(column)?.unwrap_or_default().to_owned());
            let id = row.integer(0)?.unwrap_or_default();
            let kind = Kind {
                event_name: text(1)?,
                severity: row.integer(2)?.unwrap_or_default(),
                template: text(3)?,
            };
            self.shapes.insert(kind, id);
            self.next_shape = self.next_shape.max(id + 1);
            Ok(())
        })?;

        let texts = [self.segment, self.next_text].map(Cell::Integer);
        connection.query(TEXTS, &texts, &mut |row| {
            let id = row.integer(0)?.unwrap_or_default();
            self.texts
                .insert(row.text(1)?.unwrap_or_default().into(), id);
            self.next_text = self.next_text.max(id + 1);
            Ok(())
        })
    }

    /// The id of the shape of a record with these attributes, and the lines of its values.
    pub(super) fn place(
        &mut self,
        entry: &Entry,
        members: Option<&[(&str, &str)]>,
    ) -> (i64, String) {
        self.reach(entry.at);
        let template = members.and_then(|members| self.template(entry, members));
        match template {
            Some((shape, open)) => (shape, self.lines(&open, entry)),
            None => (self.whole(), whole(entry)),
        }
    }

    fn reach(&mut self, at: i64) {
        let (first, last) = self.times.unwrap_or((at, at));
        self.times = Some((first.min(at), last.max(at)));
    }

    /// The shape of a record with a template, if there is one or room for it.
    fn template<'m>(
        &mut self,
        entry: &Entry,
        members: &[(&str, &'m str)],
    ) -> Option<(i64, Vec<&'m str>)> {
        [(true, MAX_CONSTANT_SHAPES), (false, MAX_SHAPES)]
            .into_iter()
            .find_map(|(constants, most)| {
                let Template { text, open } = Template::of(members, constants)?;
                let kind = Kind {
                    event_name: entry.event_name.clone(),
                    severity: entry.severity,
                    template: text,
                };
                Some((self.shape(kind, most)?, open))
            })
    }

    fn whole(&mut self) -> i64 {
        let kind = Kind {
            event_name: String::new(),
            severity: 0,
            template: WHOLE.to_owned(),
        };
        self.shape(kind, usize::MAX).unwrap_or_default()
    }

    /// The id of a shape: a new one if there are fewer than `most`.
    fn shape(&mut self, kind: Kind, most: usize) -> Option<i64> {
        if let Some(id) = self.shapes.get(&kind) {
            return Some(*id);
        }
        if self.shapes.len() >= most {
            return None;
        }

        let id = self.next_shape;
        self.next_shape += 1;
        self.new_shapes.push((id, kind.clone()));
        self.shapes.insert(kind, id);
        Some(id)
    }

    fn lines(&mut self, open: &[&str], entry: &Entry) -> String {
        let uid = json_string(&entry.uid);
        let mut lines = String::with_capacity(256);
        for (index, value) in open.iter().enumerate() {
            if index > 0 {
                lines.push(values::END);
            }
            if *value == uid {
                lines.push_str(values::UID);
            } else if let Some(id) = self.text(value) {
                lines.push_str(&reference(id));
            } else {
                lines.push_str(value);
            }
        }
        lines
    }

    /// The id of a value that is a text.
    fn text(&mut self, value: &str) -> Option<i64> {
        let is_ambiguous = values::is_ambiguous(value);
        if value.len() < MIN_TEXT_BYTES && !is_ambiguous {
            return None;
        }
        if let Some(id) = self.texts.get(value) {
            return Some(*id);
        }
        if !is_ambiguous && !self.is_worthwhile(value) {
            return None;
        }

        let id = self.next_text;
        self.next_text += 1;
        self.new_texts.push((id, value.into()));
        self.texts.insert(value.into(), id);
        Some(id)
    }

    /// Whether a value occurred before, and there is room for it.
    fn is_worthwhile(&mut self, value: &str) -> bool {
        if value.len() > MAX_TEXT_BYTES || self.texts.len() >= MAX_TEXTS {
            return false;
        }
        if self.seen.len() >= MAX_SEEN {
            self.seen.clear();
        }
        !self.seen.insert(self.hashes.hash_one(value))
    }

    /// Stores what is new.
    pub(super) fn store(&mut self, connection: &mut dyn Connection) -> Result<(), DbError> {
        self.store_shapes(connection)?;
        self.store_texts(connection)?;
        self.store_times(connection)
    }

    fn store_shapes(&mut self, connection: &mut dyn Connection) -> Result<(), DbError> {
        let new = std::mem::take(&mut self.new_shapes);
        let shapes: Vec<_> = new.iter().map(|(_, kind)| kind.searched()).collect();
        let mut cells = Vec::with_capacity(new.len() * SHAPES.columns.len());

        for ((id, kind), (searched, is_open)) in new.iter().zip(&shapes) {
            cells.extend([
                Cell::Integer(self.segment),
                Cell::Integer(*id),
                Cell::Text(&kind.event_name),
                Cell::Integer(kind.severity),
            ]);
            cells.extend(searched.iter().map(|text| Cell::from(text.as_deref())));
            cells.extend([Cell::Integer((*is_open).into()), Cell::Text(&kind.template)]);
        }
        insert(connection, &SHAPES, &cells)
    }

    fn store_texts(&mut self, connection: &mut dyn Connection) -> Result<(), DbError> {
        let new = std::mem::take(&mut self.new_texts);
        let cells: Vec<_> = new
            .iter()
            .flat_map(|(id, text)| {
                [
                    Cell::Integer(self.segment),
                    Cell::Integer(*id),
                    Cell::Text(text),
                ]
            })
            .collect();
        insert(connection, &TEXTS, &cells)
    }

    fn store_times(&mut self, connection: &mut dyn Connection) -> Result<(), DbError> {
        const KEEP: &str = "INSERT INTO segments \
            (segment, first_at_unix_nano, last_at_unix_nano, generation, is_swept) \
            VALUES ($1, $2, $3, 0, 1) ON CONFLICT (segment) DO UPDATE SET \
            first_at_unix_nano = CASE WHEN excluded.first_at_unix_nano < segments.first_at_unix_nano \
                THEN excluded.first_at_unix_nano ELSE segments.first_at_unix_nano END, \
            last_at_unix_nano = CASE WHEN excluded.last_at_unix_nano > segments.last_at_unix_nano \
                THEN excluded.last_at_unix_nano ELSE segments.last_at_unix_nano END";

        let Some((first, last)) = self.times.take() else {
            return Ok(());
        };
        let cells = [self.segment, first, last].map(Cell::Integer);
        connection.execute(KEEP, &cells)?;
        Ok(())
    }
}

impl Kind {
    /// Service, rule, action and outcome of its rows, where the shape has them, and whether they are
    /// open.
    fn searched(&self) -> ([Option<String>; 4], bool) {
        Shape::read(&self.event_name, self.severity, &self.template)
            .map_or(([const { None }; 4], true), |shape| {
                (shape.searched(), shape.is_open())
            })
    }
}

/// How often the dictionary of a segment was swept.
pub(super) fn generation(connection: &mut dyn Connection, segment: i64) -> Result<i64, DbError> {
    let mut generation = 0;
    connection.query(
        "SELECT generation FROM segments WHERE segment = $1",
        &[Cell::Integer(segment)],
        &mut |row| {
            generation = row.integer(0)?.unwrap_or_default();
            Ok(())
        },
    )?;
    Ok(generation)
}

fn insert(
    connection: &mut dyn Connection,
    table: &Table,
    cells: &[Cell<'_>],
) -> Result<(), DbError> {
    if cells.is_empty() {
        return Ok(());
    }
    connection.insert(table, cells)
}

/// The values of a record that is stored whole.
fn whole(entry: &Entry) -> String {
    let event_name = json_string(&entry.event_name);
    format!("{event_name}\n{}\n{}", entry.severity, entry.attributes)
}

/// A text as `serde_json` writes it.
pub(super) fn json_string(text: &str) -> String {
    // Texts can always be written.
    serde_json::to_string(text).unwrap_or_default()
}
