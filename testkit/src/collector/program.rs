//! The collector as a process: started, terminated or killed.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::http::Client;
use crate::tools;

/// The collector, which cargo builds beside the test program.
#[must_use]
pub fn binary() -> PathBuf {
    tools::profile_directory().join("audit-collector")
}

/// Working directory, and the place of the key of a ledger in PostgreSQL.
#[must_use]
pub fn directory() -> PathBuf {
    tools::target_directory().join("tmp")
}

/// Longest shutdown after SIGTERM.
const DEADLINE: Duration = Duration::from_secs(30);

/// A running collector; killed when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Program {
    /// Starts the collector on a free port and waits until it is ready.
    pub fn start(database: &str) -> Self {
        Self::start_by(Command::new(binary()).args(flags(database)))
    }

    /// Starts it by a command that executes the collector, see [`flags`].
    pub fn start_by(command: &mut Command) -> Self {
        let mut child = command
            .current_dir(directory())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();

        let address = line
            .strip_prefix("listening on http://")
            .and_then(|rest| rest.trim_end().parse().ok());
        let Some(address) = address else {
            let _ = child.kill();
            panic!(
                "the collector did not start ({:?}); why stands above",
                child.wait()
            );
        };
        Self { child, address }
    }

    /// Id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A new connection to it.
    pub fn client(&self) -> Client {
        Client::connect(self.address).unwrap()
    }

    /// SIGKILL: the program cannot clean up.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM. Returns the exit code of a graceful shutdown.
    pub fn terminate(mut self) -> Option<i32> {
        let status = Command::new("kill")
            .args(["-s", "TERM", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());

        for _ in 0..DEADLINE.as_millis() / 10 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the program did not end");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails if the program has already ended, which is the normal case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The flags of a collector on this database. It takes a free port, and prints only start errors.
#[must_use]
pub fn flags(database: &str) -> [String; 6] {
    [
        "--listen",
        "127.0.0.1:0",
        "--database",
        database,
        "--log-level",
        "off",
    ]
    .map(str::to_owned)
}
