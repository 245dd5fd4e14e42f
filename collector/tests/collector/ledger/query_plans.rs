//! Query plans of the API: with ten million rows, no query may sort or scan all of them. All are those
//! of SQLite, which decides without statistics; those of PostgreSQL show that one index is visible.

use audit_collector::completeness::Moment;
use audit_collector::db::sqlite::SqliteDatabase;
use audit_collector::db::{Cell, Connection, Database as _, DbError, EachRow, Table, open};
use audit_collector::ledger::chain::{Hasher, Head};
use audit_collector::ledger::checkpoint::Checkpoint;
use audit_collector::ledger::compare::compare;
use audit_collector::ledger::conflicts::{self, ConflictCursor};
use audit_collector::ledger::entry::Entry;
use audit_collector::ledger::list::{Cursor, Filter, Start, list};
use audit_collector::ledger::proof::prove;
use audit_collector::ledger::store::encoder::Encoder;
use audit_collector::views::sessions::{self, SessionQuery};
use audit_collector::views::streams::{StreamQuery, StreamStatus};
use audit_collector::views::usage::{self, UsageQuery};
use audit_collector::views::{SeenCursor, signals, streams, terms};
use serde_json::Value;
use tempfile::TempDir;
use testkit::collector::Postgres;

use crate::ledger::fixture::{Fixture, NOW, SECOND, entries, entry_at};
use crate::ledger::tree::append;

/// Keeps the plan of each query.
struct Planner {
    /// How a plan is requested, and the column that it is in.
    explain: (&'static str, usize),
    inner: Box<dyn Connection>,
    plans: Vec<String>,
    _directory: Option<TempDir>,
}

impl Connection for Planner {
    fn execute(&mut self, sql: &str, cells: &[Cell<'_>]) -> Result<u64, DbError> {
        self.inner.execute(sql, cells)
    }

    fn query(&mut self, sql: &str, cells: &[Cell<'_>], each: EachRow<'_>) -> Result<(), DbError> {
        let mut plan = Vec::new();
        let (explain, column) = self.explain;
        self.inner
            .query(&format!("{explain} {sql}"), cells, &mut |row| {
                plan.extend(row.text(column)?.map(ToOwned::to_owned));
                Ok(())
            })?;
        self.plans.push(plan.join("; "));
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
        self.inner.commit()
    }

    fn rollback(&mut self) {
        self.inner.rollback();
    }

    fn is_lost(&self) -> bool {
        self.inner.is_lost()
    }
}

/// An empty database that keeps plans.
fn planner() -> Planner {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("audit.db").display());
    open(&url).unwrap();
    let inner = SqliteDatabase::new(&url).unwrap().connect().unwrap();
    Planner {
        explain: ("EXPLAIN QUERY PLAN", 3),
        inner,
        plans: Vec::new(),
        _directory: Some(directory),
    }
}

/// The same of PostgreSQL, which reads an empty table whole unless it must not. Within one time, it
/// sorts by position.
fn postgres_planner() -> Planner {
    let opened = open(&Postgres::shared().new_database()).unwrap();
    let mut inner = opened.database.connect().unwrap();
    for other in ["seqscan", "bitmapscan", "sort"] {
        inner
            .execute(&format!("SET enable_{other} = off"), &[])
            .unwrap();
    }
    Planner {
        explain: ("EXPLAIN", 0),
        inner,
        plans: Vec::new(),
        _directory: None,
    }
}

impl Planner {
    /// The plans of the queries that the closure runs, one after the other.
    fn plans<T>(
        &mut self,
        run: impl FnOnce(&mut dyn Connection) -> Result<T, DbError>,
    ) -> Vec<String> {
        run(self).unwrap();
        std::mem::take(&mut self.plans)
    }
}

fn plans<T>(run: impl FnOnce(&mut dyn Connection) -> Result<T, DbError>) -> Vec<String> {
    planner().plans(run)
}

/// The plan of the only query uses `index`, and sorts nothing.
fn assert_uses(plans: &[String], index: &str, what: &str) {
    let [plan] = plans else {
        panic!("{what}: {plans:?}")
    };
    assert!(plan.contains(index), "{what}: {plan}");
    assert!(!plan.contains("TEMP B-TREE"), "{what}: {plan}");
}

/// Adds the condition `name` to a filter.
fn with(name: &str, mut filter: Filter) -> Filter {
    let field = match name {
        "user" => &mut filter.user,
        "user_name" => &mut filter.user_name,
        "user_email" => &mut filter.user_email,
        "session" => &mut filter.session,
        "token_ref" => &mut filter.token_ref,
        "action" => &mut filter.action,
        "rule" => &mut filter.rule,
        "outcome" => &mut filter.outcome,
        "stream" => &mut filter.stream,
        "service" => &mut filter.service,
        "q" => &mut filter.text,
        _ => return filter,
    };

    *field = Some("x".to_owned());
    filter
}

/// Conditions and the indexes of a segment, in the order in which they are preferred.
const SHAPES: [(&str, &str); 12] = [
    ("session", "records_by_session"),
    ("token_ref", "records_by_token"),
    ("user", "records_by_user"),
    ("user_email", "records_by_email"),
    ("user_name", "records_by_name"),
    ("stream", "records_by_stream"),
    ("action", "records_by_shape"),
    ("rule", "records_by_shape"),
    ("outcome", "records_by_shape"),
    ("service", "records_by_shape"),
    ("q", "records_by_shape"),
    ("", "records_by_time"),
];

/// Each pair of conditions, and each alone, with the index of the preferred one.
fn pairs() -> impl Iterator<Item = (String, Filter, &'static str)> {
    SHAPES
        .iter()
        .enumerate()
        .flat_map(|(place, &(one, index))| {
            SHAPES[place..].iter().map(move |(other, _)| {
                let filter = with(one, with(other, Filter::default()));
                (format!("{one}&{other}"), filter, index)
            })
        })
}

/// Stores a record that matches each filter, more than are looked at in the order of time, and another
/// one that matches.
fn fill(database: &mut Planner) {
    let names = [
        "session.id",
        "session.token_ref",
        "user.id",
        "user.email",
        "user.name",
        "audit.stream.id",
        "audit.action",
        "audit.rule",
        "audit.outcome",
        "service.name",
    ];
    let matching: Vec<_> = names.iter().map(|name| (*name, Value::from("x"))).collect();
    let others: Vec<_> = names.iter().map(|name| (*name, Value::from("y"))).collect();

    let entries: Vec<_> = (0..=OTHERS + 1)
        .map(|number| {
            let is_matching = [0, OTHERS + 1].contains(&number);
            let attributes = if is_matching { &matching } else { &others };
            entry_at(NOW + number, &format!("aud_{number}"), number, attributes)
        })
        .collect();
    store(&mut *database.inner, &entries);
}

/// More than are looked at in the order of time.
const OTHERS: i64 = 600;

fn store(connection: &mut dyn Connection, entries: &[Entry]) {
    let (mut hasher, mut head) = (Hasher::default(), Head::START);
    let place = |entry: &Entry| {
        let position = head.position + 1;
        let hash = hasher.row(&head.hash, position, entry.cells());
        head = Head { position, hash };
        head
    };
    let places: Vec<_> = entries.iter().map(place).collect();
    let rows: Vec<_> = places.into_iter().zip(entries).collect();

    connection.begin_write().unwrap();
    let stored = Encoder::default().store(connection, Head::START, &rows);
    stored.unwrap();
    connection.commit().unwrap();
}

const NEAREST: &str = "SCAN records USING INDEX records_by_time";

/// No query sorts rows, or reads all of them; a segment is read by `index`.
fn assert_searched(plans: &[String], index: &str, what: &str) {
    for plan in plans {
        let is_of_segments = plan.contains("segments");
        // To find the last of the nearest rows.
        let steps = plan.split("; ").filter(|step| !step.ends_with(NEAREST));
        assert!(
            steps.into_iter().all(|step| !step.contains("SCAN records")),
            "{what}: {plan}"
        );
        assert!(
            is_of_segments || !plan.contains("TEMP B-TREE"),
            "{what}: {plan}"
        );
    }
    assert!(
        plans.iter().any(|plan| plan.contains(index)),
        "{what}: {plans:?}"
    );
}

#[test]
fn every_list_of_records_is_read_from_an_index_in_its_order() {
    let starts = [
        (Start::Newest(None), 2),
        (
            Start::Newest(Some(Cursor {
                at: NOW - SECOND + OTHERS,
                position: OTHERS + 1,
            })),
            1,
        ),
        (Start::Oldest(None), 2),
        (Start::Oldest(Some(Cursor { at: 1, position: 1 })), 2),
    ];

    let mut database = planner();
    fill(&mut database);
    for (what, filter, index) in pairs() {
        for (start, matching) in starts {
            for (from, to) in [
                (None, None),
                (Some(1), None),
                (Some(1), Some(NOW + 2 * OTHERS)),
            ] {
                let filter = Filter {
                    from,
                    to,
                    ..filter.clone()
                };
                let mut found = 0;
                let plans = database.plans(|connection| {
                    found = list(connection, &filter, start, 50)?.rows.len();
                    Ok(())
                });

                let what = format!("{what} {start:?} {from:?} {to:?}");
                assert_searched(&plans, index, &what);
                if index != "records_by_time" {
                    assert_eq!(found, matching, "{what}");
                }
            }
        }
    }
}

#[test]
fn postgres_sees_the_index_of_each_pair() {
    let mut database = postgres_planner();
    fill(&mut database);
    for (what, filter, index) in pairs() {
        for start in [Start::Newest(None), Start::Oldest(None)] {
            let plans = database.plans(|connection| list(connection, &filter, start, 50));
            assert!(
                plans.iter().any(|plan| plan.contains(index)),
                "{what}: {plans:?}"
            );
            assert!(
                plans
                    .iter()
                    .all(|plan| !plan.contains("Seq Scan on records")),
                "{what}: {plans:?}"
            );
        }
    }
}

#[test]
fn a_live_tail_reads_what_is_new_whatever_it_looks_for() {
    let mut database = planner();
    for (what, filter, _) in pairs() {
        for from in [None, Some(1)] {
            let filter = Filter {
                from,
                ..filter.clone()
            };
            let plans = database.plans(|connection| list(connection, &filter, Start::After(7), 50));
            assert_uses(&plans, "records USING INTEGER PRIMARY KEY (rowid>?)", &what);
        }
    }
}

#[test]
fn every_list_of_sessions_is_read_from_an_index_in_its_order() {
    let some = || Some("x".to_owned());
    let any = SessionQuery::default;
    let before = Some(SeenCursor {
        last_seen: 1,
        key: "x".to_owned(),
    });
    let user = || SessionQuery {
        user: some(),
        ..any()
    };

    for (query, index) in [
        (any(), "sessions_by_time"),
        (
            SessionQuery {
                before: before.clone(),
                ..any()
            },
            "sessions_by_time",
        ),
        (
            SessionQuery {
                from: Some(1),
                to: Some(2),
                ..any()
            },
            "sessions_by_time",
        ),
        (
            SessionQuery {
                open: Some(true),
                ..any()
            },
            "sessions_by_time",
        ),
        (
            SessionQuery {
                open: Some(false),
                ..any()
            },
            "sessions_by_time",
        ),
        (user(), "sessions_by_user"),
        (
            SessionQuery {
                before,
                from: Some(1),
                ..user()
            },
            "sessions_by_user",
        ),
        (
            SessionQuery {
                session: some(),
                ..any()
            },
            "sqlite_autoindex_sessions_1",
        ),
        (
            SessionQuery {
                token_ref: some(),
                ..any()
            },
            "sessions_by_token",
        ),
    ] {
        let moment = (10, std::time::Duration::from_nanos(1));
        let plans = plans(|connection| sessions::list(connection, &query, moment, 20));
        assert_uses(&plans, index, &format!("{query:?}"));
    }

    assert_uses(
        &plans(|connection| signals::list(connection, "x")),
        "session_key=?",
        "signals",
    );
}

#[test]
fn usage_reads_the_wanted_range() {
    let query = |factor| UsageQuery {
        rule: "check".to_owned(),
        factor,
        from: 1,
        to: 2,
    };

    let short = plans(|connection| usage::report(connection, &query(1)));
    assert_uses(
        &short[..1],
        "usage_buckets USING PRIMARY KEY (rule=? AND bucket>? AND bucket<?)",
        "5m",
    );

    for plan in plans(|connection| usage::report(connection, &query(12)))
        .iter()
        .chain(&short[1..])
    {
        assert!(
            plan.contains("USING PRIMARY KEY (rule=? AND bucket>? AND bucket<?)"),
            "{plan}"
        );
    }
}

const MOMENT: Moment = Moment { now: 1, grace: 1 };

#[test]
fn the_summary_of_the_streams_is_read_from_indexes() {
    let plans = plans(|connection| streams::summary(connection, MOMENT));
    let of_streams: Vec<_> = plans
        .iter()
        .filter(|plan| plan.contains(" streams"))
        .collect();
    for (plan, index) in of_streams.iter().zip([
        "COVERING INDEX streams_missing",
        "INDEX streams_missing (missing_until_unix_nano>?)",
        "COVERING INDEX streams_silent",
    ]) {
        assert!(plan.contains(index), "{plan}");
    }
    assert_eq!(of_streams.len(), 3, "{plans:?}");
    assert!(
        plans.iter().all(|plan| !plan.contains("records")),
        "{plans:?}"
    );
}

#[test]
fn every_list_of_streams_is_read_from_an_index_in_its_order() {
    let before = SeenCursor {
        last_seen: 1,
        key: "x".to_owned(),
    };
    for (status, index) in [
        (None, "streams_unsettled"),
        (Some(StreamStatus::Silent), "streams_unsettled"),
        (Some(StreamStatus::Gap), "streams_with_gaps"),
        (Some(StreamStatus::Open), "streams_with_gaps"),
        (Some(StreamStatus::Complete), "streams_by_time"),
        (Some(StreamStatus::Ended), "streams_by_time"),
    ] {
        for before in [None, Some(before.clone())] {
            let query = StreamQuery { status, before };
            let plans = plans(|connection| streams::list(connection, &query, MOMENT, 50));
            assert_uses(&plans, index, &format!("{query:?}"));
        }
    }
}

#[test]
fn suggestions_and_conflicts_are_read_from_an_index() {
    let suggested = plans(|connection| terms::suggestions(connection, "a", 5));
    for plan in &suggested {
        assert!(
            plan.contains("term>?") || plan.contains("session_key>?"),
            "{plan}"
        );
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }

    let before = ConflictCursor {
        position: 9,
        digest: "ab".to_owned(),
    };
    for before in [None, Some(&before)] {
        let listed = plans(|connection| conflicts::page(connection, None, before, 5));
        assert_uses(&listed, "sqlite_autoindex_conflicts_1", "conflicts");
    }
}

#[test]
fn the_latest_checkpoints_are_read_from_their_key() {
    let plans = plans(|connection| Checkpoint::latest(connection, 100));
    assert_uses(&plans, "sqlite_autoindex_checkpoints_1", "checkpoints");
}

#[tokio::test]
async fn proofs_and_comparisons_read_by_key() {
    let fixture = Fixture::sqlite();
    append(&fixture, entries(0..600)).await;
    append(&fixture, entries(600..650)).await;
    let mut planners = [(); 2].map(|()| Planner {
        explain: ("EXPLAIN QUERY PLAN", 3),
        inner: SqliteDatabase::new(&fixture.url)
            .unwrap()
            .connect()
            .unwrap(),
        plans: Vec::new(),
        _directory: None,
    });

    let [first, second] = &mut planners;
    let mut plans = first.plans(|connection| {
        prove(connection, "aud_300", None).unwrap();
        Ok(())
    });
    assert!(plans.len() > 5, "{plans:?}");
    compare(first, second).unwrap();
    plans.append(&mut first.plans);

    for plan in plans {
        let scans = plan.contains("SCAN records") || plan.contains("SCAN tree");
        assert!(!scans && !plan.contains("SCAN checkpoints"), "{plan}");
    }
}
