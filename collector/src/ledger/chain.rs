//! The hash chain: the hash of each row covers the row and the hash before it.

use sha2::{Digest, Sha256};

use crate::db::{Cell, Connection, DbError, Row};

/// SHA-256.
pub type Hash = [u8; 32];

/// The hash before the first row.
pub const GENESIS: Hash = [0; 32];

/// Domain separation: keeps these hashes distinct from all others.
const DOMAIN: &[u8] = b"audit-ledger-row-v1";

/// Computes hashes; reuses its buffer for all rows.
#[derive(Debug, Default)]
pub struct Hasher {
    bytes: Vec<u8>,
}

/// A place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Position of the row, 0 before the first one.
    pub position: i64,
    /// Its hash.
    pub hash: Hash,
}

impl Head {
    /// Where every chain begins.
    pub const START: Self = Self {
        position: 0,
        hash: GENESIS,
    };
}

impl Hasher {
    /// The hash of the row at `position` that holds `cells` and follows a row with the hash
    /// `previous`.
    ///
    /// It covers the domain's name, `previous`, the position in 8 bytes, and the cells. NULL is 0.
    /// An integer is 1 and 8 bytes. Text is 2, and bytes are 3, each with the length in 8 bytes and
    /// the content. Integers are big-endian.
    pub fn row<'a>(
        &mut self,
        previous: &Hash,
        position: i64,
        cells: impl IntoIterator<Item = Cell<'a>>,
    ) -> Hash {
        self.begin(previous, position);
        for cell in cells {
            self.push(cell);
        }
        self.end()
    }

    /// Begins a row, whose cells follow by [`Self::push`] and the like.
    pub(super) fn begin(&mut self, previous: &Hash, position: i64) {
        self.bytes.clear();
        self.bytes.extend_from_slice(DOMAIN);
        self.bytes.extend_from_slice(previous);
        self.bytes.extend_from_slice(&position.to_be_bytes());
    }

    /// The hash of the row that was begun.
    pub(super) fn end(&self) -> Hash {
        Sha256::digest(&self.bytes).into()
    }

    /// A text that is there in pieces: `pieces` calls its argument with each of them, `length` bytes
    /// in all. Returns the text.
    pub(super) fn push_pieces(
        &mut self,
        length: usize,
        pieces: impl FnOnce(&mut dyn FnMut(&str)),
    ) -> &str {
        self.push_head(2, length);
        let start = self.bytes.len();
        pieces(&mut |piece| self.bytes.extend_from_slice(piece.as_bytes()));
        self.bytes
            .get(start..)
            .and_then(|text| str::from_utf8(text).ok())
            .unwrap_or_default()
    }

    /// The text of an id.
    pub(super) fn push_hex(&mut self, id: Option<&[u8]>) {
        let Some(id) = id else {
            return self.push(Cell::Null);
        };
        let length = 2 * id.len();
        self.push_head(2, length);
        let start = self.bytes.len();
        self.bytes.resize(start + length, 0);
        if let Some(digits) = self.bytes.get_mut(start..) {
            // The slice has two digits for each byte.
            let _ = hex::encode_to_slice(id, digits);
        }
    }

    /// Adds a cell to the row that was begun.
    pub(super) fn push(&mut self, cell: Cell<'_>) {
        match cell {
            Cell::Null => self.bytes.push(0),
            Cell::Integer(number) => {
                self.bytes.push(1);
                self.bytes.extend_from_slice(&number.to_be_bytes());
            }
            Cell::Text(text) => self.push_bytes(2, text.as_bytes()),
            Cell::Bytes(bytes) => self.push_bytes(3, bytes),
        }
    }

    fn push_bytes(&mut self, kind: u8, bytes: &[u8]) {
        self.push_head(kind, bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    fn push_head(&mut self, kind: u8, length: usize) {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        self.bytes.push(kind);
        self.bytes.extend_from_slice(&length.to_be_bytes());
    }
}

/// Reads a stored hash.
///
/// # Errors
///
/// When it is not 32 bytes long.
pub fn hash(bytes: Option<&[u8]>) -> Result<Hash, DbError> {
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| DbError::failed("a hash is not 32 bytes long"))
}

/// The end of the chain.
///
/// # Errors
///
/// Those of the database; also when the row holds what no collector writes.
pub fn head(connection: &mut dyn Connection) -> Result<Head, DbError> {
    let mut head = Head::START;
    connection.query(HEAD, &[], &mut |row| {
        head = read_head(row)?;
        Ok(())
    })?;
    Ok(head)
}

/// The same for a verification: `None` when the row holds what no collector writes.
pub(super) fn readable_head(connection: &mut dyn Connection) -> Result<Option<Head>, DbError> {
    let mut head = Some(Head::START);
    connection.query(HEAD, &[], &mut |row| {
        head = read_head(row).ok();
        Ok(())
    })?;
    Ok(head)
}

const HEAD: &str = "SELECT position, hash FROM head";

fn read_head(row: &dyn Row) -> Result<Head, DbError> {
    Ok(Head {
        position: row.integer(0)?.unwrap_or_default(),
        hash: hash(row.bytes(1)?)?,
    })
}

/// The end of the chain, which must continue from `known`.
///
/// # Errors
///
/// Those of the database; also when the chain ends earlier than `known`, or has another row there:
/// the database was set back or replaced. A row that retention has deleted cannot be compared.
pub(super) fn continued(connection: &mut dyn Connection, known: Head) -> Result<Head, DbError> {
    const HASH: &str = "SELECT hash FROM records WHERE position = $1";

    let head = head(connection)?;
    let mut is_continued = head == known || head.position > known.position;
    if is_continued && head != known && known != Head::START {
        connection.query(HASH, &[Cell::Integer(known.position)], &mut |row| {
            is_continued = hash(row.bytes(0)?)? == known.hash;
            Ok(())
        })?;
    }

    if is_continued {
        Ok(head)
    } else {
        Err(DbError::failed(format!(
            "row {} was acknowledged, but the database, which ends with row {}, does not have it: it \
             was set back or replaced; restart the collector to go on with it",
            known.position, head.position
        )))
    }
}

/// Moves the end of the chain.
pub(super) fn set_head(connection: &mut dyn Connection, head: Head) -> Result<(), DbError> {
    const SET: &str = "INSERT INTO head (id, position, hash) VALUES (1, $1, $2) \
        ON CONFLICT (id) DO UPDATE SET position = excluded.position, hash = excluded.hash";
    connection.execute(
        SET,
        &[Cell::Integer(head.position), Cell::Bytes(&head.hash)],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_row_counts() {
        let mut hasher = Hasher::default();
        let cells = [Cell::Text("ab"), Cell::Integer(1), Cell::Null];
        let hash = hasher.row(&GENESIS, 1, cells);

        assert_eq!(
            hash,
            hasher.row(&GENESIS, 1, cells),
            "the buffer leaves no trace"
        );

        assert_ne!(hash, hasher.row(&[1; 32], 1, cells));
        assert_ne!(hash, hasher.row(&GENESIS, 2, cells));

        for other in [
            [Cell::Text("a"), Cell::Integer(1), Cell::Null],
            [Cell::Bytes(b"ab"), Cell::Integer(1), Cell::Null],
            [Cell::Text("ab"), Cell::Integer(2), Cell::Null],
            [Cell::Text("ab"), Cell::Null, Cell::Integer(1)],
            [Cell::Text("ab"), Cell::Integer(1), Cell::Text("")],
        ] {
            assert_ne!(hash, hasher.row(&GENESIS, 1, other), "{other:?}");
        }
    }

    #[test]
    fn text_does_not_move_from_one_cell_to_the_next() {
        let mut hasher = Hasher::default();
        let first = hasher.row(&GENESIS, 1, [Cell::Text("ab"), Cell::Text("c")]);
        assert_ne!(
            first,
            hasher.row(&GENESIS, 1, [Cell::Text("a"), Cell::Text("bc")])
        );
    }

    #[test]
    fn the_hash_of_a_known_row_never_changes() {
        let hash = Hasher::default().row(
            &GENESIS,
            1,
            [Cell::Text("aud_1"), Cell::Integer(-1), Cell::Null],
        );

        let mut bytes = b"audit-ledger-row-v1".to_vec();
        bytes.extend([0; 32]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 5]);
        bytes.extend(b"aud_1");
        bytes.extend([1, 255, 255, 255, 255, 255, 255, 255, 255, 0]);

        assert_eq!(hash, Hash::from(Sha256::digest(&bytes)));
    }
}
