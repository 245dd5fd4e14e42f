//! The rows: each fault and the laws that hold under it.

use std::time::Duration;

use crate::fault::Fault;
use crate::law::Law::{self, *};
use crate::load::POISON;
use crate::support::sink::Answer;

/// One row of the table.
pub struct Row {
    pub name: &'static str,
    pub fault: Fault,
    pub laws: &'static [Law],
}

/// What holds whatever the audit cluster does.
const CALM: &[Law] = &[Accounted, Undisturbed, Conserved, NothingLost];
/// The same, and attempts must have failed, or the row has shown nothing.
const OUTAGE: &[Law] = &[Accounted, Undisturbed, Conserved, NothingLost, Failing];
/// Larger bodies are refused by the row in which the audit cluster takes small ones only.
const MAX_BODY: usize = 10_000;

/// The row that the others are compared with.
pub const BASELINE: Row = row("none", Fault::None, CALM);

/// All rows but [`BASELINE`].
pub fn rows() -> Vec<Row> {
    vec![
        row("down", Fault::Down, OUTAGE),
        row("hangs", answers(Answer::Hang), OUTAGE),
        row("slow", answers(Answer::Late(Duration::from_millis(500))), CALM),
        row("429, retry after 1 s", answers(Answer::RetryAfter(429, "1")), OUTAGE),
        row("500", answers(Answer::Status(500, "")), OUTAGE),
        row("503", answers(Answer::Status(503, "")), OUTAGE),
        row("400 for one record", Fault::Refuses(400, has_poison), &[Accounted, Undisturbed, Conserved, OnlyPoison]),
        row("413 for large batches", Fault::Refuses(413, is_large), OUTAGE),
        row("reset in the answer", answers(Answer::CutOff), OUTAGE),
        row("garbage for an answer", answers(Answer::Garbage), OUTAGE),
        row("answer of 10 MiB", answers(Answer::Huge(10 << 20)), CALM),
        row("answer lost", answers(Answer::Lost), &[Accounted, Undisturbed, Conserved, NothingLost, Duplicating]),
        row("cluster without hosts", Fault::NoHost, OUTAGE),
        row("cluster unknown", Fault::NoCluster, OUTAGE),
        row("restarted every second", Fault::Restarted, OUTAGE),
        row("down, small buffer", Fault::SmallBuffer, &[Accounted, Undisturbed, Conserved, Failing, Dropping]),
        row("configuration updated", Fault::Updated, &[Accounted, Conserved, NothingLost, Renewing]),
        row("drained, then quit", Fault::Drained, &[Accounted, Conserved, NothingLost]),
        row("VM crashed", Fault::Crashed, &[Accounted, Conserved, Reloading]),
        row("killed", Fault::Killed, &[AtMostOneInterval, Cut]),
    ]
}

const fn row(name: &'static str, fault: Fault, laws: &'static [Law]) -> Row {
    Row { name, fault, laws }
}

fn answers(answer: Answer) -> Fault {
    Fault::Answers(answer)
}

fn has_poison(body: &[u8]) -> bool {
    body.windows(POISON.len()).any(|window| window == POISON.as_bytes())
}

fn is_large(body: &[u8]) -> bool {
    body.len() > MAX_BODY
}
