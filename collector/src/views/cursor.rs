//! A place in a list whose order is that of the latest records.

use std::fmt;
use std::str::FromStr;

use crate::ledger::list::NoCursor;

/// The place of an entry in such a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenCursor {
    /// When it was last seen.
    pub last_seen: i64,
    /// Its key.
    pub key: String,
}

impl fmt::Display for SeenCursor {
    /// The key in hex, so that it needs no escaping in a URL.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.last_seen, hex::encode(&self.key))
    }
}

impl FromStr for SeenCursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (last_seen, key) = text.split_once('-').ok_or(NoCursor)?;
        let key =
            String::from_utf8(hex::decode(key).map_err(|_| NoCursor)?).map_err(|_| NoCursor)?;
        let last_seen = last_seen.parse().map_err(|_| NoCursor)?;
        if key.contains('\0') {
            Err(NoCursor)
        } else {
            Ok(Self { last_seen, key })
        }
    }
}
