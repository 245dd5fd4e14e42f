//! Output of the table on the terminal.

use testkit::Record;

use crate::play::Played;
use crate::row::{Row, Table};

/// Prints a line for each row with its deviations; yields the number of wrong rows.
pub fn print(version: &str, table: &Table, played: &[Played]) -> usize {
    println!("\nEnvoy {version}");
    let mut wrong = 0;

    for result in played {
        let row = &table.rows[result.row];
        let breaches = result.breaches(row);
        println!(
            "{} {}",
            if breaches.is_empty() { "  " } else { "XX" },
            line(table, row, result)
        );

        for breach in &breaches {
            println!("       {breach}");
        }

        if !breaches.is_empty() {
            println!("       {}", causes(result));
        }
        wrong += usize::from(!breaches.is_empty());
    }

    println!("Envoy {version}: {} rows, {wrong} wrong", played.len());
    wrong
}

/// Causes of the streams' ends, from the records.
fn causes(result: &Played) -> String {
    let of = |record: &Record| {
        let [flags, details] =
            ["audit.response.flags", "audit.response.code_details"].map(|name| record.text(name));
        format!("flags {flags:?}, details {details:?}")
    };
    result.records.iter().map(of).collect::<Vec<_>>().join("; ")
}

fn line(table: &Table, row: &Row, result: &Played) -> String {
    let order = table.orders[row.order].label();
    let record = result.cells().columns().join(" | ");
    format!(
        "{:<16} {order:<42} {:<44} {:<26} {record}",
        row.protocol, row.ending, result.client
    )
}

/// Prints the rows' names.
pub fn list(table: &Table, rows: &[usize]) {
    for row in rows {
        println!("{}", name(table, &table.rows[*row]));
    }
}

/// A row's text for `--only`.
pub fn name(table: &Table, row: &Row) -> String {
    format!(
        "{} | {} | {}",
        row.protocol,
        table.orders[row.order].label(),
        row.ending
    )
}
