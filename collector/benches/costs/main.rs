//! Benchmarks of the collector. The first word of the command line is the one to run; how to read
//! them: `collector/benches/README.md`.
#![cfg(test)]
#![expect(unreachable_pub, reason = "a program has no public items")]

mod batch;
mod checkpoint;
mod insert;
mod ledger;
mod memory;
mod page;
mod rows;
mod senders;
mod verify;

fn main() {
    let mut words = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'));
    match words.next().as_deref() {
        Some("checkpoint") => checkpoint::run(),
        Some("insert") => insert::run(),
        Some("memory") => memory::run(),
        Some("page") => page::run(),
        Some("senders") => senders::run(),
        Some("verify") => verify::run(),
        _ => panic!("the first word is checkpoint, insert, memory, page, senders or verify"),
    }
}
