//! A mesh that loads its audit filter from a file, as Istio and Envoy Gateway deliver it (ECDS). A
//! scenario can replace the filter's configuration while Envoy runs; the listener stays.

use serde_json::{Value, json};

use crate::Mesh;
use crate::audit::sink::Sink;
use crate::envoy::bootstrap::Bootstrap;
use crate::envoy::xds::Resources;

/// The filter's file, and the bootstrap that it is written from.
pub struct Extension {
    bootstrap: Bootstrap,
    file: Resources,
}

impl Extension {
    /// Starts a mesh with the filter of this bootstrap on one worker.
    pub async fn start(bootstrap: Bootstrap, sink: Sink) -> (Mesh, Self) {
        let extension = Self::new(bootstrap.clone());
        let mesh = Mesh::with_bootstrap(extension.dynamic(bootstrap), sink, 1).await;
        (mesh, extension)
    }

    /// The file with the filter of this bootstrap.
    pub fn new(bootstrap: Bootstrap) -> Self {
        let extension = Self {
            bootstrap,
            file: Resources::new("core.v3.TypedExtensionConfig"),
        };
        extension.update(&json!({}));
        extension
    }

    /// Replaces the filter by that of the first bootstrap with a patch of its configuration.
    pub fn update(&self, patch: &Value) {
        self.update_with(patch, |_| {});
    }

    /// The same with any other change.
    pub fn update_with(&self, patch: &Value, change: impl FnOnce(&mut Bootstrap)) {
        let mut bootstrap = self.bootstrap.clone().with_plugin(patch).with(change);
        let filters = bootstrap.connection_managers().next().unwrap()["http_filters"]
            .as_array()
            .unwrap()
            .clone();
        let audit = filters
            .into_iter()
            .find(|filter| filter["name"] == "audit")
            .unwrap();
        self.file.replace([audit]);
    }

    /// The bootstrap with the file in place of its filter.
    pub fn dynamic(&self, mut bootstrap: Bootstrap) -> Bootstrap {
        bootstrap.identify();
        bootstrap.each_filter("audit", |filter| {
            *filter = json!({"name": "audit", "config_discovery": {
                "config_source": self.file.source(),
                "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
            }});
        });
        bootstrap
    }
}
