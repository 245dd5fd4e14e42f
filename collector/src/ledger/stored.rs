//! A row of the ledger as it is read, and its place in the order of time.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::chain::Hash;
use super::entry::{CLOCK_SKEW, Entry};
use crate::record::UID;

/// A place in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// [`Entry::at`] of the record.
    pub at: i64,
    /// Its position.
    pub position: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.at, self.position)
    }
}

/// The text is not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor that an answer gave")]
pub struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (at, position) = text.split_once('-').ok_or(NoCursor)?;
        let number = |digits: &str| digits.parse::<i64>().map_err(|_| NoCursor);
        Ok(Self {
            at: number(at)?,
            position: number(position)?,
        })
    }
}

/// A row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its position in the chain, from 1.
    pub position: i64,
    /// Its hash.
    pub hash: Hash,
    /// Its content.
    pub entry: Entry,
    /// Whether another record came with its uid.
    pub conflict: bool,
    /// Whether its content cannot be read, or its columns contradict it.
    pub is_damaged: bool,
}

impl StoredEntry {
    /// Where it is in the order of time.
    pub fn cursor(&self) -> Cursor {
        Cursor {
            at: self.entry.at,
            position: self.position,
        }
    }

    /// Whether its time cannot be believed.
    pub fn is_skewed(&self) -> bool {
        self.entry.flags & CLOCK_SKEW != 0
    }

    /// All attributes and fields as one flat object, as the API and the exports show them. Damaged
    /// attributes are left out.
    pub fn flat(&self) -> Map<String, Value> {
        let mut flat = self.entry.flat();
        flat.insert(UID.to_owned(), self.entry.uid.clone().into());
        flat.insert(
            "received_at_unix_nano".to_owned(),
            self.entry.received_at.to_string().into(),
        );
        flat.insert("position".to_owned(), self.position.into());
        flat.insert("hash".to_owned(), hex::encode(self.hash).into());
        flat.insert("flags".to_owned(), self.flags().into());

        flat
    }

    /// Names of the reasons to doubt the record, of [`FLAGS`].
    pub fn flags(&self) -> Vec<&'static str> {
        let set = [self.is_skewed(), self.conflict, self.is_damaged];

        FLAGS
            .into_iter()
            .zip(set)
            .filter_map(|(name, set)| set.then_some(name))
            .collect()
    }
}

/// Reasons to doubt a record: its clock, another record with its uid, attributes that cannot be read.
pub const FLAGS: [&str; 3] = ["clock_skew", "conflict", "damaged"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_from_its_text() {
        let cursor = Cursor {
            at: i64::MAX,
            position: 7,
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "7", "a-b", "1-", "-1", "1-2-3"] {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
        }
    }
}
