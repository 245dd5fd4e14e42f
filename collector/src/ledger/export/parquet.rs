//! Apache Parquet: the columns with types, in row groups of bounded size.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{ColumnPath, Type};

use super::Encoder;
use super::cells::{Cell, Cells};
use super::columns::{ATTRIBUTES, COLUMNS, Column, Kind};
use crate::ledger::StoredEntry;
use crate::record::UID;

/// A row group is written once its values have this many bytes: about 10,000 records of the filter.
/// They are kept in memory until then. The footer grows by about 10 KiB with each.
const MAX_GROUP_BYTES: usize = 16 * 1024 * 1024;

/// Columns of which no two rows have the same value: a dictionary would be built in vain.
const UNIQUE: [&str; 9] = [
    "position",
    UID,
    "time",
    "time_unix_nano",
    "observed_time_unix_nano",
    "trace_id",
    "span_id",
    "hash",
    ATTRIBUTES,
];

pub(super) struct Parquet {
    file: SerializedFileWriter<Vec<u8>>,
    /// Of the row group that is not written yet, one for each column.
    values: Vec<Values>,
    bytes: usize,
}

impl Parquet {
    pub(super) fn new() -> io::Result<Self> {
        let mut properties = WriterProperties::builder()
            .set_created_by(format!("audit-collector {}", env!("CARGO_PKG_VERSION")))
            .set_compression(Compression::SNAPPY)
            // Indexes of pages would be kept in memory until the end.
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true);
        for name in UNIQUE {
            let path = ColumnPath::new(vec![name.to_owned()]);
            properties = properties.set_column_dictionary_enabled(path, false);
        }
        let fields = COLUMNS.map(|column| field(column).map(Arc::new));
        let schema = Type::group_type_builder("record")
            .with_fields(fields.into_iter().collect::<Result<_, _>>()?)
            .build()?;

        Ok(Self {
            file: SerializedFileWriter::new(
                Vec::new(),
                Arc::new(schema),
                Arc::new(properties.build()),
            )?,
            values: no_values(),
            bytes: 0,
        })
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group()?;
        for values in std::mem::replace(&mut self.values, no_values()) {
            let Some(column) = group.next_column()? else {
                break;
            };
            values.write(column)?;
        }
        group.close()?;

        self.bytes = 0;
        Ok(())
    }

    /// Moves the bytes of the file that are written and not yet in `out`.
    fn take(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.file.flush()?;
        out.append(self.file.inner_mut());
        Ok(())
    }
}

impl Encoder for Parquet {
    fn rows(&mut self, rows: &[StoredEntry], out: &mut Vec<u8>) -> io::Result<()> {
        for row in rows {
            let cells = Cells::of(row);
            for (place, values) in self.values.iter_mut().enumerate() {
                self.bytes += values.push(cells.get(place));
            }

            if self.bytes >= MAX_GROUP_BYTES {
                self.write_group()?;
                self.take(out)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        if self.bytes > 0 {
            self.write_group()?;
        }
        self.file.finish()?;
        self.take(out)
    }
}

fn field(Column { name, kind }: Column) -> Result<Type, ParquetError> {
    let time = LogicalType::timestamp(true, TimeUnit::NANOS);
    let (physical, logical) = match kind {
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Integer | Kind::Nanos => (Physical::INT64, None),
        Kind::Time => (Physical::INT64, Some(time)),
        Kind::Double => (Physical::DOUBLE, None),
    };

    Type::primitive_type_builder(name, physical)
        .with_logical_type(logical)
        .with_repetition(Repetition::OPTIONAL)
        .build()
}

/// The cells of a column: those that are not null, and for each row whether its cell is one of them.
struct Values {
    list: List,
    is_there: Vec<i16>,
}

enum List {
    Text(Texts),
    Integer(Vec<i64>),
    Double(Vec<f64>),
}

/// Texts one after the other: an allocation for each would take longer than all else.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    /// Where each text ends.
    ends: Vec<usize>,
}

fn no_values() -> Vec<Values> {
    let none = |column: Column| Values {
        list: match column.kind {
            Kind::Text => List::Text(Texts::default()),
            Kind::Integer | Kind::Nanos | Kind::Time => List::Integer(Vec::new()),
            Kind::Double => List::Double(Vec::new()),
        },
        is_there: Vec::new(),
    };
    COLUMNS.map(none).into()
}

impl Values {
    /// Adds a cell, and returns about how many bytes it takes in memory. A value of another type than
    /// that of the column is null here, and is among the attributes only.
    fn push(&mut self, cell: Option<&Cell<'_>>) -> usize {
        let before = self.list.len();
        let mut bytes = size_of::<ByteArray>();

        match &mut self.list {
            List::Text(list) => bytes += cell.map_or(0, |cell| list.push(&cell.text())),
            List::Integer(list) => list.extend(cell.and_then(Cell::integer)),
            List::Double(list) => list.extend(cell.and_then(Cell::double)),
        }

        self.is_there.push((self.list.len() > before).into());
        bytes
    }

    fn write(self, mut column: SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let is_there = Some(self.is_there.as_slice());
        match self.list {
            List::Text(texts) => {
                column
                    .typed::<ByteArrayType>()
                    .write_batch(&texts.cells(), is_there, None)?
            }
            List::Integer(cells) => column
                .typed::<Int64Type>()
                .write_batch(&cells, is_there, None)?,
            List::Double(cells) => column
                .typed::<DoubleType>()
                .write_batch(&cells, is_there, None)?,
        };
        column.close()
    }
}

impl List {
    fn len(&self) -> usize {
        match self {
            Self::Text(texts) => texts.ends.len(),
            Self::Integer(cells) => cells.len(),
            Self::Double(cells) => cells.len(),
        }
    }
}

impl Texts {
    /// Adds a text, and returns its length.
    fn push(&mut self, text: &str) -> usize {
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(self.bytes.len());
        text.len()
    }

    /// The texts; they share their bytes.
    fn cells(self) -> Vec<ByteArray> {
        let (bytes, mut start) = (Bytes::from(self.bytes), 0);
        let cell = |end| bytes.slice(std::mem::replace(&mut start, end)..end).into();
        self.ends.into_iter().map(cell).collect()
    }
}
