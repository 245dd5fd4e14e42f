//! The tables, as Markdown.

use crate::build::{self, key};
use crate::clickhouse;
use crate::database::Kind;
use crate::measures::FORMATS;
use crate::options::Options;
use crate::state::State;
use crate::{questions, sizes};

/// Slices before a size whose rates are averaged.
const SLICES: usize = 3;

/// A row of a table: a measurement, and another one that stands in brackets behind it.
struct Row {
    label: String,
    value: String,
    aside: Option<String>,
    unit: f64,
    digits: usize,
}

impl Row {
    fn new(label: &str, value: &str, unit: f64, digits: usize) -> Self {
        Self {
            label: label.to_owned(),
            value: value.to_owned(),
            aside: None,
            unit,
            digits,
        }
    }

    fn of_question(name: &str) -> Self {
        Self {
            aside: Some(format!("first/{name}")),
            ..Self::new(&format!("{name}, ms"), &format!("warm/{name}"), 1.0, 1)
        }
    }
}

const MEBIBYTE: f64 = 1024.0 * 1024.0;

fn rows() -> Vec<Row> {
    let mut rows = vec![
        Row::new("4 senders, records/s", "rate", 1.0, 0),
        Row::new("1 sender, ms a batch", "batch", 1.0, 1),
        Row::new("views caught up after, s", "lag", 1.0, 1),
        Row::new("idle after, s", "settled", 1.0, 1),
        Row::new("bytes a record", "bytes", 1.0, 0),
        Row::new("verify, records/s", "verify", 1.0, 0),
    ];
    let exports = FORMATS.map(|format| Row::new(&format!("{format}, records/s"), format, 1.0, 0));
    rows.extend(exports);
    rows.extend([
        Row::new("peak memory under load, MiB", "peak", MEBIBYTE, 0),
        Row::new(
            "peak memory of questions and exports, MiB",
            "peak of questions",
            MEBIBYTE,
            0,
        ),
    ]);
    rows.extend(questions::names().into_iter().map(Row::of_question));
    rows
}

/// Values of one build at each size.
struct Column<'a> {
    state: &'a State,
    kind: Kind,
    build: &'a str,
    sizes: &'a [u64],
}

impl Column<'_> {
    fn get(&self, size: u64, measure: &str) -> Option<f64> {
        match measure {
            "rate" => {
                let rates = self.of_slices(size, measure);
                let last = rates.get(rates.len().saturating_sub(SLICES)..)?;
                (!last.is_empty()).then(|| last.iter().sum::<f64>() / last.len() as f64)
            }
            "peak" => self.of_slices(size, measure).into_iter().reduce(f64::max),
            _ => self.at(size, measure),
        }
    }

    fn at(&self, size: u64, measure: &str) -> Option<f64> {
        self.state
            .get(&key(self.kind.name(), self.build, size, measure))
    }

    /// Of each slice between the size before and this one.
    fn of_slices(&self, size: u64, measure: &str) -> Vec<f64> {
        let before = self.sizes.iter().filter(|other| **other < size).max();
        let start = before.map_or(0, |before| before + sizes::EXTRA);
        let slices = sizes::slices(start, size);
        let values = slices.iter().map(|slice| self.at(slice.end, measure));
        values.flatten().collect()
    }
}

/// Prints the tables of all databases.
pub fn print(state: &State, options: &Options) {
    let sizes = sizes::up_to(options.records);
    let names = build::names(options.against.as_deref());
    for kind in &options.databases {
        let columns: Vec<_> = names
            .iter()
            .map(|build| Column {
                state,
                kind: *kind,
                build,
                sizes: &sizes,
            })
            .collect();

        for column in &columns {
            head(&format!("{}, {}", kind.name(), column.build), &sizes);
            print_values(column);
        }
        if let [new, against] = &columns[..] {
            head(&format!("{}, new / against", kind.name()), &sizes);
            print_ratios(new, against);
        }
    }
    if options.has_clickhouse {
        head("clickhouse", &sizes);
        print_clickhouse(state, &sizes);
    }
}

fn head(title: &str, sizes: &[u64]) {
    let sizes: Vec<_> = sizes.iter().map(|size| millions(*size)).collect();
    println!("\n| {title} | {} |", sizes.join(" | "));
    println!("|---|{}", "---|".repeat(sizes.len()));
}

fn millions(size: u64) -> String {
    format!("{} million", size as f64 / 1e6)
}

fn line(label: &str, cells: impl Iterator<Item = Option<String>>) {
    let cells: Vec<_> = cells.map(Option::unwrap_or_default).collect();
    println!("| {label} | {} |", cells.join(" | "));
}

fn print_values(column: &Column<'_>) {
    for row in rows() {
        let digits = row.digits;
        let cell = |size: &u64| {
            let value = column.get(*size, &row.value)? / row.unit;
            let aside = row
                .aside
                .as_ref()
                .and_then(|aside| column.get(*size, aside));
            let aside = aside.map(|aside| format!(" ({:.digits$})", aside / row.unit));
            Some(format!("{value:.digits$}{}", aside.unwrap_or_default()))
        };
        line(&row.label, column.sizes.iter().map(cell));
    }

    let cell = |size: &u64| {
        let [database, table] = clickhouse::NAME;
        let other = column.state.get(&key(database, table, *size, "bytes"))?;
        Some(format!("{:.2}", column.get(*size, "bytes")? / other))
    };
    line(
        "bytes, as a multiple of ClickHouse",
        column.sizes.iter().map(cell),
    );
}

fn print_ratios(new: &Column<'_>, against: &Column<'_>) {
    for row in rows() {
        let cell = |size: &u64| {
            let ratio =
                |measure: &str| Some(new.get(*size, measure)? / against.get(*size, measure)?);
            let aside = row.aside.as_deref().and_then(ratio);
            let aside = aside.map(|aside| format!(" ({aside:.2})"));
            Some(format!(
                "{:.2}{}",
                ratio(&row.value)?,
                aside.unwrap_or_default()
            ))
        };
        let label = row
            .label
            .rsplit_once(", ")
            .map_or(&*row.label, |(label, _)| label);
        line(label, new.sizes.iter().map(cell));
    }
}

fn print_clickhouse(state: &State, sizes: &[u64]) {
    let [database, table] = clickhouse::NAME;
    let rows = [
        ("bytes a record", "bytes"),
        ("without position, hash, time of receipt", "bytes as sent"),
    ];
    for (label, measure) in rows {
        let cell = |size: &u64| {
            let value = state.get(&key(database, table, *size, measure))?;
            Some(format!("{value:.1}"))
        };
        line(label, sizes.iter().map(cell));
    }
}
