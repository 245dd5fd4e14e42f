//! Usage: requests of a rule by user, in buckets of five minutes.

mod report;

use std::collections::BTreeMap;

pub use report::{Bucket, TOP, Usage, UsageQuery, UserRequests, report};

use super::exchange::Exchange;
use super::rows::save;
use crate::db::{Cell, Column, Connection, DbError, Table, select_in};

/// Length of a bucket, in nanoseconds.
pub const BUCKET: i64 = 300 * 1_000_000_000;

const USERS: Table = Table {
    name: "usage_users",
    columns: &[
        Column::text("rule"),
        Column::integer("bucket"),
        Column::text("user_id"),
        Column::integer("requests"),
    ],
};

const BUCKETS: Table = Table {
    name: "usage_buckets",
    columns: &[
        Column::text("rule"),
        Column::integer("bucket"),
        Column::integer("requests"),
        Column::integer("users"),
        Column::integer("user_requests"),
        Column::integer("square_sum"),
    ],
};

/// New requests of one rule in one bucket, by user; the unknown user is `""`.
type Requests<'k> = BTreeMap<&'k str, i64>;

/// Sums over the users of a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    requests: i64,
    users: i64,
    user_requests: i64,
    square_sum: i64,
}

impl Sums {
    /// Adds `more` requests of a user that had `before`.
    fn add(&mut self, user: &str, before: i64, more: i64) {
        self.requests += more;
        if user.is_empty() {
            return;
        }

        let after = before + more;
        self.users += i64::from(before == 0);
        self.user_requests += more;
        self.square_sum = self
            .square_sum
            .saturating_add(after.saturating_mul(after) - before.saturating_mul(before));
    }
}

/// Folds more records of the ledger into their buckets.
pub(super) fn fold(
    connection: &mut dyn Connection,
    exchanges: &[Exchange<'_>],
) -> Result<(), DbError> {
    let mut buckets: BTreeMap<(&str, i64), Requests<'_>> = BTreeMap::new();
    for exchange in exchanges.iter().filter(|exchange| exchange.counts()) {
        let entry = &exchange.kept.entry;
        let Some(rule) = entry.rule.as_deref() else {
            continue;
        };

        let users = buckets
            .entry((rule, entry.at.div_euclid(BUCKET)))
            .or_default();
        *users
            .entry(entry.user_id.as_deref().unwrap_or_default())
            .or_default() += 1;
    }

    let mut cells = Vec::new();
    for (&(rule, bucket), requests) in &buckets {
        let sums = fold_bucket(connection, (rule, bucket), requests)?;
        cells.extend([Cell::Text(rule), Cell::Integer(bucket)]);
        cells.extend(
            [
                sums.requests,
                sums.users,
                sums.user_requests,
                sums.square_sum,
            ]
            .map(Cell::Integer),
        );
    }

    save(connection, &BUCKETS, 2, &cells)
}

/// Adds the requests to those of the users, and returns the new sums.
fn fold_bucket(
    connection: &mut dyn Connection,
    (rule, bucket): (&str, i64),
    requests: &Requests<'_>,
) -> Result<Sums, DbError> {
    let known = known(connection, (rule, bucket), requests)?;
    let mut sums = sums(connection, (rule, bucket))?;

    let mut cells = Vec::new();
    for (&user, &more) in requests {
        let before = known.get(user).copied().unwrap_or_default();
        sums.add(user, before, more);
        cells.extend([
            Cell::Text(rule),
            Cell::Integer(bucket),
            Cell::Text(user),
            Cell::Integer(before + more),
        ]);
    }

    save(connection, &USERS, 3, &cells)?;
    Ok(sums)
}

/// Stored requests of the users that have new ones.
fn known(
    connection: &mut dyn Connection,
    (rule, bucket): (&str, i64),
    requests: &Requests<'_>,
) -> Result<BTreeMap<String, i64>, DbError> {
    const SELECT: &str =
        "SELECT user_id, requests FROM usage_users WHERE rule = $1 AND bucket = $2 AND user_id IN";

    let users: Vec<_> = requests.keys().copied().collect();
    let mut known = BTreeMap::new();
    select_in(
        connection,
        (SELECT, &[Cell::Text(rule), Cell::Integer(bucket)]),
        &users,
        &mut |row| {
            known.insert(
                row.text(0)?.unwrap_or_default().to_owned(),
                row.integer(1)?.unwrap_or_default(),
            );
            Ok(())
        },
    )?;

    Ok(known)
}

fn sums(connection: &mut dyn Connection, (rule, bucket): (&str, i64)) -> Result<Sums, DbError> {
    const SELECT: &str = "SELECT requests, users, user_requests, square_sum FROM usage_buckets \
        WHERE rule = $1 AND bucket = $2";

    let mut sums = Sums::default();
    connection.query(
        SELECT,
        &[Cell::Text(rule), Cell::Integer(bucket)],
        &mut |row| {
            let number = |column: usize| Ok::<_, DbError>(row.integer(column)?.unwrap_or_default());
            sums = Sums {
                requests: number(0)?,
                users: number(1)?,
                user_requests: number(2)?,
                square_sum: number(3)?,
            };
            Ok(())
        },
    )?;

    Ok(sums)
}

/// Lists the rules, so that the keys of the tables find the rows.
pub(super) fn expire(connection: &mut dyn Connection, before: i64) -> Result<(), DbError> {
    const USERS: &str = "DELETE FROM usage_users WHERE rule IN (SELECT DISTINCT rule FROM usage_buckets) AND bucket < $1";
    let first_kept = Cell::Integer(before.div_euclid(BUCKET));
    connection.execute(USERS, &[first_kept])?;
    connection.execute("DELETE FROM usage_buckets WHERE bucket < $1", &[first_kept])?;
    Ok(())
}
