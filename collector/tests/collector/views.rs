//! The views as folds: the result depends neither on the slices in which the ledger is read, nor on
//! the order of arrival.

use audit_collector::db::{Connection, Row, write};
use audit_collector::ledger::BackgroundTask as _;
use audit_collector::ledger::entry::{Entry, Skew};
use audit_collector::ledger::{Ledger, Settings};
use audit_collector::record::{Content, Record};
use audit_collector::views::{self, Follower};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{RECEIVED_AT, database, ledger_settings, view_settings};

const SECOND: i64 = 1_000_000_000;

/// A query for each view, and its number of columns. Signals depend on the order of arrival.
const SESSIONS: (&str, usize) = ("SELECT * FROM sessions ORDER BY session_key", 16);
const SIGNALS: (&str, usize) = (
    "SELECT * FROM signals ORDER BY session_key, name, position",
    6,
);
const USERS: (&str, usize) = (
    "SELECT * FROM usage_users ORDER BY rule, bucket, user_id",
    4,
);
const BUCKETS: (&str, usize) = ("SELECT * FROM usage_buckets ORDER BY rule, bucket", 6);
const TERMS: (&str, usize) = (
    "SELECT kind, term, value, user_id FROM terms ORDER BY kind, term, value, user_id",
    4,
);

/// A ledger without a background task for its views, and a connection to its database.
struct Room {
    _directory: TempDir,
    ledger: Ledger,
    connection: Box<dyn Connection>,
}

impl Room {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let database = database(&directory);
        let settings: Settings = ledger_settings(&directory);
        let connection = database.connect().unwrap();
        Self {
            ledger: Ledger::open(database, settings, Vec::new()).unwrap(),
            connection,
            _directory: directory,
        }
    }

    fn append(&self, entries: Vec<Entry>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(self.ledger.append(entries)).unwrap();
    }

    /// Follows the ledger to its end. Returns the number of steps.
    fn follow(&mut self, slice: i64) -> usize {
        let mut follower = Follower::new(view_settings(), slice);
        let mut steps = 1;
        while follower.step(&mut *self.connection).unwrap() {
            steps += 1;
        }
        steps
    }

    fn rebuild(&mut self) {
        write(&mut *self.connection, |connection| {
            views::rebuild(connection)
        })
        .unwrap();
    }

    fn dump(&mut self, (query, columns): (&str, usize)) -> Vec<Vec<Value>> {
        let mut rows = Vec::new();
        self.connection
            .query(query, &[], &mut |row| {
                rows.push((0..columns).map(|column| value(row, column)).collect());
                Ok(())
            })
            .unwrap();
        rows
    }

    /// The streams, with their maps in a fixed order.
    fn streams(&mut self) -> Vec<Value> {
        let rows = self.dump(("SELECT stream_id, state FROM streams ORDER BY stream_id", 2));
        let state =
            |row: &Vec<Value>| serde_json::from_str::<Value>(row[1].as_str().unwrap()).unwrap();
        rows.iter().map(|row| json!([row[0], state(row)])).collect()
    }

    fn everything(&mut self) -> Value {
        let tables = [SESSIONS, SIGNALS, USERS, BUCKETS, TERMS].map(|table| self.dump(table));
        json!([tables, self.streams()])
    }
}

fn value(row: &dyn Row, column: usize) -> Value {
    match row.text(column) {
        Ok(text) => json!(text),
        Err(_) => json!(row.integer(column).unwrap()),
    }
}

/// The content of a record as numbers: session, user, action and so on.
#[derive(Clone, Debug)]
struct Sample {
    session: u8,
    user: u8,
    name: u8,
    kind: u8,
    rule: u8,
    device: u8,
    seconds: i64,
}

fn any_sample() -> impl Strategy<Value = Sample> {
    (
        0..4_u8,
        0..4_u8,
        0..3_u8,
        0..8_u8,
        0..3_u8,
        0..4_u8,
        0..1000_i64,
    )
        .prop_map(
            |(session, user, name, kind, rule, device, seconds)| Sample {
                session,
                user,
                name,
                kind,
                rule,
                device,
                seconds,
            },
        )
}

impl Sample {
    /// All times differ.
    fn entry(&self, number: usize) -> Entry {
        let action = ["login", "read", "write", "logout"][usize::from(self.kind % 4)];
        let outcome = ["success", "denied"][usize::from(self.kind % 2)];
        let mut attributes = json!({
            "log.record.uid": format!("aud_{number}"),
            "audit.stream.id": format!("stream-{}", self.session % 2),
            "audit.sequence.number": number,
            "audit.action": action,
            "audit.outcome": outcome,
        });
        let mut set = |name: &str, value: u8| {
            if value > 0 {
                attributes[name] = format!("{name} {value}").into();
            }
        };

        set(
            if self.session.is_multiple_of(2) {
                "session.id"
            } else {
                "session.token_ref"
            },
            self.session,
        );
        set("user.id", self.user);
        set("user.name", self.name);
        set("audit.rule", self.rule);

        if self.device > 0 {
            attributes["audit.session.context"] =
                json!({"device_id": self.device}).to_string().into();
        }

        if self.kind == 5 {
            attributes["audit.session.event"] = "end".into();
        }

        if self.kind == 6 {
            attributes["audit.stage"] = "received".into();
        }

        let attributes = attributes
            .as_object()
            .unwrap()
            .clone()
            .into_iter()
            .collect();

        let event_name = if self.kind == 7 {
            "audit.stream.start"
        } else {
            "audit.http"
        }
        .to_owned();

        let time_unix_nano =
            RECEIVED_AT - 1000 * SECOND + self.seconds * SECOND + i64::try_from(number).unwrap();
        let content = Content {
            time_unix_nano,
            event_name,
            attributes,
            ..Content::default()
        };
        Entry::new(Record::from(content), RECEIVED_AT, Skew::default())
    }
}

fn entries(samples: &[Sample]) -> Vec<Entry> {
    samples
        .iter()
        .enumerate()
        .map(|(number, sample)| sample.entry(number))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_rebuild_in_other_slices_gives_the_same(
        samples in prop::collection::vec(any_sample(), 1..200),
        (first, second) in (1..60_i64, 1..300_i64),
    ) {
        let mut room = Room::new();
        let (early, late) = samples.split_at(samples.len() / 2);
        room.append(entries(early));
        room.follow(first);
        room.append(entries(late).into_iter().enumerate().map(|(number, entry)| Entry { uid: format!("late_{number}"), ..entry }).collect());
        room.follow(first);

        let followed = room.everything();
        room.rebuild();
        room.follow(second);
        prop_assert_eq!(room.everything(), followed);
    }

    #[test]
    fn the_order_of_arrival_changes_neither_sessions_nor_usage(
        (samples, order) in prop::collection::vec(any_sample(), 1..200)
            .prop_flat_map(|samples| { let order: Vec<_> = (0..samples.len()).collect(); (Just(samples), Just(order).prop_shuffle()) }),
        slice in 1..60_i64,
    ) {
        let (mut one, mut other) = (Room::new(), Room::new());
        let all = entries(&samples);
        other.append(order.iter().map(|&index| all[index].clone()).collect());
        one.append(all);
        one.follow(slice);
        other.follow(1000);

        for table in [SESSIONS, USERS, BUCKETS, TERMS] {
            prop_assert_eq!(one.dump(table), other.dump(table));
        }
    }
}

#[test]
fn a_slice_bounds_what_a_step_reads() {
    let mut room = Room::new();
    let sample = Sample {
        session: 1,
        user: 1,
        name: 1,
        kind: 0,
        rule: 1,
        device: 1,
        seconds: 1,
    };

    room.append(entries(&vec![sample; 25]));
    assert_eq!(room.follow(10), 3);
    assert_eq!(views::position(&mut *room.connection).unwrap(), 25);
}

#[test]
fn what_is_older_is_deleted_with_its_signals() {
    let mut room = Room::new();
    let sample = |session, seconds| Sample {
        session,
        user: 1,
        name: 1,
        kind: 0,
        rule: 1,
        device: 1,
        seconds,
    };
    room.append(entries(&[sample(1, 0), sample(2, 900), sample(3, 901)]));
    room.follow(10);

    let before = RECEIVED_AT - 500 * SECOND;
    write(&mut *room.connection, |connection| {
        views::expire(connection, before)
    })
    .unwrap();

    assert_eq!(
        (room.dump(SESSIONS).len(), room.dump(SIGNALS).len()),
        (2, 2)
    );
    assert_eq!((room.dump(USERS).len(), room.dump(BUCKETS).len()), (1, 1));
    assert_eq!(
        room.streams().len(),
        2,
        "what is known of the streams stays"
    );
}
