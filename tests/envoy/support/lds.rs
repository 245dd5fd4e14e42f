//! A mesh whose listeners come from a file that a scenario can replace while Envoy runs.

use serde_json::{Value, json};

use super::Mesh;
use super::bootstrap::Bootstrap;
use super::sink::Sink;
use super::xds::Resources;

/// The listeners' file, and the bootstrap that it is written from.
pub struct Listeners {
    bootstrap: Bootstrap,
    file: Resources,
}

impl Listeners {
    /// Starts a mesh with the listeners of this bootstrap on one worker.
    pub async fn start(bootstrap: Bootstrap, sink: Sink) -> (Mesh, Self) {
        Self::start_on(bootstrap, sink, 1).await
    }

    /// The same on any number of workers.
    pub async fn start_on(bootstrap: Bootstrap, sink: Sink, concurrency: usize) -> (Mesh, Self) {
        let listeners = Self { bootstrap: bootstrap.clone(), file: Resources::listeners() };
        listeners.update(&json!({}));
        let mesh = Mesh::with_bootstrap(listeners.dynamic(bootstrap), sink, concurrency).await;
        (mesh, listeners)
    }

    /// Replaces the listeners by those of the first bootstrap, with a patch of the filter's configuration.
    pub fn update(&self, patch: &Value) {
        let mut bootstrap = self.bootstrap.clone().with_plugin(patch);
        self.file.replace(bootstrap.listeners().iter().cloned());
    }

    /// Takes all listeners away.
    pub fn remove(&self) {
        self.file.replace([]);
    }

    fn dynamic(&self, mut bootstrap: Bootstrap) -> Bootstrap {
        bootstrap.0["static_resources"].as_object_mut().unwrap().remove("listeners");
        bootstrap.discover("lds_config", &self.file);
        bootstrap
    }
}
