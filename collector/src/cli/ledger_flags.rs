//! Flags of the ledger, and how it is opened from them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use audit_collector::db::{self, OpenError, Opened};
use audit_collector::http::metrics::Metrics;
use audit_collector::ledger::checkpoint::{Checkpoint, Schedule};
use audit_collector::ledger::entry::Skew;
use audit_collector::ledger::retention::{Hold, Policy, Retention};
use audit_collector::ledger::signing::{Key, KeyError};
use audit_collector::ledger::{BackgroundTask, Ledger, Settings};
use audit_collector::time::{Clock, nanos};
use audit_collector::views;
use clap::Args;
use tracing::warn;

use crate::cli::database_flags::{DatabaseFileError, DatabaseFlags};

// No doc comment: clap would print it in place of that of the program.
#[derive(Args)]
pub(crate) struct LedgerFlags {
    #[command(flatten)]
    database: DatabaseFlags,
    /// Answer 409 to a batch that contradicts stored records, instead of flagging it
    #[arg(long)]
    strict: bool,
    /// Ed25519 key (PKCS #8, PEM) that signs checkpoints, made when missing [default: the database
    /// file with .key, or audit.key]
    #[arg(long, value_name = "FILE")]
    signing_key: Option<PathBuf>,
    /// Sign a checkpoint after this time, if records have come
    #[arg(long, default_value = "1m", value_name = "DURATION", value_parser = humantime::parse_duration)]
    checkpoint_interval: Duration,
    /// Sign a checkpoint after this many records
    #[arg(long, default_value_t = 10_000, value_name = "RECORDS", value_parser = clap::value_parser!(i64).range(1..))]
    checkpoint_records: i64,
    /// Flag records with a time further ahead of the time of receipt
    #[arg(long, default_value = "1m", value_name = "DURATION", value_parser = humantime::parse_duration)]
    skew_ahead: Duration,
    /// Flag records with a time further behind the time of receipt
    #[arg(long, default_value = "7d", value_name = "DURATION", value_parser = humantime::parse_duration)]
    skew_behind: Duration,
    /// End a question after this time; exports are not limited
    #[arg(long, default_value = DEFAULT_QUERY_TIMEOUT, value_name = "DURATION", value_parser = query_timeout)]
    query_timeout: Duration,
    #[command(flatten)]
    views: ViewFlags,
    /// Delete records this long after their receipt, such as 90d [default: never]
    #[arg(long, value_name = "DURATION", value_parser = retention)]
    retain: Option<Duration>,
    /// Keep records with this tag nevertheless: NAME or NAME=VALUE of a rule's `tags`; may be given
    /// several times
    #[arg(long, value_name = "TAG", value_parser = hold, requires = "retain")]
    legal_hold: Vec<Hold>,
    /// Write records to files in this directory before they are deleted
    #[arg(long, value_name = "DIRECTORY", requires = "retain")]
    export_before_delete: Option<PathBuf>,
}

#[derive(Args)]
struct ViewFlags {
    /// How long a number of a stream may be missing before it counts as lost
    #[arg(long, default_value = DEFAULT_GRACE, value_name = "DURATION", value_parser = humantime::parse_duration)]
    grace: Duration,
    /// A session without a record for this long has ended
    #[arg(long, default_value = "30m", value_name = "DURATION", value_parser = humantime::parse_duration)]
    session_idle: Duration,
    /// An audit.action that ends its session; may be given several times
    #[arg(long, value_name = "ACTION")]
    logout_action: Vec<String>,
    /// A field of the session context whose changes are kept; may be given several times
    #[arg(long, value_name = "FIELD", default_values_t = ["device_id".to_owned(), "country".to_owned()])]
    signal: Vec<String>,
}

/// How long a number may be missing before it counts as lost: several times the longest backoff of
/// a filter.
pub(crate) const DEFAULT_GRACE: &str = "5m";

/// Shorter than the page waits for an answer.
const DEFAULT_QUERY_TIMEOUT: &str = "10s";

/// Why the ledger could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error("--database: {0}")]
    Database(#[from] OpenError),
    #[error(transparent)]
    DatabaseFile(#[from] DatabaseFileError),
    #[error("--signing-key: {0}")]
    Key(#[from] KeyError),
    #[error("--export-before-delete: {0}")]
    Export(std::io::Error),
}

impl LedgerError {
    /// Whether the flags are at fault, and not the state of the machine.
    pub(crate) fn is_usage(&self) -> bool {
        !matches!(
            self,
            Self::Database(
                OpenError::Failed(_) | OpenError::OrphanedLog(_) | OpenError::ForeignLog(_)
            ) | Self::Export(_)
        )
    }
}

impl LedgerFlags {
    /// Opens database and key. May block.
    pub(crate) fn open(self, now: Clock, metrics: &Metrics) -> Result<Ledger, LedgerError> {
        let opened = db::open(&self.database.url()?)?;

        let file = self
            .signing_key
            .clone()
            .unwrap_or_else(|| default_key_file(&opened));
        let is_new = !file.exists();
        let key = Arc::new(Key::load_or_create(&file)?);
        if is_new && has_checkpoints(&opened)? {
            let (id, file) = (key.id(), file.display());
            warn!(
                "a new key {id} was made in {file}, but others have signed this ledger: verify needs all of their keys"
            );
        }

        if opened.is_new && !is_new {
            warn!(
                "the database is new, but its key {} is not: was the database moved or removed, or is \
                 --database wrong?",
                file.display()
            );
        }

        let settings = self.settings(key, now);
        let tasks = self.tasks(&settings, metrics)?;
        Ok(Ledger::open(opened.database, settings, tasks).map_err(OpenError::from)?)
    }

    /// Settings of the views.
    pub(crate) fn views(&self) -> views::Settings {
        let ViewFlags {
            grace,
            session_idle: idle,
            logout_action,
            signal,
        } = &self.views;

        let (logout_actions, signals) = (logout_action.clone(), signal.clone());
        views::Settings {
            idle: *idle,
            grace: *grace,
            logout_actions,
            signals,
        }
    }

    fn settings(&self, key: Arc<Key>, now: Clock) -> Settings {
        Settings {
            strict: self.strict,
            skew: Skew {
                ahead: nanos(self.skew_ahead),
                behind: nanos(self.skew_behind),
            },
            key,
            checkpoints: Schedule {
                records: self.checkpoint_records,
                interval: self.checkpoint_interval,
            },
            query_timeout: self.query_timeout,
            now,
        }
    }

    fn tasks(
        self,
        settings: &Settings,
        metrics: &Metrics,
    ) -> Result<Vec<Box<dyn BackgroundTask>>, LedgerError> {
        let mut tasks = vec![views::task(self.views())];
        if let Some(retain) = self.retain {
            let policy = Policy {
                retain,
                holds: self.legal_hold,
                export: self.export_before_delete,
            };

            let retention =
                Retention::new(policy, settings.key.clone(), settings.now, views::expire)
                    .map_err(LedgerError::Export)?;
            tasks.push(Box::new(retention.with_counter(metrics.records_deleted())));
        }

        Ok(tasks)
    }
}

fn has_checkpoints(opened: &Opened) -> Result<bool, OpenError> {
    Ok(!Checkpoint::list(&mut *opened.database.connect()?, 0, 1)?.is_empty())
}

/// Default location of the key: beside the database file, or in the working directory.
pub(crate) fn default_key_file(opened: &Opened) -> PathBuf {
    opened
        .file
        .as_deref()
        .map_or_else(|| PathBuf::from("audit.key"), beside)
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".key");
    PathBuf::from(name)
}

/// A typing error such as `90ms` must not empty the ledger.
fn retention(text: &str) -> Result<Duration, String> {
    const SHORTEST: Duration = Duration::from_secs(1);
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration < SHORTEST {
        Err("less than a second".to_owned())
    } else {
        Ok(duration)
    }
}

/// Without any time, every question would be refused.
fn query_timeout(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("must be more than 0".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}

fn hold(text: &str) -> Result<Hold, String> {
    let (tag, value) = text
        .split_once('=')
        .map_or((text, None), |(tag, value)| (tag, Some(value.to_owned())));

    if tag.is_empty() {
        Err("the tag has no name".to_owned())
    } else {
        Ok(Hold {
            tag: tag.to_owned(),
            value,
        })
    }
}
