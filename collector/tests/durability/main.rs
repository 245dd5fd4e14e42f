//! What the collector has answered with 2xx is kept: after it was killed, stopped, or left without a disk or a database.
//!
//! A killed process proves that nothing waits in its memory. That commits reach the disk is up to the database; the
//! store's own tests look at its settings.
#![cfg(test)]

mod first_start;
mod full_disk;
mod kill;
mod load;
mod sender;
mod server_crash;
mod terminate;
mod verify;

#[path = "../support/mod.rs"]
mod support;
