//! The rows: each fault and the laws that hold under it.

use std::time::Duration;

use testkit::audit::sink::Answer;

use crate::fault::Fault;
use crate::law::Law::{self, *};
use crate::load::POISON;
use crate::updates::Update;

/// One row of the table.
pub struct Row {
    pub name: &'static str,
    pub fault: Fault,
    pub laws: &'static [Law],
}

/// Laws for rows with a healthy audit cluster.
const CALM: &[Law] = &[Accounted, Undisturbed, Conserved, Agreed, NothingLost];
/// The same, and attempts must have failed; otherwise the row proves nothing.
const OUTAGE: &[Law] = &[
    Accounted,
    Undisturbed,
    Conserved,
    Agreed,
    NothingLost,
    Failing,
];
/// The same except for bad records.
const POISONED: &[Law] = &[
    Accounted,
    Undisturbed,
    Conserved,
    Agreed,
    OnlyPoison,
    Failing,
];
const APPLIED: &[Law] = &[
    Accounted,
    Undisturbed,
    Conserved,
    Agreed,
    NothingLost,
    Failing,
    Duplicating,
];
const DROPPING: &[Law] = &[Accounted, Undisturbed, Conserved, Agreed, Failing, Dropping];
const UPDATED: &[Law] = &[
    Accounted,
    Undisturbed,
    Conserved,
    Agreed,
    NothingLost,
    Renewing,
];
const UPDATED_IN_OUTAGE: &[Law] = &[
    Accounted,
    Undisturbed,
    Conserved,
    Agreed,
    NothingLost,
    Failing,
    Renewing,
];
/// Envoy refuses users at the end of a drain.
const DRAINED: &[Law] = &[Accounted, Conserved, Agreed, NothingLost];
/// Envoy refuses users of the worker without a VM. The counts of that VM since its last tick are
/// not in the statistics.
const CRASHED: &[Law] = &[Accounted, Conserved, Reloading];
const RECOVERED: &[Law] = &[Accounted, Conserved, Reloading, Failing, Recovering];
/// Forged entries are lost, and reported as such.
const FORGED: &[Law] = &[Accounted, Conserved, Reloading, Failing, Distrusting];
/// One client has no effect on the others.
const CROWDED: &[Law] = &[
    Accounted,
    Undisturbed,
    Conserved,
    Agreed,
    NothingLost,
    Holding,
];
const REFUSED: &[Law] = &[
    Accounted,
    Undisturbed,
    Conserved,
    Agreed,
    NothingLost,
    Holding,
    Refusing,
];
const FLOODED: &[Law] = &[
    Accounted,
    Undisturbed,
    Conserved,
    Agreed,
    NothingLost,
    Holding,
    TooLarge,
];
const KILLED: &[Law] = &[AtMostOneInterval, Cut];
/// The audit cluster can bound the loss.
const BOUNDED: &[Law] = &[AtMostOneInterval, Cut, Bounded];
/// Longest body that the audit cluster accepts in one row.
const MAX_BODY: usize = 10_000;

/// The reference row.
pub const BASELINE: Row = row("none", Fault::None, CALM);

/// All rows but [`BASELINE`].
pub fn rows() -> Vec<Row> {
    vec![
        row("down", Fault::Down, OUTAGE),
        row("hangs", answers(Answer::Hang), OUTAGE),
        row(
            "slow",
            answers(Answer::Late(Duration::from_millis(500))),
            CALM,
        ),
        row(
            "429, retry after 1 s",
            answers(Answer::RetryAfter(429, "1")),
            OUTAGE,
        ),
        row("500", answers(Answer::Status(500, "")), OUTAGE),
        row("503", answers(Answer::Status(503, "")), OUTAGE),
        row("400, then mended", answers(Answer::Status(400, "")), OUTAGE),
        row("415, then mended", answers(Answer::Status(415, "")), OUTAGE),
        row(
            "400 for one record",
            Fault::Refuses(400, has_poison),
            POISONED,
        ),
        row(
            "500 for one record",
            Fault::Fails(500, has_poison),
            POISONED,
        ),
        row(
            "413 for large batches",
            Fault::Refuses(413, is_large),
            OUTAGE,
        ),
        row("reset in the answer", answers(Answer::CutOff), OUTAGE),
        row("garbage for an answer", answers(Answer::Garbage), OUTAGE),
        row("answer of 10 MiB", answers(Answer::Huge(10 << 20)), CALM),
        row("answer lost", answers(Answer::Lost), APPLIED),
        row("cluster without hosts", Fault::NoHost, OUTAGE),
        row("cluster unknown", Fault::NoCluster, OUTAGE),
        row("restarted every second", Fault::Restarted, OUTAGE),
        row("down, small buffer", Fault::SmallBuffer, DROPPING),
        row("configuration updated", Fault::Updated, UPDATED),
        row(
            "update with expired credentials",
            Fault::UpdatedInOutage(Update::Credentials),
            UPDATED_IN_OUTAGE,
        ),
        row(
            "new VM key while down",
            Fault::UpdatedInOutage(Update::AnotherVm),
            UPDATED_IN_OUTAGE,
        ),
        row(
            "four updates while down",
            Fault::UpdatedInOutage(Update::FourTimes),
            UPDATED_IN_OUTAGE,
        ),
        row(
            "crash, then update while down",
            Fault::UpdatedInOutage(Update::AfterCrash),
            RECOVERED,
        ),
        row("drained, then quit", Fault::Drained, DRAINED),
        row("VM crashed", Fault::Crashed, CRASHED),
        row("VM crashed while down", Fault::CrashedInOutage, RECOVERED),
        row("forged journal entries", Fault::Forged, FORGED),
        row("killed", Fault::Killed, KILLED),
        row("Istio's kill", Fault::DrainedThenKilled, BOUNDED),
        row("720 slow held requests", Fault::SlowRequests, REFUSED),
        row("body flood", Fault::Bodies, FLOODED),
        row("12,000 ends at once", Fault::Burst, CROWDED),
    ]
}

const fn row(name: &'static str, fault: Fault, laws: &'static [Law]) -> Row {
    Row { name, fault, laws }
}

fn answers(answer: Answer) -> Fault {
    Fault::Answers(answer)
}

fn has_poison(body: &[u8]) -> bool {
    body.windows(POISON.len())
        .any(|window| window == POISON.as_bytes())
}

fn is_large(body: &[u8]) -> bool {
    body.len() > MAX_BODY
}
