//! A file of xDS resources that Envoy watches, so that a scenario can replace them while Envoy
//! runs.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

/// The file, in a separate directory.
pub struct Resources {
    directory: TempDir,
    kind: &'static str,
}

impl Resources {
    /// A file of resources of one kind, named without the common prefix of type URLs.
    pub fn new(kind: &'static str) -> Self {
        let file = Self {
            directory: tempfile::tempdir().unwrap(),
            kind,
        };
        file.replace([]);
        file
    }

    /// A file of listeners.
    pub fn listeners() -> Self {
        Self::new("listener.v3.Listener")
    }

    /// A file of clusters.
    pub fn clusters() -> Self {
        Self::new("cluster.v3.Cluster")
    }

    /// A file of endpoints of clusters.
    pub fn endpoints() -> Self {
        Self::new("endpoint.v3.ClusterLoadAssignment")
    }

    /// Replaces the resources in the file.
    pub fn replace(&self, resources: impl IntoIterator<Item = Value>) {
        let typed = |mut resource: Value| {
            resource["@type"] = json!(format!("type.googleapis.com/envoy.config.{}", self.kind));
            resource
        };
        let resources: Vec<Value> = resources.into_iter().map(typed).collect();
        let staged = self.directory.path().join("staged.json");
        std::fs::write(&staged, json!({"resources": resources}).to_string()).unwrap();
        // Envoy watches for a rename.
        std::fs::rename(&staged, self.file()).unwrap();
    }

    /// The `ConfigSource` that names the file.
    pub fn source(&self) -> Value {
        json!({"path_config_source": {"path": self.file().to_str().unwrap()}, "resource_api_version": "V3"})
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("resources.json")
    }
}
