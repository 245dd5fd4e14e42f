//! The mesh of the soak, through all lives of its Envoy.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::audit::records;
use testkit::audit::sink::Sink;
use testkit::envoy::bootstrap::{Bootstrap, merge};
use testkit::envoy::ecds::Extension;
use testkit::envoy::lds::Listeners;
use testkit::envoy::process::Envoy;
use testkit::{DEADLINE, Mesh, Record};
use tokio::time::{Instant, sleep};

use super::diary::Diary;
use super::watch::{FILTER, Shared, Watch};
use super::{CRASH_WHILE_DRAINING, NEW_VM};
use crate::args::Soak;
use crate::fault::{Fault, TRAPS};
use crate::load::Load;
use crate::stage::{POLL, WORKERS, bootstrap, reloads};

/// Drain time of a replaced listener: `--drain-time-s` of the scenarios, and a second for a busy
/// machine.
pub const DRAIN: Duration = Duration::from_secs(3);
/// A VM that crashes within a second of its loading is reloaded only after that second.
const BETWEEN_CRASHES: Duration = Duration::from_secs(2);

/// How Envoy gets the filter's configuration.
enum Delivery {
    Listeners(Listeners),
    Extension(Extension),
}

/// The mesh, and the base of the next update.
pub struct Scene {
    pub mesh: Mesh,
    pub diary: Diary,
    /// Observations of the current life.
    pub seen: Shared,
    /// Number of lives so far.
    lives: usize,
    /// The records stored in this life.
    stored: Arc<Mutex<Vec<Record>>>,
    /// With its clusters set.
    bootstrap: Bootstrap,
    delivery: Delivery,
    /// The patch of the filter's configuration so far.
    settings: Value,
    /// The VM's environment variable, if it has one.
    variable: Option<String>,
    updates: u64,
    updated: Instant,
    crashed: Instant,
    reloads: u64,
    makes_new_vms: bool,
    crashes_while_draining: bool,
}

impl Scene {
    pub async fn set(soak: &Soak) -> Self {
        let stored = Arc::<Mutex<Vec<Record>>>::default();
        let sink = Sink::start().await;
        let kept = Arc::clone(&stored);
        sink.keep_by(move |body| {
            kept.lock()
                .unwrap()
                .extend(records::parse(body).into_iter().map(slim))
        });

        let listeners = Listeners::new(bootstrap(&Fault::Crashed));
        let mut pointed = None;
        let mesh = Mesh::with_last_change(bootstrap(&Fault::Crashed), sink, WORKERS, |bootstrap| {
            pointed = Some(bootstrap.clone());
            *bootstrap = listeners.dynamic(bootstrap.clone());
        })
        .await;
        let now = Instant::now();

        Self {
            mesh,
            diary: Diary::new(),
            seen: Shared::default(),
            lives: 1,
            stored,
            bootstrap: pointed.unwrap(),
            delivery: Delivery::Listeners(listeners),
            settings: json!({}),
            variable: None,
            updates: 0,
            updated: now,
            crashed: now,
            reloads: 0,
            makes_new_vms: soak.also.iter().any(|name| name == NEW_VM),
            crashes_while_draining: soak.also.iter().any(|name| name == CRASH_WHILE_DRAINING),
        }
    }

    /// Starts another Envoy, after the end of the one before.
    pub async fn restart(&mut self, rng: &mut fastrand::Rng) {
        let pointed = self.bootstrap.clone();
        let dynamic = if rng.bool() {
            let listeners = Listeners::new(pointed.clone());
            let dynamic = listeners.dynamic(pointed);
            self.delivery = Delivery::Listeners(listeners);
            dynamic
        } else {
            let extension = Extension::new(pointed.clone());
            let dynamic = extension.dynamic(pointed);
            self.delivery = Delivery::Extension(extension);
            dynamic
        };

        self.lives += 1;
        (self.settings, self.variable, self.reloads) = (json!({}), None, 0);
        (self.updated, self.crashed) = (Instant::now(), Instant::now());
        self.mesh.envoy = Envoy::start(&dynamic, WORKERS).await;
        self.mesh.http = self.mesh.envoy.listener("http").await;
    }

    /// One update, one crash, or nothing. Always draws the same number of random values, so that a
    /// seed gives the same order of trouble.
    pub async fn disturb(&mut self, rng: &mut fastrand::Rng, load: &Load) {
        let [kind, change, key, trap] = std::array::from_fn(|_| rng.usize(..100));
        let is_draining = self.updated.elapsed() < DRAIN;
        let may_crash = self.crashed.elapsed() > BETWEEN_CRASHES
            && (self.crashes_while_draining || !is_draining);

        match kind {
            0..35 => {
                self.update(change, self.makes_new_vms && key < 25, load)
                    .await
            }
            35..50 if may_crash => self.crash(TRAPS[trap % TRAPS.len()]).await,
            _ => {}
        }
    }

    /// New credentials, changed rules, or other limits.
    async fn update(&mut self, change: usize, has_new_vm: bool, load: &Load) {
        self.updates += 1;
        let number = self.updates;

        let (kind, patch) = match change % 4 {
            0 => (
                "credentials",
                json!({"audit_cluster": {"headers": {"authorization": format!("Bearer {number}")}}}),
            ),
            1 => (
                "rules",
                json!({"rules": [{"name": format!("all-{number}"), "tags": {"update": number.to_string()}}]}),
            ),
            2 => (
                "small buffer",
                json!({"buffer": {"max_records": 200}, "service": format!("service-{number}")}),
            ),
            _ => (
                "large buffer",
                json!({"buffer": {"max_records": 10_000}, "service": format!("service-{number}")}),
            ),
        };

        merge(&mut self.settings, &patch);
        self.diary.note(kind);
        if has_new_vm {
            self.diary.note(NEW_VM);
            self.variable = Some(number.to_string());
        }
        let variable = self.variable.clone();
        self.updated = Instant::now();

        match &self.delivery {
            Delivery::Extension(extension) => {
                self.diary.note("ECDS");
                extension.update_with(&self.settings, |bootstrap| {
                    set_variable(bootstrap, variable.as_deref())
                });
            }
            Delivery::Listeners(listeners) => {
                self.diary.note("LDS");
                listeners.update_with(&self.settings, |bootstrap| {
                    set_variable(bootstrap, variable.as_deref())
                });
                sleep(Duration::from_secs(1)).await;
                self.mesh.http = self.mesh.envoy.listener("http").await;
                load.redirect(self.mesh.http);
            }
        }
    }

    /// Traps the VM of a worker, and waits until Envoy has rebuilt it for a request to that worker.
    /// All connections of the load may be at the other one.
    async fn crash(&mut self, trap: &str) {
        self.diary.note("VM crash");
        self.mesh
            .get("/check", &[("x-audit-crash-for-tests", trap)])
            .await;
        self.reloads += 1;

        let (end, mut polls) = (Instant::now() + DEADLINE, 0);
        while reloads(&self.stats().await) < self.reloads {
            assert!(
                Instant::now() < end,
                "no VM was built anew for the {}. time",
                self.reloads
            );
            let name = format!("reload-{}-{}-{polls}", self.lives, self.reloads);
            self.mesh.get("/check", &[("user-agent", &name)]).await;
            polls += 1;
            sleep(POLL).await;
        }
        self.crashed = Instant::now();
    }

    pub async fn stats(&self) -> BTreeMap<String, u64> {
        self.mesh.envoy.stats(FILTER).await
    }

    /// Prefix of the names of this life's requests.
    pub fn name(&self) -> String {
        format!("life{}-", self.lives)
    }

    /// The records stored in this life so far.
    pub fn stored(&self) -> Vec<Record> {
        self.stored.lock().unwrap().clone()
    }

    /// Discards them.
    pub fn forget_stored(&self) {
        self.stored.lock().unwrap().clear();
    }

    /// For printing: number of records stored in this life.
    pub fn stored_count(&self) -> impl Fn() -> usize + Send + 'static {
        let stored = Arc::clone(&self.stored);
        move || stored.lock().unwrap().len()
    }

    /// Watches this life from now on.
    pub fn watch(&self) -> Watch {
        Watch::start(&self.mesh.envoy, self.lives, Arc::clone(&self.seen))
    }
}

/// A new variable makes a new VM.
fn set_variable(bootstrap: &mut Bootstrap, value: Option<&str>) {
    let Some(value) = value else { return };
    bootstrap.set_variable("SOAK", value);
}

/// Only the parts of a record that the count needs; an hour of soak has a million records.
fn slim(record: Record) -> Record {
    const NEEDED: [&str; 12] = [
        "log.record.uid",
        "user_agent.original",
        "audit.stream.id",
        "audit.sequence.number",
        "audit.sequence.next",
        "audit.loss.first_number",
        "audit.loss.last_number",
        "audit.loss.count",
        "audit.loss.reason",
        "audit.recovered",
        "audit.buffer.max_records",
        "audit.identity.source",
    ];

    let Record {
        event,
        mut attributes,
        ..
    } = record;
    attributes.retain(|name, _| NEEDED.contains(&name.as_str()));

    Record {
        event,
        attributes,
        raw: Value::Null,
    }
}
