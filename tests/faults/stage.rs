//! The stage of a row: the mesh with the parts for its fault, and its observable state.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::audit::sink::Sink;
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::ecds::Extension;
use testkit::envoy::intruder::with_an_intruder;
use testkit::envoy::lds::Listeners;
use testkit::envoy::xds::Resources;
use testkit::{DEADLINE, Mesh, tools};
use tokio::time::{Instant, sleep};

use crate::crowds;
use crate::fault::Fault;
use crate::updates::Update;

pub const WORKERS: usize = 2;
/// Most records that a worker holds in the row about losses by a kill: fewer than it makes during
/// the row.
const MOST_HELD: usize = 200;
/// Interval between reads of Envoy's statistics.
pub const POLL: Duration = Duration::from_millis(100);

/// A running mesh.
pub struct Stage {
    pub mesh: Mesh,
    pub held: Held,
    /// Time at which Envoy was killed.
    pub killed: Option<Instant>,
}

/// Resources that a row delivers to Envoy later.
pub enum Held {
    Nothing,
    Listeners(Listeners),
    Extension(Extension),
    /// A file, and the resource that is not yet in it.
    Resource(Resources, Value),
}

impl Stage {
    pub async fn set(fault: &Fault) -> Self {
        let sink = Sink::start().await;
        let bootstrap = bootstrap(fault);

        let (mesh, held) = match fault {
            Fault::Updated => {
                let (mesh, listeners) = Listeners::start_on(bootstrap, sink, WORKERS).await;
                (mesh, Held::Listeners(listeners))
            }
            Fault::UpdatedInOutage(_) => {
                let extension = Extension::new(bootstrap.clone());
                let mesh = Mesh::with_bootstrap(extension.dynamic(bootstrap), sink, WORKERS).await;
                (mesh, Held::Extension(extension))
            }
            Fault::NoHost => without(Resources::endpoints(), bootstrap, sink, take_hosts).await,
            Fault::NoCluster => without(Resources::clusters(), bootstrap, sink, take_cluster).await,
            // All requests end in one turn of one event loop.
            Fault::Burst => (
                Mesh::with_bootstrap(bootstrap, sink, 1).await,
                Held::Nothing,
            ),
            _ => (
                Mesh::with_bootstrap(bootstrap, sink, WORKERS).await,
                Held::Nothing,
            ),
        };

        if let Fault::Refuses(status, refuses) | Fault::Fails(status, refuses) = fault {
            mesh.sink.refuse(*status, *refuses);
        }

        Self {
            mesh,
            held,
            killed: None,
        }
    }

    /// Delivers the resource to Envoy.
    pub fn appear(&self) {
        if let Held::Resource(file, resource) = &self.held {
            file.replace([resource.clone()]);
        }
    }

    pub async fn kill(&mut self) {
        self.killed = Some(Instant::now());
        self.mesh.envoy.signal("KILL");
        self.mesh.envoy.wait().await;
    }

    /// One more good request, on a new connection.
    pub async fn trickle(&self, number: usize) {
        self.mesh
            .get("/check", &[("user-agent", &format!("trickle-{number}"))])
            .await;
    }

    /// Makes Envoy quit by its admin interface.
    pub async fn quit(&mut self) {
        self.mesh.envoy.admin_post("/quitquitquit").await;
        assert!(
            self.mesh.envoy.wait().await.success(),
            "Envoy quits cleanly"
        );
    }

    /// Envoy rebuilds a VM when its worker gets a request. All connections of the load may be at
    /// the other one.
    pub async fn wait_for_reloads(&self, count: u64) {
        let (end, mut polls) = (Instant::now() + DEADLINE, 0);
        while self
            .stats()
            .await
            .is_none_or(|stats| reloads(&stats) < count)
        {
            assert!(
                Instant::now() < end,
                "no VM was built anew for the {count}. time"
            );

            self.mesh
                .get(
                    "/check",
                    &[("user-agent", &format!("reload-{count}-{polls}"))],
                )
                .await;
            polls += 1;
            sleep(POLL).await;
        }
    }

    /// The filter's statistics and those of Envoy about its VMs; `None` if Envoy was killed.
    pub async fn stats(&self) -> Option<BTreeMap<String, u64>> {
        if self.killed.is_some() {
            return None;
        }
        Some(self.mesh.envoy.stats("audit_filter%7Cvm_reload").await)
    }
}

/// Number of VMs that Envoy has rebuilt.
pub fn reloads(stats: &BTreeMap<String, u64>) -> u64 {
    stats
        .iter()
        .filter(|(name, _)| name.ends_with("vm_reload_success"))
        .map(|(_, count)| count)
        .sum()
}

/// Short delays and retries, and every exchange is recorded.
pub fn bootstrap(fault: &Fault) -> Bootstrap {
    let bootstrap = Bootstrap::shipped().with_plugin(&json!({
        "audit_cluster": {"timeout": "1s"},
        "rules": [{"name": "all"}],
        "batch": {"max_records": 50, "max_delay": "200ms"},
        "retry": {"initial_backoff": "50ms", "max_backoff": "500ms"},
    }));

    match fault {
        Fault::DrainedThenKilled => bootstrap
            .with_plugin(&json!({"buffer": {"max_records": MOST_HELD}}))
            .with(Bootstrap::make_inbound),
        Fault::SmallBuffer => bootstrap.with_plugin(&json!({"buffer": {"max_records": 100}})),
        Fault::Crashed | Fault::CrashedInOutage | Fault::UpdatedInOutage(Update::AfterCrash) => {
            bootstrap.with(|bootstrap| bootstrap.run(tools::crashing_wasm()))
        }
        Fault::Forged => {
            with_an_intruder(bootstrap.with(|bootstrap| bootstrap.run(tools::crashing_wasm())))
        }
        Fault::SlowRequests | Fault::Bodies | Fault::Burst => bootstrap
            .with_plugin(&crowds::plugin(fault))
            .with(Bootstrap::await_connections),
        _ => bootstrap,
    }
}

/// A mesh in which Envoy expects a part of the audit cluster in a file that does not contain it
/// yet.
async fn without(
    file: Resources,
    bootstrap: Bootstrap,
    sink: Sink,
    take: fn(&mut Bootstrap, &Resources) -> Value,
) -> (Mesh, Held) {
    let mut taken = Value::Null;
    let mesh = Mesh::with_last_change(bootstrap, sink, WORKERS, |bootstrap| {
        taken = take(bootstrap, &file)
    })
    .await;
    (mesh, Held::Resource(file, taken))
}

fn take_hosts(bootstrap: &mut Bootstrap, file: &Resources) -> Value {
    bootstrap.identify();
    let cluster = bootstrap.cluster("audit").as_object_mut().unwrap();
    cluster.insert("type".to_owned(), json!("EDS"));
    cluster.insert(
        "eds_cluster_config".to_owned(),
        json!({"eds_config": file.source()}),
    );
    cluster.remove("load_assignment").unwrap()
}

fn take_cluster(bootstrap: &mut Bootstrap, file: &Resources) -> Value {
    bootstrap.discover("cds_config", file);
    let clusters = bootstrap.clusters();
    let index = clusters
        .iter()
        .position(|cluster| cluster["name"] == "audit")
        .unwrap();
    clusters.remove(index)
}
