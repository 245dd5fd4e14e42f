//! `GET /api/streams`: the completeness of the streams.

use std::sync::Arc;

use crate::http::json::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::paging::{page, with_next};
use super::parameters::{CURSOR, Given, Kind, LIMIT, Parameter, Sent};
use crate::completeness::{Moment, Status, StreamReport};
use crate::http::refusal::Refusal;
use crate::ledger::Ledger;
use crate::time::{Clock, nanos};
use crate::views::streams::{StreamQuery, StreamStatus, Summary, list, summary};
use crate::views::{self, SeenCursor};

pub(super) const PATH: &str = "/api/streams";

const STATUSES: [(&str, StreamStatus); 5] = [
    ("gap", StreamStatus::Gap),
    ("open", StreamStatus::Open),
    ("complete", StreamStatus::Complete),
    ("silent", StreamStatus::Silent),
    ("ended", StreamStatus::Ended),
];

pub(super) const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "status",
        kind: Kind::Choice(&["gap", "open", "complete", "silent", "ended"]),
        description: "`gap`, `open`, `complete`: of this status. `silent`: of this life. `ended`: those that have ended \
            completely. When absent: all but the ended ones.",
    },
    Parameter {
        name: "summary",
        kind: Kind::Flag,
        description: "Only the sums, without a list.",
    },
    LIMIT,
    CURSOR,
];

/// All streams together, and a page of them. Numbers of a single stream count as 10^12 at most.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Streams)]
pub(super) struct StreamsAnswer {
    /// The worst of the streams.
    status: Status,
    /// Records in the ledger, including those without a stream and those deleted by retention.
    records: i64,
    /// Sum over the streams.
    explained_losses: i64,
    /// Sum over the streams.
    open_numbers: i64,
    /// Sum over the streams.
    unexplained_numbers: i64,
    /// Records that came with the uid of another record.
    conflicts: i64,
    /// Streams of status `gap`.
    gap_streams: i64,
    /// Streams of status `open`.
    open_streams: i64,
    /// Streams of status `complete`, the ended ones too.
    complete_streams: i64,
    /// Streams without an end that have been silent for more than twice their announced interval.
    silent_streams: i64,
    /// Those that have ended completely.
    ended: EndedAnswer,
    /// Last seen first; absent from a summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    streams: Option<Vec<StreamReport>>,
    /// For the next page; null when there is none.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Streams that have ended or crashed, with every number received or explained.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EndedStreams)]
pub(super) struct EndedAnswer {
    /// How many.
    streams: i64,
    /// Sum of their received numbers.
    received: i64,
    /// Sum of their losses.
    explained_losses: i64,
}

impl From<Summary> for StreamsAnswer {
    fn from(summary: Summary) -> Self {
        let ended = summary.ended;
        Self {
            status: summary.status,
            records: summary.records,
            explained_losses: summary.explained_losses,
            open_numbers: summary.open_numbers,
            unexplained_numbers: summary.unexplained_numbers,
            conflicts: summary.conflicts,
            gap_streams: summary.gap_streams,
            open_streams: summary.open_streams,
            complete_streams: summary.complete_streams,
            silent_streams: summary.silent_streams,
            ended: EndedAnswer {
                streams: ended.streams,
                received: ended.received,
                explained_losses: ended.explained_losses,
            },
            streams: None,
            next_cursor: None,
        }
    }
}

pub(super) async fn get(
    State(ledger): State<Arc<Ledger>>,
    State(views): State<Arc<views::Settings>>,
    State(now): State<Clock>,
    sent: Sent,
) -> Result<Json<StreamsAnswer>, Refusal> {
    let now = now();
    let given = Given::read(sent, PARAMETERS, now)?;
    let moment = Moment {
        now,
        grace: nanos(views.grace),
    };

    if given.flag("summary")? {
        if ["status", "limit", "cursor"]
            .iter()
            .any(|name| given.has(name))
        {
            let message = "summary cannot be combined with status, limit or cursor";
            return Err(Refusal::invalid(message));
        }
        let summary = ledger
            .read(move |connection| summary(connection, moment))
            .await?;
        return Ok(Json(summary.into()));
    }

    let query = StreamQuery {
        status: given.choice("status", &STATUSES)?,
        before: given.cursor()?,
    };
    let limit = given.limit()?;
    let (summary, found) = ledger
        .read(move |connection| {
            let found = list(connection, &query, moment, with_next(limit))?;
            Ok((summary(connection, moment)?, found))
        })
        .await?;

    let (streams, next_cursor) = page(found, limit, cursor);
    Ok(Json(StreamsAnswer {
        streams: Some(streams),
        next_cursor,
        ..StreamsAnswer::from(summary)
    }))
}

fn cursor(stream: &StreamReport) -> String {
    SeenCursor {
        last_seen: stream.last_seen_unix_nano,
        key: stream.stream_id.clone(),
    }
    .to_string()
}
