//! The collector as a process: started, terminated or killed.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::http::Client;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_audit-collector");

/// Working directory, and the place of the key of a ledger in PostgreSQL.
pub(crate) const DIRECTORY: &str = env!("CARGO_TARGET_TMPDIR");

/// Longest shutdown after SIGTERM.
const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Program {
    /// Starts the collector on a free port and waits until it is ready.
    pub(crate) fn start(database: &str) -> Self {
        Self::start_by(Command::new(BINARY).args(flags(database)))
    }

    /// Starts it by a command that executes the collector, see [`flags`].
    pub(crate) fn start_by(command: &mut Command) -> Self {
        let mut child = command
            .current_dir(DIRECTORY)
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

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address).unwrap()
    }

    /// SIGKILL: the program cannot clean up.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM. Returns the exit code of a graceful shutdown.
    pub(crate) fn terminate(mut self) -> Option<i32> {
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
pub(crate) fn flags(database: &str) -> [String; 6] {
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
