//! The complete product on this machine: Envoy with the filter, the collector, and the demo's
//! traffic.

use std::net::SocketAddr;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use crate::browser::root;
use crate::supervised::{End, Supervised};

/// Longest time without output of the demo. On a fresh machine it builds everything and downloads
/// Envoy.
const PATIENCE: Duration = Duration::from_secs(900);

/// Addresses of the running demo.
pub(crate) struct Demo {
    /// The collector, `http://<address>`.
    pub(crate) origin: String,
    /// Envoy's HTTP listener.
    pub(crate) envoy: SocketAddr,
}

/// The demo, started once for all tests; it ends with this process.
pub(crate) fn demo() -> &'static Demo {
    static DEMO: OnceLock<(Mutex<Supervised>, Demo)> = OnceLock::new();

    let (_, demo) = DEMO.get_or_init(|| {
        let script = root().join("envoy/demo.sh");
        let mut program = Supervised::start(End::Terminate, script.to_str().unwrap(), &["--serve"]);
        let envoy = program.printed(PATIENCE, |line| {
            line.trim()
                .strip_prefix("HTTP through Envoy   http://")?
                .split(' ')
                .next()?
                .parse()
                .ok()
        });
        let envoy = envoy.unwrap_or_else(|log| panic!("the demo: {log}"));

        let origin = program.printed(PATIENCE, |line| {
            line.starts_with("http://")
                .then(|| line.trim_end_matches('/').to_owned())
        });
        let origin = origin.unwrap_or_else(|log| panic!("the demo: {log}"));
        (Mutex::new(program), Demo { origin, envoy })
    });

    demo
}
