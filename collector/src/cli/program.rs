//! The collector as a program: opens ledger and port, reports that it is ready, and serves until a
//! signal ends it.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use audit_collector::http::admission::Admission;
use audit_collector::http::app::app;
use audit_collector::http::auth::Access;
use audit_collector::http::metrics::Metrics;
use audit_collector::http::secrets::{Current, Secrets, SecretsError};
use audit_collector::http::serve::Server;
use audit_collector::http::state::AppState;
use audit_collector::ledger::Ledger;
use audit_collector::logs;
use audit_collector::time::now_unix_nano;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::cli::flags::ServeFlags;
use crate::cli::ledger_flags::LedgerError;

/// How long a shutdown waits for open requests, and again for the database; a hung client must not
/// delay it for ever.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Why the program did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(
        "--max-inflight-bytes must be at least --max-body-bytes, or a large body would never be taken"
    )]
    Limits,
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("cannot listen on {0}: {1}")]
    Listen(String, io::Error),
    #[error("cannot run: {0}")]
    Io(#[from] io::Error),
}

impl StartError {
    /// Whether other flags are needed.
    pub(crate) fn is_usage(&self) -> bool {
        match self {
            Self::Ledger(error) => error.is_usage(),
            Self::Listen(..) | Self::Io(_) => false,
            Self::Limits | Self::Secrets(_) => true,
        }
    }
}

/// Runs until SIGTERM or SIGINT.
pub(crate) fn run(flags: ServeFlags) -> Result<(), StartError> {
    logs::init(flags.logs.form(), flags.logs.log_level);
    if flags.limits.max_inflight_bytes < flags.limits.max_body_bytes {
        return Err(StartError::Limits);
    }

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(serve(flags));
    // A query that the database does not answer must not delay the end.
    runtime.shutdown_background();
    result
}

async fn serve(flags: ServeFlags) -> Result<(), StartError> {
    let has_client_ca = flags.tls.has_client_ca();
    let (secrets, Current { access, tls }) =
        Secrets::read(flags.access.files(), flags.tls.files())?;
    let views = Arc::new(flags.ledger.views());
    let metrics = Metrics::default();
    let counts = metrics.clone();
    let opening = spawn_blocking(move || flags.ledger.open(now_unix_nano, &counts));
    let ledger = Arc::new(opening.await.map_err(io::Error::other)??);
    let bound = TcpListener::bind(&flags.listen).await;
    let listener = bound.map_err(|error| StartError::Listen(flags.listen, error))?;

    // Before the address is printed: its reader may send a signal at once.
    let signals = Signals::install()?;
    announce(&listener, &access.borrow(), tls.is_some(), has_client_ca)?;
    tokio::spawn(secrets.keep_up(signals.hang_up));

    let state = AppState {
        ledger: ledger.clone(),
        views,
        admission: Admission::new(flags.limits.limits()),
        access,
        metrics: metrics.clone(),
        refusals: Arc::default(),
        now_unix_nano,
    };
    let server = Server {
        router: app(state),
        tls,
        metrics,
        max_connections: flags.limits.max_connections,
    };

    server
        .run(listener, signals.end.received(), SHUTDOWN_GRACE)
        .await;
    close(&ledger).await;
    Ok(())
}

/// Prints the address, and warns of a port that is open to all.
fn announce(
    listener: &TcpListener,
    access: &Access,
    has_tls: bool,
    has_client_ca: bool,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let scheme = if has_tls { "https" } else { "http" };
    writeln!(io::stdout(), "listening on {scheme}://{address}")?;
    info!(version = env!("CARGO_PKG_VERSION"), %address, tls = has_tls, "started");

    if let Some(open) = open_to_all(address, access, has_client_ca) {
        let remedy = "--ingest-token-file, --read-token-file or --client-ca";
        warn!("everybody who can reach {address} can {open}, without {remedy}");
    }
    Ok(())
}

async fn close(ledger: &Ledger) {
    if timeout(SHUTDOWN_GRACE, ledger.close()).await.is_err() {
        warn!("the database was still in use at the end");
    }
    info!("stopped");
}

/// What the port allows to clients on other machines; `None` when it allows nothing.
fn open_to_all(address: SocketAddr, access: &Access, has_client_ca: bool) -> Option<&'static str> {
    if address.ip().to_canonical().is_loopback() || has_client_ca {
        return None;
    }
    match (&access.ingest, &access.read) {
        (None, None) => Some("write and read"),
        (None, Some(_)) => Some("write"),
        (Some(_), None) => Some("read"),
        (Some(_), Some(_)) => None,
    }
}

struct Signals {
    end: EndSignals,
    /// Reloads tokens and certificates.
    hang_up: Signal,
}

struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn install() -> io::Result<Self> {
        let end = EndSignals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        };
        Ok(Self {
            end,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

impl EndSignals {
    async fn received(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use audit_collector::http::auth::Tokens;

    use super::*;

    #[test]
    fn a_port_that_others_can_reach_is_open_without_tokens_or_certificates() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, "s3cr3t").unwrap();
        let token = || Tokens::from_file(&file).ok();

        let open = |address: &str, ingest, read, has_client_ca| {
            open_to_all(
                address.parse().unwrap(),
                &Access { ingest, read },
                has_client_ca,
            )
        };

        for loopback in [
            "127.0.0.1:1",
            "127.0.0.9:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert_eq!(open(loopback, None, None, false), None, "{loopback}");
        }

        for address in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1"] {
            assert_eq!(
                open(address, None, None, false),
                Some("write and read"),
                "{address}"
            );
            assert_eq!(open(address, token(), None, false), Some("read"));
            assert_eq!(open(address, None, token(), false), Some("write"));
            assert_eq!(open(address, token(), token(), false), None);
            assert_eq!(open(address, None, None, true), None);
        }
    }
}
