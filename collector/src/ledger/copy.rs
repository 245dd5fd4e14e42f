//! Copies a ledger into an empty database, of the same kind or another: every row, checkpoint, cut,
//! conflict and node of the tree, with their places and hashes. Views are not copied; they are made anew.

use super::chain::{Head, head};
use super::store::table::{RECORDS, SEGMENTS, SHAPES, TEXTS};
use super::tree::TREE;
use crate::db::{Cell, Column, Connection, DbError, Kind, Row, Table};

/// Rows per query, and per insertion.
const CHUNK: i64 = 5000;

const HEAD: Table = Table {
    name: "head",
    columns: &[
        Column::integer("id"),
        Column::integer("position"),
        Column::bytes("hash"),
    ],
};

const CONFLICTS: Table = Table {
    name: "conflicts",
    columns: &[
        Column::integer("position"),
        Column::text("digest"),
        Column::text("uid"),
        Column::integer("received_at_unix_nano"),
        Column::text("content"),
    ],
};

const CHECKPOINTS: Table = Table {
    name: "checkpoints",
    columns: &[
        Column::integer("position"),
        Column::text("key_id"),
        Column::bytes("hash"),
        Column::integer("made_at_unix_nano"),
        Column::bytes("signature"),
        Column::bytes("root"),
    ],
};

const CUTS: Table = Table {
    name: "cuts",
    columns: &[
        Column::integer("first_position"),
        Column::text("statement"),
        Column::text("key_id"),
        Column::bytes("signature"),
    ],
};

/// The dictionaries.
const DICTIONARIES: [&Table; 2] = [&SHAPES, &TEXTS];

/// The tables that are small beside the rows.
const OTHERS: [&Table; 6] = [&SEGMENTS, &HEAD, &CONFLICTS, &CHECKPOINTS, &CUTS, &TREE];

/// Checkpoints of the earlier format: they sign no root.
const EARLIER_CHECKPOINTS: Table = Table {
    name: "checkpoints",
    columns: match CHECKPOINTS.columns {
        [earlier @ .., _root] => earlier,
        [] => &[],
    },
};

/// What the earlier format has beside rows and their end.
const EARLIER: [&Table; 3] = [&CONFLICTS, &EARLIER_CHECKPOINTS, &CUTS];

/// Why a ledger was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The target has a ledger already.
    #[error("the database to copy to has records already")]
    NotEmpty,
    /// One of the databases failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// Copies the ledger within the transactions that both connections are in; `to` must be one that
/// writes. Returns the end of the chain, which is the same in both.
///
/// # Errors
///
/// See [`CopyError`]; the transaction of `to` must then be rolled back.
pub fn copy(from: &mut dyn Connection, to: &mut dyn Connection) -> Result<Head, CopyError> {
    for table in [&RECORDS].into_iter().chain(DICTIONARIES).chain(OTHERS) {
        if has_rows(to, table)? {
            return Err(CopyError::NotEmpty);
        }
    }

    copy_records(from, to)?;
    for table in DICTIONARIES {
        copy_segments(from, to, table)?;
    }
    for table in OTHERS {
        copy_table(from, to, table)?;
    }
    Ok(head(to)?)
}

/// Copies checkpoints, cuts and conflicts of the earlier format, in place of those of `to`.
pub(super) fn copy_earlier(
    from: &mut dyn Connection,
    to: &mut dyn Connection,
) -> Result<(), DbError> {
    for table in EARLIER {
        to.execute(&format!("DELETE FROM {}", table.name), &[])?;
        copy_table(from, to, table)?;
    }
    Ok(())
}

fn copy_table(
    from: &mut dyn Connection,
    to: &mut dyn Connection,
    table: &Table,
) -> Result<(), DbError> {
    let select = format!("SELECT {} FROM {}", table.names(), table.name);
    copy_rows(from, to, table, (&select, &[]))?;
    Ok(())
}

/// One segment after the other: all of them together have about as many texts as half of the rows.
fn copy_segments(
    from: &mut dyn Connection,
    to: &mut dyn Connection,
    table: &Table,
) -> Result<(), DbError> {
    let next = format!("SELECT MIN(segment) FROM {} WHERE segment > $1", table.name);
    let names = table.names();
    let select = format!("SELECT {names} FROM {} WHERE segment = $1", table.name);

    let mut after = i64::from(i32::MIN);
    loop {
        let mut segment = None;
        from.query(&next, &[Cell::Integer(after)], &mut |row| {
            segment = row.integer(0)?;
            Ok(())
        })?;
        let Some(segment) = segment else {
            return Ok(());
        };
        copy_rows(from, to, table, (&select, &[Cell::Integer(segment)]))?;
        after = segment;
    }
}

fn has_rows(connection: &mut dyn Connection, table: &Table) -> Result<bool, DbError> {
    let mut found = false;
    let select = format!("SELECT 1 FROM {} LIMIT 1", table.name);
    connection.query(&select, &[], &mut |_| {
        found = true;
        Ok(())
    })?;
    Ok(found)
}

/// In slices: PostgreSQL sends all rows of a query at once.
fn copy_records(from: &mut dyn Connection, to: &mut dyn Connection) -> Result<(), DbError> {
    let select = format!(
        "SELECT {} FROM records WHERE position > $1 ORDER BY position LIMIT $2",
        RECORDS.names()
    );

    let mut after = i64::MIN;
    loop {
        let cells = [Cell::Integer(after), Cell::Integer(CHUNK)];
        match copy_rows(from, to, &RECORDS, (&select, &cells))? {
            Some(Value::Integer(position)) => after = position,
            _ => return Ok(()),
        }
    }
}

/// Copies the rows that a query returns, and returns the first cell of the last one.
fn copy_rows(
    from: &mut dyn Connection,
    to: &mut dyn Connection,
    table: &Table,
    (select, cells): (&str, &[Cell<'_>]),
) -> Result<Option<Value>, DbError> {
    let mut values = Vec::new();
    from.query(select, cells, &mut |row| {
        for (index, column) in table.columns.iter().enumerate() {
            values.push(Value::read(row, index, column.kind)?);
        }
        Ok(())
    })?;

    if !values.is_empty() {
        let cells: Vec<_> = values.iter().map(Value::cell).collect();
        to.insert(table, &cells)?;
    }
    let last = values.len().checked_sub(table.columns.len());
    Ok(last.map(|index| values.swap_remove(index)))
}

/// A cell that outlives its row.
enum Value {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    fn read(row: &dyn Row, column: usize, kind: Kind) -> Result<Self, DbError> {
        let value = match kind {
            Kind::Integer | Kind::Small => row.integer(column)?.map(Self::Integer),
            Kind::Text => row.text(column)?.map(|text| Self::Text(text.to_owned())),
            Kind::Bytes => row.bytes(column)?.map(|bytes| Self::Bytes(bytes.to_vec())),
        };
        Ok(value.unwrap_or(Self::Null))
    }

    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Integer(number) => Cell::Integer(*number),
            Self::Text(text) => Cell::Text(text),
            Self::Bytes(bytes) => Cell::Bytes(bytes),
        }
    }
}
