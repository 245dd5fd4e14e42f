//! A database, ledgers on it, and records for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use audit_collector::completeness::Moment;
use audit_collector::db::{self, Cell, Connection, DbError, Opened};
use audit_collector::ledger::checkpoint::{Checkpoint, Schedule};
use audit_collector::ledger::entry::{Entry, Skew};
use audit_collector::ledger::retention::{Policy, Retention};
use audit_collector::ledger::signing::Key;
use audit_collector::ledger::verify::{Trust, Verification, verify};
use audit_collector::ledger::{BackgroundTask, Filter, Ledger, Settings, Start, StoredEntry};
use audit_collector::record::{Content, Record};
use serde_json::Value;
use tempfile::TempDir;
use testkit::collector::Postgres;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// Time at the start of the tests.
pub(crate) const NOW: i64 = 1_800_000_000_000_000_000;
pub(crate) const SECOND: i64 = 1_000_000_000;

/// Time of verification: a missing number counts as a gap by then.
pub(crate) const LATER: Moment = Moment {
    now: NOW + 3600 * SECOND,
    grace: SECOND,
};

/// Far longer than any effect takes.
const DEADLINE: Duration = Duration::from_secs(30);

/// A private database.
pub(crate) struct Fixture {
    pub(crate) url: String,
    pub(crate) directory: TempDir,
    opened: OnceCell<Opened>,
}

impl Fixture {
    pub(crate) fn sqlite() -> Self {
        let directory = TempDir::new().unwrap();
        let url = format!("sqlite://{}", directory.path().join("audit.db").display());
        Self {
            url,
            directory,
            opened: OnceCell::new(),
        }
    }

    pub(crate) fn postgres() -> Self {
        let (url, directory) = (Postgres::shared().new_database(), TempDir::new().unwrap());
        Self {
            url,
            directory,
            opened: OnceCell::new(),
        }
    }

    pub(crate) async fn opened(&self) -> Opened {
        let url = self.url.clone();
        self.opened
            .get_or_init(|| blocking(move || db::open(&url).unwrap()))
            .await
            .clone()
    }

    pub(crate) fn key(&self) -> Arc<Key> {
        Arc::new(Key::load_or_create(&self.directory.path().join("audit.key")).unwrap())
    }

    fn settings(&self, strict: bool) -> Settings {
        Settings {
            strict,
            skew: Skew::default(),
            key: self.key(),
            checkpoints: Schedule::default(),
            query_timeout: Duration::from_secs(30),
            now: || NOW,
        }
    }

    /// A ledger that flags conflicts.
    pub(crate) async fn ledger(&self) -> Ledger {
        self.ledger_with(self.settings(false), Vec::new()).await
    }

    /// A ledger that refuses them.
    pub(crate) async fn strict_ledger(&self) -> Ledger {
        self.ledger_with(self.settings(true), Vec::new()).await
    }

    /// A ledger whose questions may take this long.
    pub(crate) async fn ledger_with_timeout(&self, query_timeout: Duration) -> Ledger {
        let settings = Settings {
            query_timeout,
            ..self.settings(false)
        };
        self.ledger_with(settings, Vec::new()).await
    }

    /// A ledger that applies the deletion `policy`, with `now` as its clock.
    pub(crate) async fn ledger_with_retention(&self, policy: Policy, now: fn() -> i64) -> Ledger {
        let retention = Retention::new(policy, self.key(), now, |_, _| Ok(())).unwrap();
        self.ledger_with(
            Settings {
                now,
                ..self.settings(false)
            },
            vec![Box::new(retention)],
        )
        .await
    }

    async fn ledger_with(&self, settings: Settings, tasks: Vec<Box<dyn BackgroundTask>>) -> Ledger {
        let opened = self.opened().await;
        blocking(move || Ledger::open(opened.database, settings, tasks).unwrap()).await
    }

    /// Runs `work` on a separate connection, as an attacker with write access to the database
    /// would.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Connection) -> Result<T, DbError> + Send + 'static,
    ) -> T {
        let opened = self.opened().await;
        blocking(move || work(&mut *opened.database.connect().unwrap()).unwrap()).await
    }

    /// Changes rows directly in the database. Returns the number of changed rows.
    pub(crate) async fn change(&self, sql: &'static str) -> u64 {
        self.with(move |connection| connection.execute(sql, &[]))
            .await
    }

    /// Trust in the key and in these checkpoints.
    pub(crate) fn trust(&self, checkpoints: Vec<Checkpoint>) -> Trust {
        Trust {
            keys: vec![self.key().public()],
            checkpoints,
        }
    }

    /// Result of `verify`, which trusts the key and these checkpoints.
    pub(crate) async fn verify_with(&self, checkpoints: Vec<Checkpoint>) -> Verification {
        let trust = self.trust(checkpoints);
        self.with(move |connection| verify(connection, &trust, LATER))
            .await
    }

    pub(crate) async fn verify(&self) -> Verification {
        self.verify_with(Vec::new()).await
    }

    pub(crate) async fn checkpoints(&self) -> Vec<Checkpoint> {
        self.with(|connection| Checkpoint::list(connection, 0, i64::MAX))
            .await
    }

    /// The number that a query returns.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        self.with(move |connection| {
            let mut count = 0;
            connection.query(sql, &[] as &[Cell<'_>], &mut |row| {
                count = row.integer(0)?.unwrap_or_default();
                Ok(())
            })?;
            Ok(count)
        })
        .await
    }
}

/// All rows, in chain order.
pub(crate) async fn rows(ledger: &Ledger) -> Vec<StoredEntry> {
    ledger
        .list(Filter::default(), Start::After(0), 100_000)
        .await
        .unwrap()
        .rows
}

pub(crate) fn uids(rows: &[StoredEntry]) -> Vec<&str> {
    rows.iter().map(|row| row.entry.uid.as_str()).collect()
}

/// A record of stream `s` with a number and further attributes, received at [`NOW`].
pub(crate) fn entry(uid: &str, number: i64, attributes: &[(&str, Value)]) -> Entry {
    entry_at(NOW, uid, number, attributes)
}

pub(crate) fn entry_at(
    received_at: i64,
    uid: &str,
    number: i64,
    attributes: &[(&str, Value)],
) -> Entry {
    let fixed = [
        ("log.record.uid", Value::from(uid)),
        ("audit.stream.id", "s".into()),
        ("audit.sequence.number", number.into()),
        ("service.name", "shop".into()),
        ("audit.action", "GET /check".into()),
        ("user.id", "Größe 😀".into()),
    ];
    let all = fixed.iter().chain(attributes);

    let content = Content {
        time_unix_nano: received_at - SECOND,
        observed_time_unix_nano: received_at,
        severity_number: 9,
        event_name: "audit.http".to_owned(),
        trace_id: Some("0af7651916cd43dd8448eb211c80319c".to_owned()),
        span_id: Some("b7ad6b7169203331".to_owned()),
        body: Some("GET /check success".to_owned()),
        attributes: all
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
    };
    Entry::new(Record::from(content), received_at, Skew::default())
}

/// Records with the numbers `range`, which are also their uids.
pub(crate) fn entries(range: std::ops::Range<i64>) -> Vec<Entry> {
    range
        .map(|number| entry(&format!("aud_{number}"), number, &[]))
        .collect()
}

/// Polls until `check` holds.
pub(crate) async fn eventually(mut check: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(DEADLINE, async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.expect("it did not happen in time");
}

/// The PostgreSQL driver blocks, and contains a runtime.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// A clock under the control of a test. A ledger takes a function, so the clock is a static, and
/// the tests on both databases run one after the other.
pub(crate) struct Clock {
    now: AtomicI64,
    turn: Mutex<()>,
}

impl Clock {
    pub(crate) const fn new() -> Self {
        Self {
            now: AtomicI64::new(NOW),
            turn: Mutex::const_new(()),
        }
    }

    /// Sets it to [`NOW`]. The caller has exclusive use until the guard is dropped.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        let turn = self.turn.lock().await;
        self.now.store(NOW, Ordering::SeqCst);
        turn
    }

    pub(crate) fn read(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    pub(crate) fn advance(&self, nanos: i64) {
        self.now.fetch_add(nanos, Ordering::SeqCst);
    }
}
