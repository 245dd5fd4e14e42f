//! A line that tells how far it is, overwritten each time, and the rounds that it tells of.

use std::io::Write;

pub fn show(text: &str) {
    eprint!("\r{text}   ");
    std::io::stderr().flush().unwrap();
}

/// Leaves the line.
pub fn end() {
    eprintln!();
}

/// Gives every case its slice, round by round, every other round in the opposite order.
pub async fn rounds<Case>(
    what: &str,
    rounds: usize,
    cases: &mut [Case],
    mut slice: impl AsyncFnMut(&mut Case),
) {
    for round in 0..rounds {
        show(&format!("{what}: round {} of {rounds}", round + 1));
        let last = cases.len() - 1;
        for turn in 0..=last {
            slice(
                &mut cases[if round.is_multiple_of(2) {
                    turn
                } else {
                    last - turn
                }],
            )
            .await;
        }
    }
    end();
}
