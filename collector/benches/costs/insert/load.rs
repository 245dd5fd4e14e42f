//! The load on the collector: four connections that stay open, one batch at a time on each.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use testkit::collector::{Client, JSON, Program, post};
use testkit::{cpu, now};

use crate::batch::Batches;

pub const CONNECTIONS: u64 = 4;

/// Cost of one round of load.
pub struct Cost {
    /// From the first request to the last answer.
    pub wall: Duration,
    /// CPU time of the threads that send.
    pub load_nanos: u64,
    /// CPU time of the collector until the last answer.
    pub collector_nanos: u64,
    /// From the last answer until the collector was idle.
    pub settled_after: Duration,
}

/// Sends batches `first` up to `first + batches` of every connection's stream, and waits for their
/// acknowledgements.
pub fn round(program: &Program, texts: &Batches, first: u64, batches: u64) -> Cost {
    let before = cpu::of_process(program.id());
    let start = now();

    let load_nanos = thread::scope(|scope| {
        let send =
            |stream| scope.spawn(move || send(program.address, texts, stream, first, batches));
        let threads: Vec<_> = (0..CONNECTIONS).map(send).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });

    let wall = start.elapsed();
    let collector_nanos = cpu::of_process(program.id()) - before;
    let settled_after = cpu::settle(program.id());

    Cost {
        wall,
        load_nanos,
        collector_nanos,
        settled_after,
    }
}

fn send(address: SocketAddr, texts: &Batches, stream: u64, first: u64, batches: u64) -> u64 {
    let mut client = Client::connect(address).unwrap();
    for index in first..first + batches {
        let request = post(JSON, &texts.body(stream, index));
        let answer = client.exchange(&request).unwrap();
        assert_eq!(
            answer.status,
            200,
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
    }

    cpu::of_this_thread()
}
