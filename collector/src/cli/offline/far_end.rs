//! `audit-collector verify --from`: whether anything is missing at the far end of a pipeline.

use std::env;
use std::fs::File;
use std::io::{self, BufReader, Write};

use audit_collector::completeness::{
    Gap, GapState, Life, LossReport, Moment, Status, StreamReport,
};
use audit_collector::far_end::{
    Contradiction, ContradictionKind, FarEnd, Findings, Table, read_lines, read_parquet, read_table,
};
use clap::{Args, ValueEnum};

use super::OfflineError;
use super::unknown::Unknown;

// No doc comment: clap would print it in place of that of the command.
#[derive(Args)]
pub(crate) struct FromFlags {
    /// Check the records that came out at the far end of a pipeline, instead of a ledger
    #[arg(long, value_name = "KIND", requires = "places", conflicts_with_all = ["database",
        "database_file", "public_key", "signing_key", "no_signatures", "checkpoints"])]
    from: Option<Kind>,
    /// Where they are: files, and with ndjson also - for stdin; the address of ClickHouse's HTTP
    /// interface, with the user and password in the variables CLICKHOUSE_USER and
    /// CLICKHOUSE_PASSWORD
    #[arg(value_name = "PLACE", requires = "from")]
    places: Vec<String>,
    /// The records begin later than their streams, as after a TTL or in a range of time: numbers
    /// below the first one of a stream are missing only if its start is there
    #[arg(long, requires = "from")]
    partial: bool,
    /// The table in ClickHouse, with or without the name of its database
    #[arg(
        long,
        default_value = "otel_logs",
        value_name = "NAME",
        requires = "from"
    )]
    table: String,
}

/// In which form the records are.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// Lines of JSON: the filter's NDJSON, an export of the collector, or OTLP requests
    Ndjson,
    /// An export of the collector in Parquet
    Parquet,
    /// The table that the ClickHouse exporters of the OpenTelemetry Collector and of Rotel fill
    Clickhouse,
}

impl FromFlags {
    /// The findings; `None` when a ledger is to be checked.
    pub(super) fn read(&self, moment: Moment) -> Result<Option<Findings>, OfflineError> {
        let Some(kind) = self.from else {
            return Ok(None);
        };

        let mut far_end = FarEnd::default();
        for place in &self.places {
            match kind {
                Kind::Ndjson => ndjson(place, &mut far_end)?,
                Kind::Parquet => parquet(place, &mut far_end)?,
                Kind::Clickhouse => self.clickhouse(place, &mut far_end)?,
            }
        }
        if self.partial {
            far_end.begin_late();
        }
        Ok(Some(far_end.findings(moment)?))
    }

    fn clickhouse(&self, place: &str, far_end: &mut FarEnd) -> Result<(), OfflineError> {
        let table = Table {
            url: place.to_owned(),
            name: self.table.clone(),
            user: env::var("CLICKHOUSE_USER").ok(),
            password: env::var("CLICKHOUSE_PASSWORD").ok(),
        };
        read_table(&table, |content| far_end.add(content))
            .map_err(|error| OfflineError::Table(self.table.clone(), error))
    }
}

fn ndjson(place: &str, far_end: &mut FarEnd) -> Result<(), OfflineError> {
    let mut input: Box<dyn io::BufRead> = if place == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::with_capacity(1 << 18, open(place)?))
    };

    read_lines(&mut *input, |content| far_end.add(content))
        .map_err(|error| OfflineError::Line(place.to_owned(), error))
}

fn parquet(place: &str, far_end: &mut FarEnd) -> Result<(), OfflineError> {
    // The end of a file has the places of its columns, and is read first.
    if place == "-" {
        return Err(OfflineError::Stdin);
    }
    read_parquet(open(place)?, |content| far_end.add(content))
        .map_err(|error| OfflineError::Parquet(place.to_owned(), error))
}

fn open(place: &str) -> Result<File, OfflineError> {
    File::open(place).map_err(|error| OfflineError::File(place.into(), error))
}

/// Prints the findings: each stream, then the sums.
pub(super) fn print(out: &mut dyn Write, found: &Findings) -> io::Result<()> {
    let Findings {
        records,
        repeated_records: repeated,
        not_compared,
        other_records,
        damaged_records: damaged,
        ..
    } = found;

    writeln!(
        out,
        "records: {records}, repeated: {repeated}, without a stream: {other_records}"
    )?;
    if *not_compared > 0 {
        writeln!(
            out,
            "repeated records that were not compared: {not_compared}"
        )?;
    }
    if *damaged > 0 {
        writeln!(
            out,
            "records with a number or a stream and without the other one, or with a negative number: \
             {damaged}"
        )?;
    }

    let report = &found.completeness;
    writeln!(out, "streams: {}", report.streams.len())?;
    for stream in &report.streams {
        print_stream(out, stream)?;
    }

    writeln!(out, "conflicts: {}", found.contradiction_count)?;
    for contradiction in &found.contradictions {
        print_contradiction(out, contradiction)?;
    }

    writeln!(out, "explained losses: {}", report.explained_losses)?;
    writeln!(out, "open numbers: {}", report.open_numbers)?;
    writeln!(out, "unexplained gaps: {}", report.unexplained_numbers)?;
    writeln!(out, "silent streams: {}", report.silent_streams)?;
    writeln!(out, "{}", verdict(found))
}

fn verdict(found: &Findings) -> &'static str {
    match found.is_complete() {
        true if found.records == 0 => "complete, but EMPTY: no record was read",
        true => "complete",
        false if found.proves_nothing() => {
            "NOT PROVED: no record has audit.stream.id and audit.sequence.number"
        }
        false => "NOT COMPLETE",
    }
}

fn print_stream(out: &mut dyn Write, stream: &StreamReport) -> io::Result<()> {
    let status = match stream.status {
        Status::Complete => "complete",
        Status::Open => "open",
        Status::Gap => "gap",
    };
    let service = stream.service.as_deref().unwrap_or("unknown service");
    let (id, first, last) = (&stream.stream_id, stream.first_number, stream.last_number);
    writeln!(
        out,
        "  stream {id} ({service}): {status}, {first} to {last}, {}",
        life(stream.life)
    )?;

    for gap in &stream.gaps {
        print_gap(out, gap)?;
    }
    for loss in &stream.losses {
        print_loss(out, loss)?;
    }
    match stream.life {
        Life::Ended | Life::Crashed => Ok(()),
        Life::Alive | Life::Silent | Life::Unknown => {
            writeln!(out, "    open end: {}", Unknown(stream))
        }
    }
}

fn life(life: Life) -> &'static str {
    match life {
        Life::Ended => "ended",
        Life::Crashed => "crashed",
        Life::Alive => "alive",
        Life::Silent => "silent",
        Life::Unknown => "without a known end",
    }
}

fn print_gap(out: &mut dyn Write, gap: &Gap) -> io::Result<()> {
    let state = match gap.state {
        GapState::Open => "open",
        GapState::Gap => "missing",
    };
    writeln!(
        out,
        "    {} to {} {state}",
        gap.first_number, gap.last_number
    )
}

fn print_loss(out: &mut dyn Write, loss: &LossReport) -> io::Result<()> {
    let (first, last, count, reason) = (
        loss.first_number,
        loss.last_number,
        loss.count,
        &loss.reason,
    );
    writeln!(
        out,
        "    {first} to {last} reported as lost: {count} records, {reason}"
    )
}

fn print_contradiction(out: &mut dyn Write, found: &Contradiction) -> io::Result<()> {
    let what = match found.kind {
        ContradictionKind::Number => "came under two uids, also as",
        ContradictionKind::Conflict => "came with two contents, as",
    };
    let Contradiction {
        stream_id,
        number,
        uid,
        ..
    } = found;
    writeln!(out, "  stream {stream_id}: {number} {what} {uid}")
}
