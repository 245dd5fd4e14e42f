//! A mesh with listeners from a file that a scenario can replace while Envoy runs.

use serde_json::{Value, json};

use crate::Mesh;
use crate::audit::sink::Sink;
use crate::envoy::bootstrap::Bootstrap;
use crate::envoy::xds::Resources;

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
        let listeners = Self::new(bootstrap.clone());
        let mesh = Mesh::with_bootstrap(listeners.dynamic(bootstrap), sink, concurrency).await;
        (mesh, listeners)
    }

    /// The file with the listeners of this bootstrap.
    pub fn new(bootstrap: Bootstrap) -> Self {
        let listeners = Self {
            bootstrap,
            file: Resources::listeners(),
        };
        listeners.update(&json!({}));
        listeners
    }

    /// Replaces the listeners by those of the first bootstrap with a patch of the filter's
    /// configuration.
    pub fn update(&self, patch: &Value) {
        self.update_with(patch, |_| {});
    }

    /// The same with any other change.
    pub fn update_with(&self, patch: &Value, change: impl FnOnce(&mut Bootstrap)) {
        let mut bootstrap = self.bootstrap.clone().with_plugin(patch).with(change);
        self.file.replace(bootstrap.listeners().iter().cloned());
    }

    /// Removes all listeners.
    pub fn remove(&self) {
        self.file.replace([]);
    }

    /// The bootstrap with the file in place of its listeners.
    pub fn dynamic(&self, mut bootstrap: Bootstrap) -> Bootstrap {
        bootstrap.0["static_resources"]
            .as_object_mut()
            .unwrap()
            .remove("listeners");
        bootstrap.discover("lds_config", &self.file);
        bootstrap
    }
}
