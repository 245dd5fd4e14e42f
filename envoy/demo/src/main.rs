//! Command line of the demo: `upstream` answers behind Envoy, `drive` sends requests through it and
//! checks the trail, `traffic` sends more of them until it is stopped.

mod drive;
mod traffic;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use testkit::upstream::Upstream;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Demo upstream and demo client for audit-filter.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the demo upstream until SIGTERM or SIGINT and prints where it listens.
    Upstream {
        /// Where the HTTP/1.1 server listens; port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:0")]
        http: SocketAddr,
        /// Where the gRPC server (HTTP/2 cleartext) listens; port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:0")]
        grpc: SocketAddr,
    },
    /// Sends a handful of requests through Envoy, prints what was audited, and fails when something
    /// is missing.
    Drive(drive::Targets),
    /// Sends the traffic of a handful of users through Envoy, until SIGTERM or SIGINT.
    Traffic(traffic::Targets),
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Upstream { http, grpc } => serve(http, grpc)
            .await
            .map_err(|error| format!("the upstream cannot run: {error}")),
        Command::Drive(targets) => drive::run(&targets, &mut io::stdout()).await,
        Command::Traffic(targets) => send(targets).await,
    };

    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            let _ = writeln!(io::stderr().lock(), "audit-demo: {sentence}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(http: SocketAddr, grpc: SocketAddr) -> io::Result<()> {
    let mut signals = Signals::install()?;
    let upstream = Upstream::start_on(http, grpc).await?;

    let lines = format!(
        "http {}\ngrpc {}\n",
        upstream.http_addr(),
        upstream.grpc_addr()
    );
    io::stdout().lock().write_all(lines.as_bytes())?;

    signals.received().await;
    Ok(())
}

async fn send(targets: traffic::Targets) -> Result<(), String> {
    let mut signals = Signals::install().map_err(|error| format!("no traffic: {error}"))?;
    tokio::select! {
        result = traffic::run(targets) => result,
        () = signals.received() => Ok(()),
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
