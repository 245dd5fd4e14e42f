//! Records that came with the uid of another one: what was sent, beside what was stored first.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::list::{self, Conditions, Filter, MAX_PAGE_BYTES, NoCursor, Start, StoredEntry};
use crate::db::{Cell, Connection, DbError};

/// A contradiction to a stored record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflictEntry {
    /// Position of the stored record.
    pub position: i64,
    /// SHA-256 of the content, in hex: each content is stored once.
    pub digest: String,
    /// The uid of both.
    pub uid: String,
    /// When this content first came.
    pub received_at: i64,
    /// What was sent, as one flat object.
    pub content: Map<String, Value>,
    /// The stored record; `None` when it is missing.
    pub stored: Option<StoredEntry>,
}

impl ConflictEntry {
    /// Its place in the order of the list.
    pub fn cursor(&self) -> ConflictCursor {
        ConflictCursor {
            position: self.position,
            digest: self.digest.clone(),
        }
    }
}

/// The place of a conflict in the order of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflictCursor {
    /// See [`ConflictEntry::position`].
    pub position: i64,
    /// See [`ConflictEntry::digest`].
    pub digest: String,
}

impl fmt::Display for ConflictCursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.position, self.digest)
    }
}

impl FromStr for ConflictCursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (position, digest) = text.split_once('-').ok_or(NoCursor)?;
        let is_hex = digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex {
            return Err(NoCursor);
        }
        Ok(Self {
            position: position.parse().map_err(|_| NoCursor)?,
            digest: digest.to_owned(),
        })
    }
}

/// Some of the conflicts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConflictPage {
    /// Those with the latest stored records first.
    pub conflicts: Vec<ConflictEntry>,
    /// Whether there are more of them.
    pub more: bool,
}

/// The conflicts beyond `before`, all or those with the record at `position`: at most `limit`, and
/// no further one once they, or their stored records, take 16 MiB.
///
/// # Errors
///
/// Those of the database.
pub fn page(
    connection: &mut dyn Connection,
    position: Option<i64>,
    before: Option<&ConflictCursor>,
    limit: i64,
) -> Result<ConflictPage, DbError> {
    let mut query = Conditions {
        text: "SELECT position, digest, uid, received_at_unix_nano, content FROM conflicts WHERE 1 = 1"
            .to_owned(),
        ..Conditions::default()
    };
    if let Some(position) = position {
        query.push(" AND position = ", Cell::Integer(position));
    }
    if let Some(ConflictCursor { position, digest }) = before {
        query.push(" AND (position, digest) < (", Cell::Integer(*position));
        query.push(", ", Cell::Text(digest));
        query.text.push(')');
    }
    query.push(
        " ORDER BY position DESC, digest DESC LIMIT ",
        Cell::Integer(limit.saturating_add(1)),
    );

    let mut page = read(connection, &query, limit)?;
    complete(connection, &mut page)?;
    Ok(page)
}

/// Adds the stored records.
fn complete(connection: &mut dyn Connection, page: &mut ConflictPage) -> Result<(), DbError> {
    let (mut bytes, mut complete) = (0, 0);
    for conflict in &mut page.conflicts {
        if bytes >= MAX_PAGE_BYTES {
            break;
        }
        conflict.stored = stored(connection, conflict.position)?;
        bytes += conflict
            .stored
            .as_ref()
            .map_or(0, |stored| stored.entry.size());
        complete += 1;
    }

    page.more |= complete < page.conflicts.len();
    page.conflicts.truncate(complete);
    Ok(())
}

fn read(
    connection: &mut dyn Connection,
    query: &Conditions<'_>,
    limit: i64,
) -> Result<ConflictPage, DbError> {
    let mut conflicts = Vec::new();
    let more = list::read_page(connection, query, limit, &mut |row| {
        let text = |column| Ok::<_, DbError>(row.text(column)?.unwrap_or_default().to_owned());
        let content = text(4)?;
        conflicts.push(ConflictEntry {
            position: row.integer(0)?.unwrap_or_default(),
            digest: text(1)?,
            uid: text(2)?,
            received_at: row.integer(3)?.unwrap_or_default(),
            content: serde_json::from_str(&content).map_err(DbError::failed)?,
            stored: None,
        });
        Ok(content.len())
    })?;
    Ok(ConflictPage { conflicts, more })
}

fn stored(connection: &mut dyn Connection, position: i64) -> Result<Option<StoredEntry>, DbError> {
    let start = Start::After(position.saturating_sub(1));
    let page = list::list(connection, &Filter::default(), start, 1)?;
    Ok(page
        .rows
        .into_iter()
        .find(|stored| stored.position == position))
}
