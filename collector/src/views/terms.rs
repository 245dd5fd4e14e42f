//! Words by which records are found: users, their names and e-mails, and actions, for suggestions
//! while one is typed.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashSet};
use std::hash::BuildHasher as _;

use super::rows::upsert;
use crate::db::{Cell, Column, Connection, DbError, Table};
use crate::ledger::StoredEntry;
use crate::ledger::entry::{Entry, searched};
use crate::time::SECOND;

/// Most rows of a text: one for each of its first words, at which a search may begin.
const MAX_WORDS: usize = 8;

/// A row is written again when it was last seen this much earlier.
const DAY: i64 = 86_400 * SECOND;

const TERMS: Table = Table {
    name: "terms",
    columns: &[
        Column::text("kind"),
        Column::text("term"),
        Column::text("value"),
        Column::text("user_id"),
        Column::integer("last_seen_unix_nano"),
    ],
};

/// How many columns of [`TERMS`] are its key.
const KEY: usize = 4;

/// What a suggestion is; named as the parameter of `GET /api/records` that finds its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TermKind {
    /// `user.id`.
    User,
    /// `user.name`.
    UserName,
    /// `user.email`.
    UserEmail,
    /// `session.id`, or the reference of a token.
    Session,
    /// `audit.action`.
    Action,
}

impl TermKind {
    /// The name of the parameter.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::UserName => "user_name",
            Self::UserEmail => "user_email",
            Self::Session => "session",
            Self::Action => "action",
        }
    }
}

/// A text that begins with what was typed, or has a word that does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// What it is.
    pub kind: TermKind,
    /// The whole text, at most 256 bytes.
    pub value: String,
    /// The user that it belongs to.
    pub user_id: Option<String>,
}

/// Hashes of the texts that were written lately. Most texts of a slice are among them, and need no
/// look at the database.
#[derive(Debug, Default)]
pub(super) struct Recent {
    hashes: HashSet<u64>,
    state: RandomState,
}

/// Most texts that are remembered; 2 MB.
const MAX_RECENT: usize = 100_000;

impl Recent {
    /// Whether the text is new on the day of `at`.
    fn is_new(&mut self, text: (TermKind, &str, &str), at: i64) -> bool {
        if self.hashes.len() >= MAX_RECENT {
            self.clear();
        }
        self.hashes
            .insert(self.state.hash_one((text, at.div_euclid(DAY))))
    }

    /// What was written is gone.
    pub(super) fn clear(&mut self) {
        self.hashes.clear();
    }
}

/// Adds the words of more records; `recent` must be cleared when they are not kept.
pub(super) fn fold(
    connection: &mut dyn Connection,
    rows: &[StoredEntry],
    recent: &mut Recent,
) -> Result<(), DbError> {
    let mut seen = BTreeSet::new();
    let mut latest = i64::MIN;
    for kept in rows {
        let entry = &kept.entry;
        latest = latest.max(entry.at);
        for (kind, text) in texts(entry) {
            let user = entry
                .user_id
                .as_deref()
                .filter(|_| kind != TermKind::Action);
            let text = (kind, text, user.unwrap_or_default());
            if recent.is_new(text, entry.at) {
                seen.insert(text);
            }
        }
    }

    let terms: Vec<_> = seen
        .iter()
        .flat_map(|&(kind, text, user)| words(kind, text).map(move |term| (kind, term, text, user)))
        .collect();
    let cells: Vec<_> = terms
        .iter()
        .flat_map(|(kind, term, text, user)| {
            [
                Cell::Text(kind.name()),
                Cell::Text(term),
                Cell::Text(text),
                Cell::Text(user),
                Cell::Integer(latest),
            ]
        })
        .collect();

    let is_newer =
        format!(" WHERE excluded.last_seen_unix_nano > terms.last_seen_unix_nano + {DAY}");
    upsert(connection, (&TERMS, KEY, &is_newer), &cells)
}

/// The texts of a record that have rows; sessions have a view of their own.
fn texts(entry: &Entry) -> impl Iterator<Item = (TermKind, &str)> {
    [
        (TermKind::User, &entry.user_id),
        (TermKind::UserName, &entry.user_name),
        (TermKind::UserEmail, &entry.user_email),
        (TermKind::Action, &entry.action),
    ]
    .into_iter()
    .filter_map(|(kind, text)| Some((kind, text.as_deref()?)))
}

/// Whether a word begins behind it, as in `orders.create/0` and `O'Brien`.
fn separates(letter: char) -> bool {
    letter.is_whitespace() || "./-_':".contains(letter)
}

/// The text from each of its words on, in lower case. A separator before a word is part of no word,
/// but what follows white space is found with it, as `/check` is.
fn words(kind: TermKind, text: &str) -> impl Iterator<Item = String> {
    let has_words = matches!(kind, TermKind::UserName | TermKind::Action);
    let starts = text
        .char_indices()
        .scan(' ', |before, (place, letter)| {
            let before = std::mem::replace(before, letter);
            let starts = !separates(letter) && separates(before)
                || !letter.is_whitespace() && before.is_whitespace();
            Some(starts.then_some(place))
        })
        .flatten();

    let limit = if has_words { MAX_WORDS } else { 1 };
    starts
        .take(limit)
        .filter_map(move |start| text.get(start..))
        .map(folded)
}

/// As terms are stored and searched for.
fn folded(text: &str) -> String {
    searched(&text.to_lowercase())
}

/// At most `limit` suggestions of each kind for `typed`, the beginning of a text or of a word; the
/// case of letters does not matter, except in sessions. Each kind is read from an index.
///
/// # Errors
///
/// Those of the database.
pub fn suggestions(
    connection: &mut dyn Connection,
    typed: &str,
    limit: usize,
) -> Result<Vec<Suggestion>, DbError> {
    let mut found = Vec::new();
    for kind in [TermKind::User, TermKind::UserName, TermKind::UserEmail] {
        of_kind(connection, kind, typed, limit, &mut found)?;
    }
    sessions(connection, typed, limit, &mut found)?;
    of_kind(connection, TermKind::Action, typed, limit, &mut found)?;
    Ok(found)
}

/// The last character: every text with a prefix is below the prefix and this.
const LAST: char = '\u{10ffff}';

fn of_kind(
    connection: &mut dyn Connection,
    kind: TermKind,
    typed: &str,
    limit: usize,
    found: &mut Vec<Suggestion>,
) -> Result<(), DbError> {
    const SELECT: &str = "SELECT value, user_id FROM terms WHERE kind = $1 AND term >= $2 AND term < $3 \
        ORDER BY term, value, user_id LIMIT $4";

    let first = folded(typed);
    let end = format!("{first}{LAST}");
    let rows = i64::try_from(limit.saturating_mul(MAX_WORDS)).unwrap_or(i64::MAX);
    let cells = [
        Cell::Text(kind.name()),
        Cell::Text(&first),
        Cell::Text(&end),
        Cell::Integer(rows),
    ];

    let begin = found.len();
    connection.query(SELECT, &cells, &mut |row| {
        let suggestion = Suggestion {
            kind,
            value: row.text(0)?.unwrap_or_default().to_owned(),
            user_id: row
                .text(1)?
                .filter(|user| !user.is_empty())
                .map(ToOwned::to_owned),
        };
        let of_kind = found.get(begin..).unwrap_or_default();
        if of_kind.len() < limit && !of_kind.contains(&suggestion) {
            found.push(suggestion);
        }
        Ok(())
    })
}

fn sessions(
    connection: &mut dyn Connection,
    typed: &str,
    limit: usize,
    found: &mut Vec<Suggestion>,
) -> Result<(), DbError> {
    const SELECT: &str = "SELECT session_key, user_id FROM sessions \
        WHERE session_key >= $1 AND session_key < $2 ORDER BY session_key LIMIT $3";

    let first = searched(typed);
    let end = format!("{first}{LAST}");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let cells = [Cell::Text(&first), Cell::Text(&end), Cell::Integer(limit)];
    connection.query(SELECT, &cells, &mut |row| {
        found.push(Suggestion {
            kind: TermKind::Session,
            value: row.text(0)?.unwrap_or_default().to_owned(),
            user_id: row.text(1)?.map(ToOwned::to_owned),
        });
        Ok(())
    })
}

/// Deletes the words that no record has had since `before`, or since a day earlier.
pub(super) fn expire(connection: &mut dyn Connection, before: i64) -> Result<(), DbError> {
    let before = [Cell::Integer(before.saturating_sub(DAY))];
    connection.execute("DELETE FROM terms WHERE last_seen_unix_nano < $1", &before)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_by_each_of_its_first_words() {
        let found = |kind, text| words(kind, text).collect::<Vec<_>>();
        assert_eq!(
            found(TermKind::UserName, " Ann  Maria Smith-Étoile a b"),
            [
                "ann  maria smith-étoile a b",
                "maria smith-étoile a b",
                "smith-étoile a b",
                "étoile a b",
                "a b",
                "b"
            ]
        );
        assert_eq!(
            found(TermKind::Action, "GET /check"),
            ["get /check", "/check", "check"]
        );
        assert_eq!(
            found(TermKind::Action, "orders.create/0"),
            ["orders.create/0", "create/0", "0"]
        );
        assert_eq!(found(TermKind::UserName, "O'Brien"), ["o'brien", "brien"]);
        assert_eq!(found(TermKind::User, "Ann Smith"), ["ann smith"]);
        assert!(found(TermKind::UserName, " ").is_empty());
    }
}
