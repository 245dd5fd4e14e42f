//! Everything that the collector acknowledged with 2xx is kept: after SIGKILL, SIGTERM, a full disk
//! or a database crash.
//!
//! A killed process proves that no acknowledged record exists in memory only. That commits reach
//! the disk is the database's part; the unit tests of the store check its settings.
#![cfg(test)]

mod first_start;
mod full_disk;
mod kill;
mod load;
mod sender;
mod server_crash;
mod terminate;
mod verify;
