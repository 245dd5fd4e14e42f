//! A mesh whose listeners come from a file that a scenario can replace while Envoy runs.

use std::path::PathBuf;

use audit_demo::upstream::Upstream;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Mesh;
use super::bootstrap::Bootstrap;
use super::envoy::Envoy;
use super::sink::Sink;

/// The listeners' file, and the bootstrap that it is written from.
pub struct Listeners {
    bootstrap: Bootstrap,
    directory: TempDir,
}

impl Listeners {
    /// Starts a mesh with the listeners of this bootstrap on one worker.
    pub async fn start(mut bootstrap: Bootstrap, sink: Sink) -> (Mesh, Self) {
        let upstream = Upstream::start().await.unwrap();
        bootstrap.point("demo_http", upstream.http_addr());
        bootstrap.point("demo_grpc", upstream.grpc_addr());
        bootstrap.point("audit", sink.addr());
        let listeners = Self { bootstrap, directory: tempfile::tempdir().unwrap() };
        listeners.update(&json!({}));
        let envoy = Envoy::start(&listeners.dynamic_bootstrap(), 1).await;
        let (http, grpc) = (envoy.listener("http").await, envoy.listener("grpc").await);
        (Mesh { envoy, upstream, sink, http, grpc }, listeners)
    }

    /// Replaces the listeners by those of the first bootstrap, with a patch of the filter's configuration.
    pub fn update(&self, patch: &Value) {
        let mut bootstrap = self.bootstrap.clone().with_plugin(patch);
        let resources: Vec<Value> = bootstrap.listeners().iter().cloned().map(typed).collect();
        let staged = self.directory.path().join("staged.json");
        std::fs::write(&staged, json!({"resources": resources}).to_string()).unwrap();
        // Envoy watches for a rename.
        std::fs::rename(&staged, self.file()).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("listeners.json")
    }

    fn dynamic_bootstrap(&self) -> Bootstrap {
        let mut dynamic = self.bootstrap.clone();
        dynamic.0["static_resources"].as_object_mut().unwrap().remove("listeners");
        dynamic.0["node"] = json!({"id": "scenario", "cluster": "scenario"});
        dynamic.0["dynamic_resources"] =
            json!({"lds_config": {"path_config_source": {"path": self.file().to_str().unwrap()}}});
        dynamic
    }
}

fn typed(mut listener: Value) -> Value {
    listener["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
    listener
}
