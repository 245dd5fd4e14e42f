//! The VM's linear memory, which never shrinks: size with a full buffer, and no growth over many
//! fills.

use serde_json::json;

use super::artefact::full;
use super::exchange::Exchange;
use super::vm::Vm;

/// Most records in the default buffer.
const REQUESTS: usize = 13_500;

fn fill(vm: &mut Vm) {
    let tracked = Exchange::http("/demo.Accounts/ChangePassword").tracked();
    for _ in 0..REQUESTS {
        vm.exchange(&tracked);
        vm.wake();
    }
}

/// Acknowledges all batches.
fn drain(vm: &mut Vm) -> usize {
    let mut batches = 0;
    loop {
        vm.host().advance_clock(60);
        vm.tick();
        match vm.acknowledge().len() {
            0 => return batches,
            sent => batches += sent,
        }
    }
}

/// Number of times that the buffer is filled and drained.
const ROUNDS: usize = 5;

/// Rounds until blocks of all sizes are reused.
const SETTLED: usize = 3;

/// Half as much again as the default buffer: its records, and a batch while it is made and sent.
const MOST_BYTES: usize = 18 << 20;

#[test]
fn memory_stops_growing_when_the_buffer_is_filled_again_and_again() {
    // A sign of life at each tick would keep the buffer from becoming empty.
    let mut vm = Vm::start(full(), &json!({"stages": {"alive_interval": "0s"}}));
    println!("linear memory at rest: {} KiB", vm.memory_bytes() / 1024);

    let mut after = Vec::new();
    for round in 1..=ROUNDS {
        fill(&mut vm);
        let full = vm.memory_bytes() / 1024;
        let batches = drain(&mut vm);
        assert!(batches > 20, "only {batches} batches left a full buffer");
        after.push(vm.memory_bytes());
        println!(
            "round {round}: {full} KiB with a full buffer, {} KiB drained",
            vm.memory_bytes() / 1024
        );
    }

    let settled = &after[SETTLED - 1..];
    assert!(
        settled.iter().all(|bytes| *bytes == settled[0]),
        "{after:?}"
    );
    assert!(settled[0] <= MOST_BYTES, "{after:?}");
}
