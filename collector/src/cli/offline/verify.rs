//! `audit-collector verify`: whether anything is missing or was tampered with.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use audit_collector::completeness::{Gap, GapState, Life, Moment, Report, StreamReport};
use audit_collector::db::{self, Opened};
use audit_collector::ledger::signing::PublicKey;
use audit_collector::ledger::verify::{Trust, Verification, verify_beside};
use audit_collector::time::nanos;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::far_end::{self, FromFlags};
use super::unknown::Unknown;
use super::{OfflineError, checkpoints, read_key, read_ledger};
use crate::cli::database_flags::DatabaseFlags;
use crate::cli::ledger_flags::{DEFAULT_GRACE, default_key_file};

// No doc comment: clap would print it in place of that of the command.
#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    database: DatabaseFlags,
    #[command(flatten)]
    from: FromFlags,
    /// How long a number may be missing before it counts as lost
    #[arg(long, default_value = DEFAULT_GRACE, value_name = "DURATION", value_parser = humantime::parse_duration)]
    grace: Duration,
    /// Trusted public key, 64 hex digits; may be given several times
    #[arg(long, value_name = "HEX")]
    public_key: Vec<String>,
    /// Trusted key file [default without --public-key: the one beside the database, if it is there]
    #[arg(long, value_name = "FILE")]
    signing_key: Option<PathBuf>,
    /// Do not check signatures: anyone with write access to the database can then forge cuts and
    /// checkpoints
    #[arg(long, conflicts_with_all = ["public_key", "signing_key"])]
    no_signatures: bool,
    /// Checkpoints that were kept elsewhere, as `audit-collector checkpoints` prints them
    #[arg(long, value_name = "FILE")]
    checkpoints: Option<PathBuf>,
    /// Form of the output
    #[arg(long, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Prints the result; returns whether all is well.
pub(crate) fn run(flags: Flags, now: i64) -> Result<bool, OfflineError> {
    let grace = nanos(flags.grace);
    let moment = Moment { now, grace };
    if let Some(found) = flags.from.read(moment)? {
        report(flags.format, &found, far_end::print)?;
        return Ok(found.is_complete());
    }

    let opened = db::open_to_read(&flags.database.url()?)?;
    let trust = trust(&flags, &opened)?;
    let found = read_ledger(&opened, |connection| {
        verify_beside(&*opened.database, connection, &trust, moment)
    })?;
    report(flags.format, &found, print)?;
    Ok(found.is_sound())
}

fn report<T: Serialize>(
    format: Format,
    found: &T,
    print: fn(&mut dyn Write, &T) -> io::Result<()>,
) -> Result<(), OfflineError> {
    let mut out = BufWriter::new(io::stdout().lock());
    match format {
        Format::Json => {
            let text = serde_json::to_string_pretty(found).map_err(io::Error::other)?;
            writeln!(out, "{text}")?;
        }
        Format::Text => print(&mut out, found)?,
    }
    Ok(out.flush()?)
}

fn trust(flags: &Flags, opened: &Opened) -> Result<Trust, OfflineError> {
    let mut trust = Trust::default();
    for text in &flags.public_key {
        trust
            .keys
            .push(PublicKey::from_hex(text).map_err(OfflineError::PublicKey)?);
    }

    let default = Some(default_key_file(opened))
        .filter(|file| flags.public_key.is_empty() && !flags.no_signatures && is_readable(file));
    if let Some(file) = flags.signing_key.clone().or(default) {
        trust.keys.push(read_key(&file)?.public());
    }

    if trust.keys.is_empty() && !flags.no_signatures {
        return Err(OfflineError::NoKey);
    }

    if let Some(file) = &flags.checkpoints {
        trust.checkpoints = checkpoints::read(file)?;
    }
    Ok(trust)
}

/// The key beside the database belongs to the collector: an auditor may have no right to read it.
fn is_readable(file: &Path) -> bool {
    File::open(file).is_ok()
}

fn print(out: &mut dyn Write, found: &Verification) -> io::Result<()> {
    let signatures = if found.signatures_checked {
        "signatures checked"
    } else {
        "signatures NOT checked"
    };

    writeln!(
        out,
        "chain: {} rows, {} deleted by retention",
        found.rows, found.deleted_rows
    )?;
    writeln!(out, "checkpoints: {}, {signatures}", found.checkpoints)?;
    let unproved = found.rows_after_last_checkpoint;
    writeln!(out, "rows after the last checkpoint: {unproved}")?;
    if let Some(first) = found.first_receipt_backwards {
        let count = found.receipts_backwards;
        writeln!(
            out,
            "times of receipt run backwards: {count} times, first at row {first}"
        )?;
    }
    writeln!(out, "faults: {}", found.fault_count)?;
    for fault in &found.faults {
        writeln!(out, "  {fault}")?;
    }

    print_completeness(out, &found.completeness)?;
    writeln!(out, "{}", verdict(found))
}

/// A ledger without a checkpoint contradicts nothing, but nothing proves it either.
fn verdict(found: &Verification) -> &'static str {
    match (found.is_sound(), found.checkpoints, found.rows) {
        (false, ..) => "NOT SOUND",
        (true, 0, 0) => "sound, but EMPTY: it has no row and no checkpoint",
        (true, 0, _) => "sound, but UNSIGNED: it has no checkpoint",
        (true, ..) => "sound",
    }
}

fn print_completeness(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    writeln!(out, "streams: {}", report.streams.len())?;
    writeln!(
        out,
        "records: {}, conflicts: {}",
        report.records, report.conflicts
    )?;
    writeln!(out, "explained losses: {}", report.explained_losses)?;
    writeln!(out, "open numbers: {}", report.open_numbers)?;
    writeln!(out, "unexplained gaps: {}", report.unexplained_numbers)?;
    for stream in &report.streams {
        print_gaps(out, stream)?;
    }

    writeln!(out, "silent streams: {}", report.silent_streams)?;
    for stream in report
        .streams
        .iter()
        .filter(|stream| stream.life == Life::Silent)
    {
        print_silence(out, stream)?;
    }
    Ok(())
}

fn print_gaps(out: &mut dyn Write, stream: &StreamReport) -> io::Result<()> {
    let service = stream.service.as_deref().unwrap_or("unknown service");

    for Gap {
        first_number,
        last_number,
        state,
        ..
    } in &stream.gaps
    {
        let state = match state {
            GapState::Open => "open",
            GapState::Gap => "missing",
        };
        writeln!(
            out,
            "  stream {} ({service}): {first_number} to {last_number} {state}",
            stream.stream_id
        )?;
    }
    Ok(())
}

fn print_silence(out: &mut dyn Write, stream: &StreamReport) -> io::Result<()> {
    let service = stream.service.as_deref().unwrap_or("unknown service");
    let (id, unknown) = (&stream.stream_id, Unknown(stream));
    writeln!(out, "  stream {id} ({service}): silent, {unknown}")
}
