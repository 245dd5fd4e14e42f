//! A line that tells how far it is, overwritten each time.

use std::io::Write;

pub fn show(text: &str) {
    eprint!("\r{text}   ");
    std::io::stderr().flush().unwrap();
}

/// Leaves the line.
pub fn end() {
    eprintln!();
}
