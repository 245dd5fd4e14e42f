//! All records that match a filter, oldest first, as a body that is written page by page.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, Stream};
use tokio::task::spawn_blocking;

use crate::db::DbError;
use crate::http::refusal::Refusal;
use crate::ledger::export::{Encoder, Format, PAGE};
use crate::ledger::store::decoder::Decoder;
use crate::ledger::{Filter, Ledger, Page, Start, StoredEntry};

fn content_type(format: Format) -> &'static str {
    match format {
        Format::Ndjson | Format::Ocsf | Format::Ecs => "application/x-ndjson",
        Format::Csv(_) => "text/csv; charset=utf-8; header=present",
        Format::Parquet => "application/vnd.apache.parquet",
    }
}

fn disposition(format: Format) -> &'static str {
    match format {
        Format::Ndjson => "attachment; filename=\"records.ndjson\"",
        Format::Csv(_) => "attachment; filename=\"records.csv\"",
        Format::Parquet => "attachment; filename=\"records.parquet\"",
        Format::Ocsf => "attachment; filename=\"records.ocsf.ndjson\"",
        Format::Ecs => "attachment; filename=\"records.ecs.ndjson\"",
    }
}

/// An export in progress.
struct Export {
    ledger: Arc<Ledger>,
    filter: Filter,
    start: Start,
    /// Records that may still be read.
    left: i64,
    /// Read, and not yet written.
    ahead: Option<Vec<StoredEntry>>,
    decoder: Decoder,
    /// `None` once the end is written.
    encoder: Option<Box<dyn Encoder>>,
}

/// Answers with the first page, and with the others as they are read. A later error breaks the body
/// off, so that it cannot be taken for complete.
pub(super) async fn respond(
    ledger: Arc<Ledger>,
    filter: Filter,
    start: Start,
    limit: i64,
    format: Format,
) -> Result<Response, Refusal> {
    let mut export = Export {
        ledger,
        filter,
        start,
        left: limit,
        ahead: None,
        decoder: Decoder::default(),
        encoder: Some(format.encoder().map_err(DbError::failed)?),
    };

    let first = export.next().await?;
    let headers = [
        (header::CONTENT_TYPE, content_type(format)),
        (header::CONTENT_DISPOSITION, disposition(format)),
    ];
    Ok((headers, Body::from_stream(pieces(first, export))).into_response())
}

fn pieces(first: Option<Bytes>, export: Export) -> impl Stream<Item = Result<Bytes, DbError>> {
    stream::try_unfold((first, export), |(first, mut export)| async move {
        let piece = match first {
            Some(first) => Some(first),
            None => export.next().await?,
        };
        Ok(piece.map(|piece| (piece, (None, export))))
    })
}

impl Export {
    /// The next bytes, `None` after the last. Between two calls no connection of the database is in
    /// use, however long the client takes.
    async fn next(&mut self) -> Result<Option<Bytes>, DbError> {
        while let Some(encoder) = self.encoder.take() {
            let rows = match self.ahead.take() {
                Some(rows) => rows,
                None => self.page().await?,
            };
            let is_end = rows.is_empty();

            // The next page is read while this one is written.
            let (written, ahead) = tokio::join!(encoded(encoder, rows), self.page());
            let (encoder, bytes) = written?;
            self.ahead = Some(ahead?);
            self.encoder = Some(encoder).filter(|_| !is_end);
            if !bytes.is_empty() {
                return Ok(Some(bytes.into()));
            }
        }
        Ok(None)
    }

    /// The next rows; none after the last.
    async fn page(&mut self) -> Result<Vec<StoredEntry>, DbError> {
        let limit = self.left.min(PAGE);
        if limit == 0 {
            return Ok(Vec::new());
        }

        let decoder = std::mem::take(&mut self.decoder);
        let (Page { rows, more }, decoder) = self
            .ledger
            .list_for_export(decoder, self.filter.clone(), self.start, limit)
            .await?;
        self.decoder = decoder;
        let Some(last) = rows.last() else {
            return Ok(rows);
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

        Ok(rows)
    }
}

/// The bytes of some rows, or those of the end if there are none. They are made on a thread that may
/// be busy for longer.
async fn encoded(
    mut encoder: Box<dyn Encoder>,
    rows: Vec<StoredEntry>,
) -> Result<(Box<dyn Encoder>, Vec<u8>), DbError> {
    let encoding = spawn_blocking(move || {
        let mut bytes = Vec::new();
        if rows.is_empty() {
            encoder.end(&mut bytes)?;
        } else {
            encoder.rows(&rows, &mut bytes)?;
        }
        Ok((encoder, bytes))
    });

    let result: io::Result<_> = encoding.await.map_err(DbError::failed)?;
    result.map_err(DbError::failed)
}
