//! A ledger of the earlier format is refused, and carried over whole.

use audit_collector::db::postgres::PostgresDatabase;
use audit_collector::db::sqlite::SqliteDatabase;
use audit_collector::db::{self, Cell, Connection, Database, DbError, EachRow, OpenError, Table};
use audit_collector::ledger::chain::{Hasher, Head, head};
use audit_collector::ledger::entry::Entry;
use audit_collector::ledger::list::list;
use audit_collector::ledger::migrate::{MigrateError, migrate};
use audit_collector::ledger::verify::{Fault, Trust, verify};
use audit_collector::ledger::{Filter, Start};

use crate::ledger::fixture::{Fixture, LATER, blocking, entries};
use crate::ledger::on_both;
use crate::process::command;

on_both![
    every_row_keeps_its_place_and_hash,
    a_run_that_was_ended_is_gone_on_with,
    a_changed_row_stays_a_fault,
    another_ledger_is_not_continued,
];

/// The scripts of the earlier format.
fn script(url: &str) -> &'static str {
    if url.starts_with("sqlite") {
        include_str!("../../support/earlier/sqlite.sql")
    } else {
        include_str!("../../support/earlier/postgres.sql")
    }
}

fn connect(url: &str) -> Box<dyn Connection> {
    if url.starts_with("sqlite") {
        SqliteDatabase::new(url).unwrap().create().unwrap()
    } else {
        PostgresDatabase::new(url).unwrap().connect().unwrap()
    }
}

/// An empty database of the earlier format.
fn earlier(url: &str) -> Box<dyn Connection> {
    let mut connection = connect(url);
    let versions = "CREATE TABLE schema_versions (script BIGINT PRIMARY KEY)";
    let made = "INSERT INTO schema_versions VALUES (1)";
    let script = script(url)
        .split(";\n")
        .filter(|text| !text.trim().is_empty());
    for statement in [versions, made].into_iter().chain(script) {
        connection.execute(statement, &[]).unwrap();
    }
    connection
}

/// Appends rows as the earlier format has them.
fn append(connection: &mut dyn Connection, entries: &[Entry]) {
    const INSERT: &str = "INSERT INTO records VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \
        $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)";

    connection.begin_write().unwrap();
    let (mut hasher, mut end) = (Hasher::default(), head(connection).unwrap());
    for entry in entries {
        let position = end.position + 1;
        let hash = hasher.row(&end.hash, position, entry.cells());
        let mut cells = vec![Cell::Integer(position), Cell::Bytes(&hash)];
        cells.extend(entry.cells());
        connection.execute(INSERT, &cells).unwrap();
        end = Head { position, hash };
    }

    connection.execute("DELETE FROM head", &[]).unwrap();
    let cells = [Cell::Integer(end.position), Cell::Bytes(&end.hash)];
    connection
        .execute("INSERT INTO head VALUES (1, $1, $2)", &cells)
        .unwrap();
    connection.commit().unwrap();
}

/// Runs `work` on an earlier database with ten rows, and on a new one of the same kind.
async fn carried(
    fixture: Fixture,
    work: impl FnOnce(&mut dyn Connection, &mut dyn Connection) + Send + 'static,
) {
    let (new, other) = (fixture.url.clone(), other_url(&fixture));
    blocking(move || {
        let mut from = earlier(&other);
        append(&mut *from, &entries(0..10));
        let opened = db::open(&new).unwrap();
        work(&mut *from, &mut *opened.database.connect().unwrap());
    })
    .await;
}

fn other_url(fixture: &Fixture) -> String {
    if fixture.url.starts_with("sqlite") {
        return format!("sqlite://{}/earlier.db", fixture.directory.path().display());
    }
    Fixture::postgres().url
}

async fn every_row_keeps_its_place_and_hash(fixture: Fixture) {
    carried(fixture, |from, to| {
        let conflict = "INSERT INTO conflicts VALUES (3, 'ab', 'aud_2', 5, '{}')";
        from.execute(conflict, &[]).unwrap();
        let end = migrate(from, to, |_, _| {}).unwrap();
        assert_eq!(end, head(from).unwrap());

        let found = list(to, &Filter::default(), Start::After(0), 100)
            .unwrap()
            .rows;
        let kept: Vec<_> = found.iter().map(|row| &row.entry).collect();
        assert_eq!(kept, entries(0..10).iter().collect::<Vec<_>>());
        assert!(found[2].conflict, "conflicts are carried over, too");
        assert!(verify(to, &Trust::default(), LATER).unwrap().is_sound());
    })
    .await;
}

/// Fails at the end of its second transaction.
struct Failing<'c> {
    inner: &'c mut dyn Connection,
    commits: u32,
}

impl Connection for Failing<'_> {
    fn execute(&mut self, sql: &str, cells: &[Cell<'_>]) -> Result<u64, DbError> {
        self.inner.execute(sql, cells)
    }

    fn query(&mut self, sql: &str, cells: &[Cell<'_>], each: EachRow<'_>) -> Result<(), DbError> {
        self.inner.query(sql, cells, each)
    }

    fn insert(&mut self, table: &Table, cells: &[Cell<'_>]) -> Result<(), DbError> {
        self.inner.insert(table, cells)
    }

    fn begin_write(&mut self) -> Result<(), DbError> {
        self.inner.begin_write()
    }

    fn begin_read(&mut self) -> Result<(), DbError> {
        self.inner.begin_read()
    }

    fn commit(&mut self) -> Result<(), DbError> {
        self.commits += 1;
        if self.commits > 1 {
            return Err(DbError::Busy("the power is off".into()));
        }
        self.inner.commit()
    }

    fn rollback(&mut self) {
        self.inner.rollback();
    }

    fn is_lost(&self) -> bool {
        self.inner.is_lost()
    }
}

async fn a_run_that_was_ended_is_gone_on_with(fixture: Fixture) {
    carried(fixture, |from, to| {
        append(from, &entries(10..6000));
        let mut failing = Failing {
            inner: to,
            commits: 0,
        };
        assert!(migrate(from, &mut failing, |_, _| {}).is_err());
        assert_eq!(head(to).unwrap().position, 5000, "a slice stays");

        let end = migrate(from, to, |_, _| {}).unwrap();
        assert_eq!(end.position, 6000);
        let found = verify(to, &Trust::default(), LATER).unwrap();
        assert!(found.is_sound() && found.rows == 6000, "{found:?}");
    })
    .await;
}

async fn a_changed_row_stays_a_fault(fixture: Fixture) {
    carried(fixture, |from, to| {
        let change = "UPDATE records SET user_id = 'forged' WHERE position = 4";
        from.execute(change, &[]).unwrap();
        migrate(from, to, |_, _| {}).unwrap();

        let found = verify(to, &Trust::default(), LATER).unwrap();
        let fault = Fault::Row {
            position: 4,
            uid: "aud_3".to_owned(),
        };
        assert_eq!(found.faults, [fault]);
    })
    .await;
}

async fn another_ledger_is_not_continued(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    ledger.append(entries(5..6)).await.unwrap();
    ledger.close().await.unwrap();

    carried(fixture, |from, to| {
        let refused = migrate(from, to, |_, _| {});
        assert!(
            matches!(refused, Err(MigrateError::Another(1))),
            "{refused:?}"
        );
    })
    .await;
}

#[test]
fn the_earlier_format_is_refused_and_the_command_is_named() {
    let fixture = Fixture::sqlite();
    let old = other_url(&fixture);
    let mut connection = earlier(&old);
    append(&mut *connection, &entries(0..10));
    drop(connection);
    assert!(matches!(db::open(&old), Err(OpenError::Earlier)));

    let served = command(&["--database", &old]).output().unwrap();
    let error = String::from_utf8(served.stderr).unwrap();
    assert!(error.contains("`audit-collector migrate"), "{error}");

    let migrate = ["migrate", "--database", &old, "--to", &fixture.url];
    for _ in 0..2 {
        let output = command(&migrate).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            text, "carried over: 10 rows up to row 10, 0 checkpoints\nfaults: 0\n",
            "also when it is repeated"
        );
        assert!(output.status.success());
    }

    let again = ["migrate", "--database", &fixture.url, "--to", &old];
    let output = command(&again).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("not of the earlier format"), "{error}");
}
