//! Growth of the ledgers to a size, by slices in which the builds take turns.

use std::ops::Range;

use testkit::{cpu, now, quantile};

use crate::build::Build;
use crate::database::Kind;
use crate::load;
use crate::progress::Progress;
use crate::records::OF_BATCH;
use crate::sizes::{self, EXTRA};
use crate::state::State;

/// Fewer records of a slice, after a kill, are not measured.
const LEAST: u64 = 20_000;

/// Loads the slices between two sizes into the ledgers of all builds.
pub fn grow(state: &mut State, builds: &mut [Build], kind: Kind, sizes: Range<u64>) {
    let slices = sizes::slices(sizes.start, sizes.end);
    let todo: u64 = slices.iter().map(|slice| slice.end - slice.start).sum();
    let mut progress = Progress::new(kind, sizes.end, todo * builds.len() as u64);

    for (turn, slice) in slices.iter().enumerate() {
        let is_done = |state: &State, build: &Build| {
            state.get(&build.key(kind, slice.end, "loaded")).is_some()
        };
        if builds.iter().all(|build| is_done(state, build)) {
            progress.skip((slice.end - slice.start) * builds.len() as u64);
            continue;
        }

        let requests = load::requests(state.clock(), slice.clone());
        // Which build goes first alternates, so that a drift of the machine favours neither.
        for place in 0..builds.len() {
            let build = &mut builds[(place + turn) % builds.len()];
            if !is_done(state, build) {
                take(state, build, kind, slice, &requests);
            }
            progress.report(
                build.name,
                slice,
                state.get(&build.key(kind, slice.end, "rate")),
            );
        }
    }
}

/// Sends a slice, and waits until the collector rests. What is stored already, because a kill has
/// interrupted the slice, is sent before the clock starts: it contains batches that were in flight.
fn take(
    state: &mut State,
    build: &mut Build,
    kind: Kind,
    slice: &Range<u64>,
    requests: &[Vec<u8>],
) {
    let stored = build.records();
    assert!(stored >= slice.start, "the ledger has lost records");
    let known = stored.min(slice.end) - slice.start;
    let (before, rest) = requests.split_at((known / OF_BATCH) as usize);

    let address = build.program().address;
    load::send(address, before);
    let took = load::send(address, rest);
    let lag = load::catch_up(&mut build.client(), slice.end);
    let settled = lag + cpu::settle(build.program().id());
    assert!(build.records() >= slice.end, "not all records were stored");

    let (measured, peak) = (rest.len() as u64 * OF_BATCH, build.peak());
    let mut keep = |measure: &str, value| state.set(&build.key(kind, slice.end, measure), value);
    if measured >= LEAST {
        keep("rate", measured as f64 / took.as_secs_f64());
        keep("lag", lag.as_secs_f64());
        keep("settled", settled.as_secs_f64());
    }
    keep("peak", peak as f64);
    keep("loaded", slice.end as f64);
}

/// The median time of the batches that one sender sends to all builds by turns, behind a size.
pub fn alone(state: &mut State, builds: &mut [Build], kind: Kind, size: u64) {
    let requests = load::requests(state.clock(), size..size + EXTRA);
    // More than none when a kill has interrupted this.
    let stored = builds.iter_mut().map(|build| build.records() - size).max();
    let stored = (stored.unwrap_or_default() / OF_BATCH) as usize;
    let mut clients: Vec<_> = builds.iter_mut().map(Build::client).collect();
    let mut times = vec![Vec::new(); builds.len()];

    for (turn, request) in requests.iter().enumerate() {
        for place in 0..builds.len() {
            let index = (place + turn) % builds.len();
            let start = now();
            load::store(&mut clients[index], request);
            if turn >= stored {
                times[index].push(start.elapsed().as_secs_f64() * 1000.0);
            }
        }
    }

    for (build, times) in builds.iter_mut().zip(&times) {
        load::catch_up(&mut build.client(), size + EXTRA);
        cpu::settle(build.program().id());
        if !times.is_empty() {
            state.set(&build.key(kind, size, "batch"), quantile(times, 0.5));
        }
        state.set(&build.key(kind, size, "alone"), EXTRA as f64);
    }
}
