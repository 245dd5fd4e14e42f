//! `GET /api/usage`: how many requests a rule had, and from which users.

use std::sync::Arc;

use crate::http::json::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::parameters::{Given, Kind, Parameter, Sent};
use super::types::Nanos;
use crate::http::refusal::Refusal;
use crate::ledger::Ledger;
use crate::time::{Clock, SECOND};
use crate::views::usage::{BUCKET, UsageQuery, report};

pub(super) const PATH: &str = "/api/usage";

/// The rule when none is given: one of the filter's default rules.
const DEFAULT_RULE: &str = "check";

/// Length of the range, which ends now, when none is given.
const DEFAULT_RANGE: i64 = 6 * 3600 * SECOND;

/// Most buckets of an answer; five weeks of the shortest.
const MAX_BUCKETS: i64 = 10_000;

/// Lengths of a bucket, as multiples of the shortest.
const LENGTHS: [(&str, i64); 4] = [("5m", 1), ("15m", 3), ("1h", 12), ("1d", 288)];

pub(super) const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "rule",
        kind: Kind::Text,
        description: "`audit.rule`; `check` when absent.",
    },
    Parameter {
        name: "bucket",
        kind: Kind::Choice(&["5m", "15m", "1h", "1d"]),
        description: "Length of a bucket; `5m` when absent.",
    },
    Parameter {
        name: "from",
        kind: Kind::Time,
        description: "In the first bucket; 6 hours before the end when absent.",
    },
    Parameter {
        name: "to",
        kind: Kind::Time,
        description: "The end of the last bucket, or in it; now when absent.",
    },
];

/// Requests of a rule over time and by user. Buckets are counted whole.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub(super) struct UsageAnswer {
    /// `audit.rule`.
    rule: String,
    /// Length of a bucket.
    bucket_seconds: i64,
    /// Oldest first; only those with requests.
    buckets: Vec<BucketAnswer>,
    /// The 20 with most requests in all buckets.
    users: Vec<UserAnswer>,
}

/// Requests of a span of time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Bucket)]
pub(super) struct BucketAnswer {
    /// When it begins, in UTC.
    start_unix_nano: Nanos,
    /// All requests, those of unknown users too.
    requests: i64,
    /// How many users are known.
    unique_users: i64,
    /// Requests of a known user, on average.
    mean_per_user: f64,
    /// Standard deviation of that, over all known users.
    stddev_per_user: f64,
}

/// Requests of a user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserRequests)]
pub(super) struct UserAnswer {
    /// `user.id`.
    user_id: String,
    /// How many.
    requests: i64,
}

pub(super) async fn get(
    State(ledger): State<Arc<Ledger>>,
    State(now): State<Clock>,
    sent: Sent,
) -> Result<Json<UsageAnswer>, Refusal> {
    let now = now();
    let query = query(&mut Given::read(sent, PARAMETERS, now)?, now)?;
    let (rule, factor) = (query.rule.clone(), query.factor);

    let usage = ledger
        .read(move |connection| report(connection, &query))
        .await?;

    let buckets = usage.buckets.into_iter().map(|bucket| BucketAnswer {
        start_unix_nano: Nanos(bucket.start),
        requests: bucket.requests,
        unique_users: bucket.unique_users,
        mean_per_user: bucket.mean_per_user,
        stddev_per_user: bucket.stddev_per_user,
    });
    let users = usage.users.into_iter().map(|user| UserAnswer {
        user_id: user.user_id,
        requests: user.requests,
    });
    let (buckets, users) = (buckets.collect(), users.collect());

    Ok(Json(UsageAnswer {
        rule,
        bucket_seconds: BUCKET / SECOND * factor,
        buckets,
        users,
    }))
}

fn query(given: &mut Given, now: i64) -> Result<UsageQuery, Refusal> {
    let factor = given.choice("bucket", &LENGTHS)?.unwrap_or(1);
    let to = given.time("to")?.unwrap_or(now);
    let from = given
        .time("from")?
        .unwrap_or(to.saturating_sub(DEFAULT_RANGE));

    if to.saturating_sub(from) / (BUCKET * factor) >= MAX_BUCKETS {
        return Err(Refusal::invalid(format!(
            "from must be at most {MAX_BUCKETS} buckets before to"
        )));
    }

    let rule = given
        .text("rule")
        .unwrap_or_else(|| DEFAULT_RULE.to_owned());
    Ok(UsageQuery {
        rule,
        factor,
        from,
        to,
    })
}
