//! Rotel, a real OTLP collector that forwards to another one.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;
use testkit::tools;

use crate::process::DEADLINE;

/// Rotel as a program; killed when dropped.
pub(crate) struct Rotel {
    process: Child,
    pub(crate) address: String,
    _directory: TempDir,
}

impl Rotel {
    /// Starts it on free ports, and waits until it listens. It forwards to the receiver of OTLP over
    /// HTTP at `target`.
    pub(crate) fn start(target: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let log = File::create(directory.path().join("log")).unwrap();
        let [address, grpc] = free_addresses();

        let process = Command::new(tools::python_packages().join("rotel/rotel-agent"))
            .args(["start", "--otlp-http-endpoint", &address])
            .args(["--otlp-grpc-endpoint", &grpc, "--exporter", "otlp"])
            .args(["--otlp-exporter-protocol", "http"])
            .args(["--otlp-exporter-endpoint", &format!("http://{target}")])
            .current_dir(directory.path())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();

        poll("Rotel listens", || TcpStream::connect(&address).is_ok());
        Self {
            process,
            address,
            _directory: directory,
        }
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Addresses that nothing listens on.
pub(crate) fn free_addresses<const N: usize>() -> [String; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().to_string())
}

pub(crate) fn poll(event: &str, has_happened: impl Fn() -> bool) {
    const PAUSE: Duration = Duration::from_millis(20);
    for _ in 0..DEADLINE.as_millis() / PAUSE.as_millis() {
        if has_happened() {
            return;
        }
        sleep(PAUSE);
    }
    panic!("in time, {event}");
}
