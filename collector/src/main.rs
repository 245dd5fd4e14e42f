//! The `audit-collector` program: flags, logs, the listening socket and an orderly end.

mod ledger_flags;
mod offline;
mod serve;
mod token_ref;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use audit_collector::app::{AppState, app};
use clap::{Args, Parser, Subcommand};
use ledger_flags::{LedgerError, LedgerFlags};
use serve::serve;
use token_ref::TokenRefError;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::level_filters::LevelFilter;
use tracing::{info, warn};

/// How long a shutdown waits for open requests, and again for the database; a hung client must not hold it for ever.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Exit code for flags that cannot be used; the same that clap uses.
const EXIT_USAGE: u8 = 2;

/// Takes audit records over OTLP/HTTP and keeps each of them once.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
}

/// What else the program does.
#[derive(Subcommand)]
enum Command {
    /// Prints the reference of a token that stdin holds, to search the records for it
    TokenRef(token_ref::Flags),
    /// Tells whether records are missing and whether the ledger was tampered with; exit code 1 if so
    Verify(offline::verify::Flags),
    /// Prints the signed checkpoints, one JSON object a line, to be kept elsewhere
    Checkpoints(offline::checkpoints::Flags),
    /// Prints all records, one JSON object a line, in the order in which they were stored
    Export(offline::export::Flags),
}

// No doc comment: clap would print it in the place of the one above.
#[derive(Args)]
struct Flags {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:4318")]
    listen: SocketAddr,
    #[command(flatten)]
    ledger: LedgerFlags,
    /// Most bytes of a request body, as sent and after decompression
    #[arg(long, default_value_t = 16_777_216, value_name = "BYTES")]
    max_body_bytes: usize,
    /// Least important log lines to write to stderr: error, warn, info, debug, trace or off
    #[arg(long, default_value = "info", value_name = "LEVEL")]
    log_level: LevelFilter,
}

/// Why the program ended before it was asked to.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    #[error("token-ref: {0}")]
    TokenRef(#[from] TokenRefError),
    #[error("{0}")]
    Offline(#[from] offline::OfflineError),
    #[error("cannot run: {0}")]
    Io(#[from] io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    let CommandLine { command, flags } = CommandLine::parse();
    let result = match command {
        Some(command) => blocking(move || run_command(command)).await,
        None => run(flags).await.map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody is left to tell when stderr is closed.
            let _ = writeln!(io::stderr(), "audit-collector: {error}");
            exit_code(&error)
        }
    }
}

/// Whether all is well.
fn run_command(command: Command) -> Result<bool, RunError> {
    match command {
        Command::TokenRef(flags) => token_ref::run(flags)?,
        Command::Verify(flags) => return Ok(offline::verify::run(flags, clock())?),
        Command::Checkpoints(flags) => offline::checkpoints::run(&flags)?,
        Command::Export(flags) => offline::export::run(&flags)?,
    }
    Ok(true)
}

/// Runs `work` where it may block; PostgreSQL's driver has a runtime of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RunError> + Send + 'static,
) -> Result<T, RunError> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

fn exit_code(error: &RunError) -> ExitCode {
    match error {
        RunError::Listen(..) | RunError::Io(_) => ExitCode::FAILURE,
        RunError::TokenRef(TokenRefError::Stdin(_) | TokenRefError::Stdout(_)) => ExitCode::FAILURE,
        RunError::Ledger(error) if !error.is_usage() => ExitCode::FAILURE,
        RunError::Ledger(_) | RunError::TokenRef(_) | RunError::Offline(_) => ExitCode::from(EXIT_USAGE),
    }
}

async fn run(flags: Flags) -> Result<(), RunError> {
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).with_max_level(flags.log_level).init();
    let keep = flags.ledger;
    let ledger = Arc::new(blocking(move || Ok(keep.open(clock)?)).await?);
    let listener = TcpListener::bind(flags.listen).await.map_err(|error| RunError::Listen(flags.listen, error))?;
    // Before the line below: who read it may send a signal at once.
    let signals = Signals::install()?;
    writeln!(io::stdout(), "listening on http://{}", listener.local_addr()?)?;
    let state = AppState { ledger: ledger.clone(), max_body_bytes: flags.max_body_bytes, now_unix_nano: clock };
    serve(listener, app(state), signals.received(), SHUTDOWN_GRACE).await;
    if timeout(SHUTDOWN_GRACE, ledger.close()).await.is_err() {
        warn!("the database was still in use at the end");
    }
    info!("stopped");
    Ok(())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn received(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Nanoseconds since the Unix epoch; 0 when the clock stands before it.
#[expect(clippy::disallowed_methods, reason = "the edge of the program, the only place that reads a clock")]
fn clock() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX)
}
