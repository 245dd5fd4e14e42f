//! A progress line, overwritten on each update, and the rounds that it shows.

use std::io::Write;

/// Shows a text in place of the previous one.
pub fn show(text: &str) {
    eprint!("\r{text}   ");
    std::io::stderr().flush().unwrap();
}

/// Ends the line.
pub fn end() {
    eprintln!();
}

/// Runs one slice of every case per round. Every other round runs in reverse order.
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
