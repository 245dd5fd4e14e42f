//! The demo drive: sends requests through Envoy, waits for their records, shows the trail, and
//! checks it.

mod records;
mod requests;
mod seen;
mod stats;
mod table;

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use testkit::client::{CallOptions, http_get};

/// Deadline for the records to reach the collector: several batch delays, and one or two retries on
/// a busy machine.
const DEADLINE: Duration = Duration::from_secs(15);
/// Time between two polls of the collector or the statistics.
const POLL_EVERY: Duration = Duration::from_millis(100);

/// One sentence that names the problem.
type Failure = String;

/// The servers that the drive uses.
#[derive(Debug, Args)]
pub(crate) struct Targets {
    /// Envoy's HTTP listener.
    #[arg(long)]
    http: SocketAddr,
    /// Envoy's gRPC listener.
    #[arg(long)]
    grpc: SocketAddr,
    /// The HTTP server of the demo upstream itself.
    #[arg(long)]
    upstream: SocketAddr,
    /// The collector, as `http://ADDRESS:PORT`.
    #[arg(long, value_parser = parse_base_url)]
    collector: SocketAddr,
    /// Envoy's admin interface.
    #[arg(long)]
    admin: SocketAddr,
}

/// Sends, waits, and prints the three sections to `out`. Failures are returned after printing, so
/// that the sections show them.
pub(crate) async fn run(targets: &Targets, out: &mut impl Write) -> Result<(), Failure> {
    seen::clear(targets.upstream).await?;
    requests::send_all(targets).await?;
    records::wait(targets.collector).await?;
    let stats = stats::wait(targets.admin).await?;
    // Fetched again once nothing is in flight, so that a late surplus record is noticed.
    let records = records::fetch(targets.collector).await?;
    let seen = seen::fetch(targets.upstream).await?;

    let text = format!(
        "Audited records\n{}\nControl headers that the upstream saw\n{}\nStatistics of the filter\n{}\n",
        records.table(),
        seen::table(&seen),
        stats.text()
    );
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| format!("cannot print: {error}"))?;

    records.check()?;
    seen::check(&seen)?;
    stats.check()
}

fn parse_base_url(text: &str) -> Result<SocketAddr, String> {
    let addr = text
        .strip_prefix("http://")
        .map(|rest| rest.trim_end_matches('/'));
    addr.and_then(|addr| addr.parse().ok())
        .ok_or_else(|| "must be http://<ip address>:<port>".to_owned())
}

/// The body of a `GET` that must be answered with 200. The first argument names the server in the
/// failure.
async fn get_text(whom: &str, addr: SocketAddr, path: &str) -> Result<String, Failure> {
    let answer = http_get(addr, path, [], &CallOptions::default()).await;
    let answer = answer.map_err(|error| format!("GET {path} of the {whom} failed: {error}"))?;
    match answer.status {
        200 => Ok(answer.text()),
        status => Err(format!(
            "GET {path} of the {whom} was answered with {status}: {}",
            answer.text()
        )),
    }
}

async fn get_json(whom: &str, addr: SocketAddr, path: &str) -> Result<Value, Failure> {
    let text = get_text(whom, addr, path).await?;
    serde_json::from_str(&text)
        .map_err(|error| format!("GET {path} of the {whom} is no JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_an_address() {
        assert_eq!(
            parse_base_url("http://127.0.0.1:80/").unwrap(),
            "127.0.0.1:80".parse().unwrap()
        );
        assert!(parse_base_url("127.0.0.1:80").is_err());
        assert!(parse_base_url("http://localhost:80").is_err());
    }
}
