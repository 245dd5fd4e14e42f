//! The report of `GET /api/usage`.

use super::BUCKET;
use crate::db::{Cell, Connection, DbError, Row};
use crate::ledger::entry::searched;

/// How many users are named.
pub const TOP: i64 = 20;

/// Parameters of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageQuery {
    /// `audit.rule`.
    pub rule: String,
    /// Length of a bucket as a multiple of [`BUCKET`], at least 1.
    pub factor: i64,
    /// The first bucket is the one with this time, in nanoseconds since the Unix epoch.
    pub from: i64,
    /// The last bucket is the one with the nanosecond before this time.
    pub to: i64,
}

/// The buckets with requests, oldest first, and the users with most of them, over all buckets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// See [`Bucket`].
    pub buckets: Vec<Bucket>,
    /// At most [`TOP`].
    pub users: Vec<UserRequests>,
}

/// Requests of a span of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// When it begins, in nanoseconds since the Unix epoch.
    pub start: i64,
    /// All requests.
    pub requests: i64,
    /// How many users are known.
    pub unique_users: i64,
    /// Requests of a known user, on average; 0 when there is none.
    pub mean_per_user: f64,
    /// Standard deviation of that, over all known users.
    pub stddev_per_user: f64,
}

/// Requests of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRequests {
    /// `user.id`.
    pub user_id: String,
    /// How many.
    pub requests: i64,
}

impl UsageQuery {
    /// Numbers of the first bucket of five minutes, and of the first one beyond the end. Both are
    /// multiples of the factor.
    fn range(&self) -> (i64, i64) {
        let length = BUCKET.saturating_mul(self.factor);
        let first = self.from.div_euclid(length);
        let end = self.to.saturating_sub(1).div_euclid(length) + 1;
        (first * self.factor, end.max(first) * self.factor)
    }
}

/// The usage of a rule.
///
/// # Errors
///
/// Those of the database.
pub fn report(connection: &mut dyn Connection, query: &UsageQuery) -> Result<Usage, DbError> {
    let rule = searched(&query.rule);
    let (first, end) = query.range();
    let cells = [Cell::Text(&rule), Cell::Integer(first), Cell::Integer(end)];

    let mut buckets = Vec::new();
    connection.query(&buckets_text(query.factor), &cells, &mut |row| {
        buckets.push(bucket(row, BUCKET.saturating_mul(query.factor))?);
        Ok(())
    })?;

    let mut users = Vec::new();
    connection.query(&users_text(), &cells, &mut |row| {
        let user_id = row.text(0)?.unwrap_or_default().to_owned();
        users.push(UserRequests {
            user_id,
            requests: row.integer(1)?.unwrap_or_default(),
        });
        Ok(())
    })?;

    Ok(Usage { buckets, users })
}

const RANGE: &str = "WHERE rule = $1 AND bucket >= $2 AND bucket < $3";

/// Buckets of five minutes have stored sums. A user may be in several of them, so longer buckets
/// are summed by user.
fn buckets_text(factor: i64) -> String {
    if factor == 1 {
        return format!(
            "SELECT bucket, requests, users, user_requests, square_sum FROM usage_buckets {RANGE} ORDER BY bucket"
        );
    }

    let by_user = format!(
        "SELECT bucket / {factor} AS number, user_id, CAST(SUM(requests) AS BIGINT) AS requests \
        FROM usage_users {RANGE} GROUP BY bucket / {factor}, user_id"
    );
    let known =
        |what: &str| format!("CAST(SUM(CASE WHEN user_id = '' THEN 0 ELSE {what} END) AS BIGINT)");

    format!(
        "SELECT number, CAST(SUM(requests) AS BIGINT), {}, {}, {} FROM ({by_user}) AS by_user GROUP BY number ORDER BY number",
        known("1"),
        known("requests"),
        known("requests * requests"),
    )
}

fn users_text() -> String {
    format!(
        "SELECT user_id, CAST(SUM(requests) AS BIGINT) AS total FROM usage_users {RANGE} AND user_id <> '' \
        GROUP BY user_id ORDER BY total DESC, user_id LIMIT {TOP}"
    )
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts are far below 2^53, and a mean needs no more"
)]
fn bucket(row: &dyn Row, length: i64) -> Result<Bucket, DbError> {
    let number = |column: usize| Ok::<_, DbError>(row.integer(column)?.unwrap_or_default());
    let (users, user_requests, square_sum) = (number(2)?, number(3)?, number(4)?);
    let many = users.max(1) as f64;

    // Whole numbers until the last step: the difference of two close squares would lose its digits.
    let spread = i128::from(users) * i128::from(square_sum)
        - i128::from(user_requests) * i128::from(user_requests);

    Ok(Bucket {
        start: number(0)?.saturating_mul(length),
        requests: number(1)?,
        unique_users: users,
        mean_per_user: user_requests as f64 / many,
        stddev_per_user: (spread.max(0) as f64).sqrt() / many,
    })
}
