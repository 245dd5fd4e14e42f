//! The cost of an audit cluster that is down or hung, on a real Envoy: memory, CPU time, and clients'
//! time. How to read it: `benches/README.md`.

#![cfg(test)]
#![expect(unreachable_pub, reason = "a program has no public items")]

mod case;
mod latency;
mod memory;
mod processor;
mod subject;

use testkit::bench::machine;
use testkit::bench::measure::Size;
use testkit::bench::options::{Count, Program};

const GROUPS: [(&str, &str); 3] = [
    ("memory", "memory of Envoy while the audit cluster is down"),
    ("cpu", "CPU time of a request while it is down or hangs"),
    ("latency", "the client's time of a request while it hangs"),
];
const COUNTS: [Count; 3] = [
    Count {
        name: "--minutes",
        default: 5,
        meaning: "load of memory on one Envoy, with the buffer full",
    },
    Count {
        name: "--rounds",
        default: 60,
        meaning: "slices of each row of cpu and latency",
    },
    Count {
        name: "--requests",
        default: 1000,
        meaning: "requests of such a slice",
    },
];

// One thread: load generator and audit clusters share one core, Envoy has the other.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let program = Program {
        name: "outage",
        about: "Measures a real Envoy while the audit cluster is down or hangs.",
        groups: &GROUPS,
        counts: COUNTS,
        texts: &[],
    };
    let (line, [minutes, rounds, requests]) = program.read();
    let size = Size {
        rounds,
        requests,
        paced: 0,
        again: 0,
    };
    println!("{}\n", machine::describe());

    if line.picks("memory") {
        memory::run(minutes).await;
    }
    if line.picks("cpu") {
        processor::run(size).await;
    }
    if line.picks("latency") {
        latency::run(size).await;
    }
}
