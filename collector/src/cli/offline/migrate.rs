//! `audit-collector migrate`: carries a ledger of the earlier format over to a new database.

use std::io::{self, Write as _};

use audit_collector::completeness::Moment;
use audit_collector::db;
use audit_collector::ledger::migrate::migrate;
use audit_collector::ledger::verify::{Trust, verify_beside};
use clap::Args;

use super::{OfflineError, read_ledger};
use crate::cli::database_flags::DatabaseFlags;

// No doc comment: clap would print it in place of that of the command.
#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    database: DatabaseFlags,
    /// Database to write: a new one, or that of a run that did not end
    #[arg(long, value_name = "URL")]
    to: String,
}

/// Rows between two lines of progress.
const STEP: i64 = 100_000;

/// Carries all rows over and verifies them; returns whether the result has no fault.
pub(crate) fn run(flags: &Flags, now: i64) -> Result<bool, OfflineError> {
    let from = db::open_earlier(&flags.database.url()?)?;
    let to = db::open(&flags.to)?;
    let mut target = to.database.connect()?;
    let end = read_ledger(&from, |source| {
        Ok(migrate(source, &mut *target, |reached, end| {
            if reached % STEP == 0 || reached == end {
                // Progress is a help only.
                let _ = writeln!(io::stderr(), "carried over: row {reached} of {end}");
            }
        }))
    })?
    .map_err(OfflineError::Migrate)?;

    let moment = Moment { now, grace: 0 };
    let found = verify_beside(&*to.database, &mut *target, &Trust::default(), moment)?;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "carried over: {} rows up to row {}, {} checkpoints",
        found.rows, end.position, found.checkpoints
    )?;
    for fault in &found.faults {
        writeln!(out, "  {fault}")?;
    }
    writeln!(out, "faults: {}", found.fault_count)?;
    if found.fault_count > 0 {
        writeln!(
            out,
            "keep the earlier database: its rows show what was changed"
        )?;
    }
    Ok(found.fault_count == 0)
}
