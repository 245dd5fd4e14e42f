//! The table of the tree.

use std::collections::BTreeMap;

use super::{BLOCK, BLOCK_LEVEL, Node, width};
use crate::db::{Cell, Column, Connection, DbError, Row, Table};
use crate::ledger::chain::{self, Hash};

/// The table: a node at `level` covers the 2^`level` rows that end with `last_position`.
pub const TREE: Table = Table {
    name: "tree",
    columns: &[
        Column::integer("level"),
        Column::integer("last_position"),
        Column::bytes("hash"),
    ],
};

/// The levels of the table, as an SQL list: all below a block for deleted rows, and each eighth.
pub(in crate::ledger) const KEPT_LEVELS: &str =
    "(0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 24, 32, 40, 48, 56)";

/// The levels below a block.
const LOW_LEVELS: &str = "(0, 1, 2, 3, 4, 5, 6, 7)";

/// Rows whose nodes are read at once for a verification: 256 blocks.
pub(in crate::ledger) const WINDOW: i64 = width(2 * BLOCK_LEVEL);

/// Nodes by level and last position.
pub(super) type Nodes = BTreeMap<(u32, i64), Hash>;

/// A row of the table as it is found; no hash when it is not 32 bytes long.
pub(in crate::ledger) struct NodeRow {
    pub(in crate::ledger) level: u32,
    pub(in crate::ledger) last: i64,
    pub(in crate::ledger) hash: Option<Hash>,
}

/// Up to which row all complete subtrees of the kept levels are in the table.
pub(in crate::ledger) fn extended(connection: &mut dyn Connection) -> Result<i64, DbError> {
    const LAST: &str = "SELECT MAX(last_position) FROM tree WHERE level = $1";

    let mut last = 0;
    connection.query(LAST, &[Cell::Integer(BLOCK_LEVEL.into())], &mut |row| {
        last = row.integer(0)?.unwrap_or_default();
        Ok(())
    })?;
    Ok(last)
}

/// The nodes at `level` that end after `from`, up to `to`, in their order.
pub(super) fn nodes(
    connection: &mut dyn Connection,
    level: u32,
    from: i64,
    to: i64,
) -> Result<Vec<Node>, DbError> {
    const NODES: &str = "SELECT level, last_position, hash FROM tree \
        WHERE level = $1 AND last_position > $2 AND last_position <= $3 ORDER BY last_position";

    let mut nodes = Vec::new();
    let cells = [level.into(), from, to].map(Cell::Integer);
    connection.query(NODES, &cells, &mut |row| {
        nodes.extend(read(row)?.node());
        Ok(())
    })?;
    Ok(nodes)
}

/// The nodes below a block that end after `from`, up to `to`.
pub(super) fn low_nodes(
    connection: &mut dyn Connection,
    from: i64,
    to: i64,
) -> Result<Nodes, DbError> {
    let select = format!(
        "SELECT level, last_position, hash FROM tree \
            WHERE level IN {LOW_LEVELS} AND last_position > $1 AND last_position <= $2"
    );

    let mut nodes = Nodes::new();
    let cells = [Cell::Integer(from), Cell::Integer(to)];
    connection.query(&select, &cells, &mut |row| {
        let node = read(row)?.node();
        nodes.extend(node.map(|node| ((node.level, node.last), node.hash)));
        Ok(())
    })?;
    Ok(nodes)
}

/// All nodes that end after `from`, up to `to`, but those at a level that no collector keeps.
pub(in crate::ledger) fn window(
    connection: &mut dyn Connection,
    from: i64,
    to: i64,
) -> Result<Vec<NodeRow>, DbError> {
    let select = format!(
        "SELECT level, last_position, hash FROM tree \
            WHERE level IN {KEPT_LEVELS} AND last_position > $1 AND last_position <= $2"
    );

    let mut rows = Vec::new();
    let cells = [Cell::Integer(from), Cell::Integer(to)];
    connection.query(&select, &cells, &mut |row| {
        rows.push(read(row)?);
        Ok(())
    })?;
    Ok(rows)
}

/// Last positions of the nodes that no collector keeps: at another level, or beyond `size` rows.
pub(in crate::ledger) fn strays(
    connection: &mut dyn Connection,
    size: i64,
) -> Result<Vec<i64>, DbError> {
    let select = format!(
        "SELECT last_position FROM tree \
            WHERE level NOT IN {KEPT_LEVELS} OR last_position > $1 OR last_position < 1"
    );

    let mut strays = Vec::new();
    connection.query(&select, &[Cell::Integer(size)], &mut |row| {
        // SQLite may hold a text there.
        strays.push(row.integer(0).ok().flatten().unwrap_or_default());
        Ok(())
    })?;
    Ok(strays)
}

/// Stores a node in the place of one that is there.
pub(super) fn store(connection: &mut dyn Connection, node: &Node) -> Result<(), DbError> {
    const STORE: &str = "INSERT INTO tree (level, last_position, hash) VALUES ($1, $2, $3) \
        ON CONFLICT (level, last_position) DO UPDATE SET hash = excluded.hash";

    let cells = [
        Cell::Integer(node.level.into()),
        Cell::Integer(node.last),
        Cell::Bytes(&node.hash),
    ];
    connection.execute(STORE, &cells)?;
    Ok(())
}

/// Removes the nodes below the block that ends with `last`.
pub(super) fn remove_low(connection: &mut dyn Connection, last: i64) -> Result<(), DbError> {
    let delete = format!(
        "DELETE FROM tree WHERE level IN {LOW_LEVELS} \
            AND last_position > $1 AND last_position <= $2"
    );
    connection.execute(&delete, &[last - BLOCK, last].map(Cell::Integer))?;
    Ok(())
}

fn read(row: &dyn Row) -> Result<NodeRow, DbError> {
    let level = row.integer(0)?.unwrap_or_default();
    Ok(NodeRow {
        level: u32::try_from(level).unwrap_or_default(),
        last: row.integer(1)?.unwrap_or_default(),
        hash: row.bytes(2).and_then(chain::hash).ok(),
    })
}

impl NodeRow {
    fn node(self) -> Option<Node> {
        let Self { level, last, hash } = self;
        hash.map(|hash| Node { level, last, hash })
    }
}
