//! `audit-collector verify --from parquet`, on files with the columns of the collector's own Parquet.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;

use audit_collector::far_end::{FileError, read_parquet};
use parquet::basic::{Compression, GzipLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Map, Value};
use tempfile::TempDir;

use crate::far_end::{assert_names_golden, golden_lines};
use crate::process::command;

/// Columns in the order in which [`write`] fills them. `trace_id` stands for those that are not read.
const SCHEMA: &str = "message record {
    OPTIONAL BYTE_ARRAY trace_id (STRING);
    OPTIONAL INT64 time_unix_nano;
    OPTIONAL INT64 received_at_unix_nano;
    OPTIONAL BYTE_ARRAY event_name (STRING);
    OPTIONAL BYTE_ARRAY attributes (STRING);
}";

/// Writes lines of the filter, two to a row group, with all keys as attributes.
fn write(directory: &TempDir, schema: &str, lines: &[String]) -> PathBuf {
    write_with(Compression::SNAPPY, directory, schema, lines)
}

fn write_with(codec: Compression, directory: &TempDir, schema: &str, lines: &[String]) -> PathBuf {
    let path = directory.path().join("records.parquet");
    let properties = WriterProperties::builder().set_compression(codec).build();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut file = SerializedFileWriter::new(
        File::create(&path).unwrap(),
        schema.clone(),
        Arc::new(properties),
    )
    .unwrap();

    for part in lines.chunks(2) {
        let records: Vec<Map<String, Value>> = part
            .iter()
            .map(|line| serde_json::from_str(line).unwrap_or_default())
            .collect();
        let there = vec![1; part.len()];
        let mut group = file.next_row_group().unwrap();
        for field in schema.get_fields() {
            let mut column = group.next_column().unwrap().unwrap();
            match field.name() {
                "time_unix_nano" | "received_at_unix_nano" => {
                    let times = records
                        .iter()
                        .map(|record| record["time_unix_nano"].as_i64().unwrap());
                    let times: Vec<_> = times.collect();
                    column
                        .typed::<Int64Type>()
                        .write_batch(&times, Some(&there), None)
                        .unwrap();
                }
                "trace_id" => {
                    let none = vec![0; part.len()];
                    column
                        .typed::<ByteArrayType>()
                        .write_batch(&[], Some(&none), None)
                        .unwrap();
                }
                _ => {
                    let texts = records
                        .iter()
                        .zip(part)
                        .map(|(record, line)| match field.name() {
                            "event_name" => record["event_name"].as_str().unwrap().to_owned(),
                            _ => line.clone(),
                        });
                    let texts: Vec<_> = texts
                        .map(|text| ByteArray::from(text.into_bytes()))
                        .collect();
                    column
                        .typed::<ByteArrayType>()
                        .write_batch(&texts, Some(&there), None)
                        .unwrap();
                }
            }
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    file.close().unwrap();
    path
}

/// Exit code, output and errors.
fn verify(file: &PathBuf) -> (Option<i32>, String, String) {
    let output = command(&["verify", "--from", "parquet"])
        .arg(file)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn the_rows_of_a_file_are_read_and_what_is_missing_is_named() {
    let directory = TempDir::new().unwrap();
    let mut lines = golden_lines();
    let (code, text, _) = verify(&write(&directory, SCHEMA, &lines));
    assert_eq!(code, Some(0), "{text}");
    assert_names_golden(&text);

    lines.remove(3);
    let (code, text, _) = verify(&write(&directory, SCHEMA, &lines));
    assert!(
        code == Some(1) && text.contains("    3 to 3 missing\n"),
        "{text}"
    );
}

#[test]
fn what_is_no_file_of_records_is_named() {
    let directory = TempDir::new().unwrap();
    let other = "message record { OPTIONAL BYTE_ARRAY event_name (STRING); }";
    let (code, _, error) = verify(&write(&directory, other, &golden_lines()));
    assert!(
        code == Some(2) && error.ends_with(": it has no column attributes\n"),
        "{error}"
    );

    let schema = "message record { OPTIONAL BYTE_ARRAY attributes (STRING); }";
    let path = write(
        &directory,
        schema,
        &[golden_lines().remove(0), "7".to_owned()],
    );
    let (code, _, error) = verify(&path);
    let row = ": row 2: attributes is not a JSON object: invalid type: integer `7`, expected a map";
    assert!(code == Some(2) && error.contains(row), "{error}");

    // Its end, which has the places of all columns, is cut off.
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, bytes.split_at(bytes.len() - 5).0).unwrap();
    let (code, text, error) = verify(&path);
    assert_eq!((code, &*text), (Some(2), ""));
    assert!(error.contains("not a readable Parquet file: "), "{error}");
}

#[test]
fn a_file_that_another_tool_wrote_with_gzip_is_read() {
    let directory = TempDir::new().unwrap();
    let codec = Compression::GZIP(GzipLevel::default());
    let path = write_with(codec, &directory, SCHEMA, &golden_lines());
    let (code, text, error) = verify(&path);
    assert_eq!(code, Some(0), "{text}{error}");
}

#[test]
fn stdin_is_no_parquet_file() {
    let (code, _, error) = verify(&PathBuf::from("-"));
    assert_eq!(code, Some(2));
    assert!(
        error.ends_with("-: --from parquet reads files, and not stdin\n"),
        "{error}"
    );
}

/// The metadata at the end have the places of the columns, as varints whose lowest bit is the sign.
#[test]
fn a_place_that_is_damaged_is_an_error_and_no_panic() {
    const FOOTER: usize = 8;
    let directory = TempDir::new().unwrap();
    let path = write(&directory, SCHEMA, &golden_lines()[..2]);
    let whole = fs::read(&path).unwrap();
    let end = whole.len() - FOOTER;
    let length = u32::from_le_bytes(whole[end..end + 4].try_into().unwrap());

    let mut places = 0;
    for place in end - usize::try_from(length).unwrap()..end {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        fs::write(&path, damaged).unwrap();
        if let Err(FileError::Place(group)) = read_parquet(File::open(&path).unwrap(), |_| ()) {
            assert_eq!(group, 1);
            places += 1;
        }
    }
    assert!(places >= 4, "{places}");
}

/// [`write`] fills the body with the whole line.
#[test]
fn a_repeat_with_another_body_is_a_conflict() {
    let directory = TempDir::new().unwrap();
    let mut lines = golden_lines();
    lines.push(lines[1].replacen('{', r#"{"pod":"p","#, 1));
    let (code, text, _) = verify(&write(&directory, SCHEMA, &lines));
    assert_eq!(code, Some(0), "{text}");

    let with_body = SCHEMA.replace('}', "OPTIONAL BYTE_ARRAY body (STRING); }");
    let (code, text, _) = verify(&write(&directory, &with_body, &lines));
    assert!(code == Some(1) && text.contains("conflicts: 1\n"), "{text}");
}
