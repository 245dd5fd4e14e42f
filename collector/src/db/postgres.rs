//! A PostgreSQL database. Every commit waits until it is on the server's disk.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use bytes::BytesMut;
use postgres::binary_copy::BinaryCopyInWriter;
use postgres::config::SslMode;
use postgres::error::SqlState;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Config, NoTls, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    Cell, Connection, Database, DbError, EachRow, Interrupter, Kind, OpenError, Row, Table,
};

/// How long connecting may take; a sender's usual timeout is 5 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Timeout for a server that has vanished.
const TCP_TIMEOUT: Duration = Duration::from_secs(10);

/// The server may have `synchronous_commit` off, but nothing may be acknowledged before it is
/// durable. A lock that another connection holds for longer makes the call fail as busy.
const SETTINGS: &str =
    "SET synchronous_commit = on; SET lock_timeout = '2s'; SET client_min_messages = 'warning'";

/// Number of the advisory lock that the one writer holds ("audit" in ASCII).
const WRITER_LOCK: i64 = 0x61_75_64_69_74;

/// A [`Database`] on a PostgreSQL server, version 12 or later. With TLS, the system must trust its
/// certificate.
pub struct PostgresDatabase {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

impl PostgresDatabase {
    /// The database at `url`, `postgres://user:password@host/name?sslmode=...`.
    ///
    /// # Errors
    ///
    /// [`OpenError::Url`] when it cannot be parsed, or requires TLS on a system that trusts no
    /// certificate.
    pub fn new(url: &str) -> Result<Self, OpenError> {
        let mut config = Config::from_str(url).map_err(|error| OpenError::Url(error.into()))?;
        config
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_user_timeout(TCP_TIMEOUT)
            .application_name("audit-collector");

        let tls = MakeRustlsConnect::with_native_certs()
            .ok()
            .map(|(tls, _)| tls);

        if tls.is_none() && config.get_ssl_mode() == SslMode::Require {
            return Err(OpenError::Url(
                "sslmode=require, but the system trusts no certificate".into(),
            ));
        }

        Ok(Self { config, tls })
    }
}

impl Database for PostgresDatabase {
    fn connect(&self) -> Result<Box<dyn Connection>, DbError> {
        let mut client = match &self.tls {
            Some(tls) => self.config.connect(tls.clone())?,
            None => self.config.connect(NoTls)?,
        };
        client.batch_execute(SETTINGS)?;
        Ok(Box::new(PostgresConnection {
            client: Some(client),
            tls: self.tls.clone(),
            prepared: HashMap::new(),
        }))
    }
}

struct PostgresConnection {
    /// Only absent while it is dropped.
    client: Option<Client>,
    /// For the connection that cancels a statement of this one.
    tls: Option<MakeRustlsConnect>,
    prepared: HashMap<String, Statement>,
}

impl Drop for PostgresConnection {
    /// The driver waits for the server in its own runtime, which panics on a thread of another
    /// runtime.
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            std::thread::spawn(move || drop(client));
        }
    }
}

/// Prepared statements per connection; queries with many optional conditions have many texts.
const PREPARED: usize = 256;

impl PostgresConnection {
    fn client(&mut self) -> Result<&mut Client, DbError> {
        self.client
            .as_mut()
            .ok_or_else(|| DbError::failed("the connection is closed"))
    }

    fn prepared(&mut self, sql: &str) -> Result<Statement, DbError> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client()?.prepare(sql)?;
        if self.prepared.len() >= PREPARED {
            self.prepared.clear();
        }
        self.prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Connection for PostgresConnection {
    fn execute(&mut self, sql: &str, cells: &[Cell<'_>]) -> Result<u64, DbError> {
        let statement = self.prepared(sql)?;
        let cells: Vec<&(dyn ToSql + Sync)> = cells.iter().map(|cell| cell as _).collect();
        Ok(self.client()?.execute(&statement, &cells)?)
    }

    fn query(&mut self, sql: &str, cells: &[Cell<'_>], each: EachRow<'_>) -> Result<(), DbError> {
        let statement = self.prepared(sql)?;
        let mut rows = self
            .client()?
            .query_raw(&statement, cells.iter().copied())?;
        while let Some(row) = rows.next()? {
            each(&row)?;
        }
        Ok(())
    }

    fn insert(&mut self, table: &Table, cells: &[Cell<'_>]) -> Result<(), DbError> {
        let types: Vec<Type> = table
            .columns
            .iter()
            .map(|column| column.kind.into())
            .collect();

        let copy = self.client()?.copy_in(&copy_text(table))?;
        let mut writer = BinaryCopyInWriter::new(copy, &types);
        for row in cells.chunks(table.columns.len()) {
            writer.write_raw(row.iter().copied())?;
        }

        writer.finish()?;
        Ok(())
    }

    fn begin_write(&mut self) -> Result<(), DbError> {
        self.client()?.batch_execute("BEGIN")?;
        self.execute(
            "SELECT pg_advisory_xact_lock($1)",
            &[Cell::Integer(WRITER_LOCK)],
        )?;
        Ok(())
    }

    fn begin_read(&mut self) -> Result<(), DbError> {
        Ok(self
            .client()?
            .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?)
    }

    fn commit(&mut self) -> Result<(), DbError> {
        Ok(self.client()?.batch_execute("COMMIT")?)
    }

    fn rollback(&mut self) {
        let _ = self
            .client()
            .and_then(|client| Ok(client.batch_execute("ROLLBACK")?));
    }

    fn is_lost(&self) -> bool {
        self.client.as_ref().is_none_or(Client::is_closed)
    }

    fn interrupter(&self) -> Interrupter {
        let token = self.client.as_ref().map(Client::cancel_token);
        let tls = self.tls.clone();

        // A failure is ignored: the caller repeats the call while the statement runs.
        Box::new(move || {
            let _ = match (&token, &tls) {
                (None, _) => return,
                (Some(token), Some(tls)) => token.cancel_query(tls.clone()),
                (Some(token), None) => token.cancel_query(NoTls),
            };
        })
    }
}

/// `COPY table (a, b) FROM STDIN (FORMAT binary)`.
fn copy_text(table: &Table) -> String {
    format!(
        "COPY {} ({}) FROM STDIN (FORMAT binary)",
        table.name,
        table.names()
    )
}

impl From<Kind> for Type {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Integer => Self::INT8,
            Kind::Small => Self::INT4,
            Kind::Text => Self::TEXT,
            Kind::Bytes => Self::BYTEA,
        }
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, super::Cause> {
        match *self {
            Cell::Null => Ok(IsNull::Yes),
            Cell::Integer(number) if *kind == Type::INT4 => {
                i32::try_from(number)?.to_sql(&Type::INT4, out)
            }
            Cell::Integer(number) => number.to_sql(&Type::INT8, out),
            Cell::Text(text) => text.to_sql(&Type::TEXT, out),
            Cell::Bytes(bytes) => bytes.to_sql(&Type::BYTEA, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        matches!(
            *kind,
            Type::INT4 | Type::INT8 | Type::TEXT | Type::VARCHAR | Type::BYTEA
        )
    }

    to_sql_checked!();
}

impl Row for postgres::Row {
    fn integer(&self, column: usize) -> Result<Option<i64>, DbError> {
        let is_small = self
            .columns()
            .get(column)
            .is_some_and(|column| *column.type_() == Type::INT4);
        if is_small {
            return Ok(self.try_get::<_, Option<i32>>(column)?.map(i64::from));
        }
        Ok(self.try_get(column)?)
    }

    fn text(&self, column: usize) -> Result<Option<&str>, DbError> {
        Ok(self.try_get(column)?)
    }

    fn bytes(&self, column: usize) -> Result<Option<&[u8]>, DbError> {
        Ok(self.try_get(column)?)
    }
}

impl From<postgres::Error> for DbError {
    fn from(error: postgres::Error) -> Self {
        let busy = [
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
        ];
        match error.code() {
            Some(code) if busy.contains(code) => Self::Busy(describe(&error)),
            _ => Self::Failed(describe(&error)),
        }
    }
}

/// The text of the driver is only "db error"; the details are in the source.
fn describe(error: &postgres::Error) -> super::Cause {
    match error.as_db_error() {
        Some(cause) => format!("{}: {}", cause.severity(), cause.message()).into(),
        None => error.to_string().into(),
    }
}
