//! All records that match a filter, oldest first, as a body that is written page by page.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, Stream};

use super::csv;
use crate::db::DbError;
use crate::http::refusal::Refusal;
use crate::ledger::export::write_row;
use crate::ledger::{Filter, Ledger, Page, Start, StoredEntry};

/// Records that are read and written at once.
const PAGE: i64 = 1000;

/// How a record is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum ExportFormat {
    /// One flat object per line.
    Ndjson,
    /// See [`csv`](super::csv).
    Csv,
}

impl ExportFormat {
    fn content_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }

    fn disposition(self) -> &'static str {
        match self {
            Self::Ndjson => "attachment; filename=\"records.ndjson\"",
            Self::Csv => "attachment; filename=\"records.csv\"",
        }
    }

    fn head(self) -> Result<Vec<u8>, DbError> {
        match self {
            Self::Ndjson => Ok(Vec::new()),
            Self::Csv => csv::head(),
        }
    }

    fn write(self, rows: &[StoredEntry]) -> Result<Vec<u8>, DbError> {
        match self {
            Self::Ndjson => ndjson(rows),
            Self::Csv => csv::write(rows),
        }
    }
}

fn ndjson(rows: &[StoredEntry]) -> Result<Vec<u8>, DbError> {
    let mut lines = Vec::new();
    for row in rows {
        write_row(&mut lines, row).map_err(DbError::failed)?;
    }
    Ok(lines)
}

/// An export in progress.
struct Export {
    ledger: Arc<Ledger>,
    filter: Filter,
    start: Start,
    /// Records that may still be written.
    left: i64,
    format: ExportFormat,
}

/// Answers with the first page, and with the others as they are read. A later error breaks the body
/// off, so that it cannot be taken for complete.
pub(super) async fn respond(
    ledger: Arc<Ledger>,
    filter: Filter,
    start: Start,
    limit: i64,
    format: ExportFormat,
) -> Result<Response, Refusal> {
    let mut export = Export {
        ledger,
        filter,
        start,
        left: limit,
        format,
    };

    let mut first = format.head()?;
    first.extend(export.next().await?.unwrap_or_default());

    let headers = [
        (header::CONTENT_TYPE, format.content_type()),
        (header::CONTENT_DISPOSITION, format.disposition()),
    ];
    Ok((headers, Body::from_stream(pages(first, export))).into_response())
}

fn pages(first: Vec<u8>, export: Export) -> impl Stream<Item = Result<Bytes, DbError>> {
    stream::try_unfold((Some(first), export), |(first, mut export)| async move {
        let page = match first {
            Some(first) => Some(first),
            None => export.next().await?,
        };
        Ok(page.map(|page| (Bytes::from(page), (None, export))))
    })
}

impl Export {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, DbError> {
        let limit = self.left.min(PAGE);
        if limit == 0 {
            return Ok(None);
        }

        let Page { rows, more } = self
            .ledger
            .list_for_export(self.filter.clone(), self.start, limit)
            .await?;
        let Some(last) = rows.last() else {
            return Ok(None);
        };

        self.start = match self.start {
            Start::After(_) => Start::After(last.position),
            _ => Start::Oldest(Some(last.cursor())),
        };
        let written = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        self.left = if more {
            self.left.saturating_sub(written)
        } else {
            0
        };

        self.format.write(&rows).map(Some)
    }
}
