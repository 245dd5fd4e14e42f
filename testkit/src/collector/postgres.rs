//! A real PostgreSQL in a temporary directory that ends with the process that started it.

use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use postgres::{Client, NoTls};

/// Scripts that fetch and supervise a server.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../collector/tests/support");

/// A server on a free port of 127.0.0.1 with production settings: fsync, passwords, a language's
/// collation.
///
/// A script supervises it, and ends and removes it when the pipe from this process closes: on drop,
/// and after any kind of exit.
#[derive(Debug)]
pub struct Postgres {
    supervisor: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    url: String,
    databases: AtomicU32,
}

impl Postgres {
    /// A private server; takes about three seconds.
    pub fn start() -> Self {
        Self::supervised(&[])
    }

    /// A server with its data in this folder, which it leaves there when it ends. The user of
    /// PostgreSQL must be able to reach the folder.
    pub fn kept_in(folder: &Path) -> Self {
        Self::supervised(&[folder])
    }

    fn supervised(folder: &[&Path]) -> Self {
        let mut supervisor = Command::new(format!("{SCRIPTS}/serve-postgres.sh"))
            .arg(programs())
            .args(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C must not reach the supervisor, which still has to clean up.
            .process_group(0)
            .spawn()
            .unwrap();
        let orders = supervisor.stdin.take();

        let mut answers = BufReader::new(supervisor.stdout.take().unwrap());
        let url = line(&mut answers);
        assert!(
            url.starts_with("postgres://"),
            "the server did not start; why stands above"
        );

        Self {
            supervisor,
            orders,
            answers,
            url,
            databases: AtomicU32::new(0),
        }
    }

    /// The server that all tests of this process share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Creates an empty database and returns its URL.
    pub fn new_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let statement = format!("CREATE DATABASE {name}");
        let admin = format!("{}/postgres", self.url);

        // On a separate thread: the driver contains a runtime, which cannot start inside that of an
        // async test.
        thread::spawn(move || {
            Client::connect(&admin, NoTls)
                .unwrap()
                .batch_execute(&statement)
                .unwrap()
        })
        .join()
        .unwrap();
        format!("{}/{name}", self.url)
    }

    /// The URL of the database with this name, which is created when it is missing. Not from async
    /// code.
    pub fn database(&self, name: &str) -> String {
        let mut admin = Client::connect(&format!("{}/postgres", self.url), NoTls).unwrap();
        let known = "SELECT FROM pg_database WHERE datname = $1";
        if admin.query_opt(known, &[&name]).unwrap().is_none() {
            let statement = format!("CREATE DATABASE {name}");
            admin.batch_execute(&statement).unwrap();
        }
        format!("{}/{name}", self.url)
    }

    /// Ends the server as a crash does: no further writes, connections break.
    pub fn crash(&mut self) {
        self.order("crash");
    }

    /// Restarts a crashed server at the same address. It first recovers from its log.
    pub fn start_again(&mut self) {
        self.order("start");
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
        assert_eq!(
            line(&mut self.answers),
            order,
            "the order was not carried out; why stands above"
        );
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.supervisor.wait();
    }
}

/// The directory of `initdb`, `pg_ctl` and `postgres`.
fn programs() -> String {
    let script = format!("{SCRIPTS}/get-postgres.sh");
    let output = Command::new(script)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "there is no PostgreSQL; why stands above"
    );

    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

fn line(answers: &mut impl BufRead) -> String {
    let mut line = String::new();
    answers.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}
