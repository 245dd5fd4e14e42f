//! The table of logs that the ClickHouse exporters of the OpenTelemetry Collector and of Rotel fill,
//! over ClickHouse's HTTP interface.

use std::io::{BufRead, BufReader, Read as _};
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::crypto::ring;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body, http};

use super::lines::{LineError, Lines};
use crate::otlp::decode_line;
use crate::record::Content;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How long the server may take until it answers. The rows behind that may take any time.
const ANSWER: Duration = Duration::from_secs(300);

/// Most bytes of an error of the server that are repeated.
const MAX_MESSAGE_BYTES: u64 = 500;

/// Where the table is, and the right to read it.
#[derive(Clone, Debug)]
pub struct Table {
    /// Address of the HTTP interface. Its query parameters, such as `database`, are passed on.
    pub url: String,
    /// Name of the table, with or without that of its database.
    pub name: String,
    /// Name of the user; `default` without one.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
}

/// Why a table could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The name is not that of a table.
    #[error(
        "not the name of a table: letters, digits and _, with or without the name of a database"
    )]
    Name,
    /// There is no answer.
    #[error(transparent)]
    Unanswered(#[from] ureq::Error),
    /// The server refuses the query, or gives up.
    #[error("ClickHouse answers: {0}")]
    Refused(String),
    /// Its answer is not what was requested.
    #[error("{0}")]
    Row(#[from] LineError),
}

/// Calls `each` for the records of a table, in any order.
///
/// # Errors
///
/// See [`TableError`]. An answer that breaks off is one.
pub fn read_table(table: &Table, each: impl FnMut(Content)) -> Result<(), TableError> {
    let mut request = agent().post(&table.url);
    if let Some(user) = &table.user {
        request = request.header("x-clickhouse-user", user);
    }
    if let Some(password) = &table.password {
        request = request.header("x-clickhouse-key", password);
    }

    let response = request.send(query(&table.name)?)?;
    let status = response.status();
    let mut body = response.into_body();
    if status != http::StatusCode::OK {
        return Err(TableError::Refused(message(&mut body)?));
    }
    rows(
        &mut BufReader::with_capacity(1 << 18, body.as_reader()),
        each,
    )
}

/// Each row as one line in the form of the filter's NDJSON. For equal names, the record takes
/// precedence over the scope, and the scope over the resource.
fn query(table: &str) -> Result<String, TableError> {
    let is_name = |name: &str| {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        !name.is_empty() && name.chars().all(allowed)
    };
    let (database, name) = table.split_once('.').unwrap_or(("default", table));
    if !is_name(database) || !is_name(name) {
        return Err(TableError::Name);
    }

    Ok(format!(
        "SELECT toJSONString(mapUpdate( \
           mapUpdate(mapUpdate(ResourceAttributes, ScopeAttributes), LogAttributes), \
           map('time_unix_nano', toString(toUnixTimestamp64Nano(Timestamp)), 'body', Body))) \
         FROM {table} FORMAT TSVRaw"
    ))
}

fn rows(answer: &mut dyn BufRead, mut each: impl FnMut(Content)) -> Result<(), TableError> {
    let mut lines = Lines::new(answer);
    while let Some(line) = lines.next_line()? {
        // ClickHouse answers 200 first, and reports what fails later behind the rows.
        if !line.starts_with(b"{") {
            let begin = line.to_vec();
            return Err(TableError::Refused(exception(begin, &mut lines)?));
        }
        decode_line(line, &mut each).map_err(|why| lines.invalid(why))?;
    }
    Ok(())
}

/// The error behind the rows. Newer servers write it as a block: `__exception__`, a tag, the text,
/// its length, the tag, `__exception__`.
fn exception(mut text: Vec<u8>, lines: &mut Lines<'_>) -> Result<String, LineError> {
    let most = usize::try_from(MAX_MESSAGE_BYTES).unwrap_or_default();
    while text.len() < most
        && let Some(line) = lines.next_line()?
    {
        text.push(b' ');
        text.extend_from_slice(line);
    }

    let text = excerpt(&text);
    let mut words = text.split_whitespace().peekable();
    if words.next_if_eq(&"__exception__").is_none() {
        return Ok(words.collect::<Vec<_>>().join(" "));
    }
    let tag = words.next();
    let mut message: Vec<_> = words
        .by_ref()
        .take_while(|word| Some(*word) != tag)
        .collect();
    if words.next().is_some() {
        message.pop();
    }
    Ok(message.join(" "))
}

fn message(body: &mut Body) -> Result<String, TableError> {
    let mut text = Vec::new();
    let read = body
        .as_reader()
        .take(MAX_MESSAGE_BYTES)
        .read_to_end(&mut text);
    read.map_err(ureq::Error::from)?;
    Ok(excerpt(&text))
}

fn excerpt(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let end = text.floor_char_boundary(usize::try_from(MAX_MESSAGE_BYTES).unwrap_or_default());
    text.get(..end).unwrap_or_default().trim().to_owned()
}

/// Trusts the authorities that the system trusts, as the connection to PostgreSQL does.
fn agent() -> Agent {
    let certificates = rustls_native_certs::load_native_certs().certs;
    let certificates = certificates
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned());

    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .root_certs(RootCerts::new_with_certs(&certificates.collect::<Vec<_>>()));

    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(ANSWER))
        .tls_config(tls.build());
    config.build().into()
}
