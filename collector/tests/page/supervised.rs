//! Child processes that end with this test process, however it ends.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// Ends its program when stdin is closed. The end of the test process closes it too, also by a
/// signal. `$1`: KILL ends the process group at once, TERM lets the program clean up.
const SUPERVISOR: &str = r#"
how=$1; shift
"$@" </dev/null & pid=$!
exec >&-
cat >/dev/null
if [[ $how == KILL ]]; then kill -KILL 0; fi
kill -TERM "$pid"; wait "$pid"
"#;

/// How a program is ended.
#[derive(Clone, Copy)]
pub(crate) enum End {
    /// The complete process group, at once.
    Kill,
    /// By a signal that lets it clean up.
    Terminate,
}

/// A running program.
pub(crate) struct Supervised {
    child: Child,
    lines: Receiver<String>,
    log: File,
}

impl Supervised {
    pub(crate) fn start(end: End, program: &str, arguments: &[&str]) -> Self {
        let how = match end {
            End::Kill => "KILL",
            End::Terminate => "TERM",
        };

        let log = tempfile::tempfile().unwrap();
        let mut child = Command::new("bash")
            .args(["-c", SUPERVISOR, "supervisor", how, program])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().unwrap())
            .process_group(0)
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();

        std::thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self { child, lines, log }
    }

    /// Applies `pick` to each line until it returns a value.
    ///
    /// # Errors
    ///
    /// The program's log, if it has ended or no line matches in time.
    pub(crate) fn printed<T>(
        &mut self,
        patience: Duration,
        mut pick: impl FnMut(&str) -> Option<T>,
    ) -> Result<T, String> {
        loop {
            match self.lines.recv_timeout(patience) {
                Ok(line) => {
                    if let Some(found) = pick(&line) {
                        return Ok(found);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!(
                        "nothing for {patience:?}; its log:\n{}",
                        self.log()
                    ));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("it has ended; its log:\n{}", self.log()));
                }
            }
        }
    }

    fn log(&mut self) -> String {
        let mut text = String::new();
        self.log.rewind().unwrap();
        self.log.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
