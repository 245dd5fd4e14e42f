//! An export of the collector in Parquet: a few columns, and all attributes as one JSON text.

use std::fs::File;
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;

use super::RECEIVED_AT;
use crate::record::Content;

/// All attributes of a record, as a JSON object.
const ATTRIBUTES: &str = "attributes";
const EVENT_NAME: &str = "event_name";
const TIME: &str = "time_unix_nano";
const OBSERVED_TIME: &str = "observed_time_unix_nano";
const SEVERITY: &str = "severity_number";
const TRACE_ID: &str = "trace_id";
const SPAN_ID: &str = "span_id";
const BODY: &str = "body";

/// The columns that are read. The others repeat attributes.
const COLUMNS: [&str; 9] = [
    ATTRIBUTES,
    EVENT_NAME,
    TIME,
    OBSERVED_TIME,
    RECEIVED_AT,
    SEVERITY,
    TRACE_ID,
    SPAN_ID,
    BODY,
];

/// Why a file could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is no Parquet file, or a damaged one.
    #[error("not a readable Parquet file: {0}")]
    Parquet(#[from] ParquetError),
    /// The place of a column is outside the file.
    #[error("not a readable Parquet file: row group {0} has a column outside the file")]
    Place(usize),
    /// It is not an export of the collector.
    #[error("it has no column {ATTRIBUTES}")]
    Columns,
    /// A row holds no record.
    #[error("row {0}: {ATTRIBUTES} is not a JSON object: {1}")]
    Row(u64, serde_json::Error),
}

/// Calls `each` for the records of a file. Pages are in memory one at a time for each column.
///
/// # Errors
///
/// See [`FileError`]. The records of the rows before are passed on.
pub fn read_parquet(file: File, mut each: impl FnMut(Content)) -> Result<(), FileError> {
    let length = file.metadata().map_err(ParquetError::from)?.len();
    let reader = SerializedFileReader::new(file)?;
    check_places(reader.metadata(), length)?;
    let columns = columns(reader.metadata().file_metadata().schema())?;

    for (number, row) in (1..).zip(reader.get_row_iter(Some(columns))?) {
        each(content(&row?).map_err(|cause| FileError::Row(number, cause))?);
    }
    Ok(())
}

/// The reader checks neither places nor lengths: it panics at negative ones.
fn check_places(metadata: &ParquetMetaData, length: u64) -> Result<(), FileError> {
    let is_inside = |column: &ColumnChunkMetaData| {
        let first = column
            .dictionary_page_offset()
            .unwrap_or(column.data_page_offset());
        let first = u64::try_from(first).ok();
        let bytes = u64::try_from(column.compressed_size()).ok();
        let end = first
            .zip(bytes)
            .and_then(|(first, bytes)| first.checked_add(bytes));
        end.is_some_and(|end| end <= length)
    };

    for (number, group) in (1..).zip(metadata.row_groups()) {
        if !group.columns().iter().all(is_inside) {
            return Err(FileError::Place(number));
        }
    }
    Ok(())
}

/// Those of the columns that the file has.
fn columns(schema: &Type) -> Result<Type, FileError> {
    let fields = schema.get_fields().iter();
    let read: Vec<Arc<Type>> = fields
        .filter(|field| field.is_primitive() && COLUMNS.contains(&field.name()))
        .cloned()
        .collect();
    if !read.iter().any(|field| field.name() == ATTRIBUTES) {
        return Err(FileError::Columns);
    }

    let builder = Type::group_type_builder(schema.name()).with_fields(read);
    Ok(builder.build()?)
}

/// A cell of another type than the export has counts as null.
fn content(row: &Row) -> Result<Content, serde_json::Error> {
    let mut content = Content::default();
    let mut received_at = None;

    for (name, field) in row.get_column_iter() {
        match (name.as_str(), field) {
            (ATTRIBUTES, Field::Str(text)) => content.attributes = serde_json::from_str(text)?,
            (EVENT_NAME, Field::Str(text)) => content.event_name.clone_from(text),
            (TIME, Field::Long(time)) => content.time_unix_nano = *time,
            (OBSERVED_TIME, Field::Long(time)) => content.observed_time_unix_nano = *time,
            (SEVERITY, Field::Long(severity)) => {
                content.severity_number = i32::try_from(*severity).unwrap_or_default();
            }
            (TRACE_ID, Field::Str(text)) => content.trace_id = Some(text.clone()),
            (SPAN_ID, Field::Str(text)) => content.span_id = Some(text.clone()),
            (BODY, Field::Str(text)) => content.body = Some(text.clone()),
            (RECEIVED_AT, Field::Long(time)) => received_at = Some(*time),
            _ => {}
        }
    }

    if let Some(time) = received_at {
        content
            .attributes
            .insert(RECEIVED_AT.to_owned(), time.into());
    }
    Ok(content)
}
