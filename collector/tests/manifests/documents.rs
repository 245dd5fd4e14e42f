//! The YAML files of `deploy/`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use yaml_rust2::{Yaml, YamlLoader};

/// A document of a file.
pub(crate) struct Manifest {
    /// Below `deploy/`.
    pub(crate) file: String,
    pub(crate) value: Value,
}

impl Manifest {
    pub(crate) fn text(&self, pointer: &str) -> &str {
        let value = self.value.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_default()
    }

    pub(crate) fn kind(&self) -> &str {
        self.text("/kind")
    }
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// All documents for Kubernetes of all files, or of those below a folder.
pub(crate) fn manifests(folder: &str) -> Vec<Manifest> {
    let files = files(folder, "yaml");
    assert!(!files.is_empty(), "no file in {folder}");
    files
        .into_iter()
        .flat_map(|file| {
            let text = fs::read_to_string(root().join(&file)).unwrap();
            let values = values(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
            values.into_iter().map(move |value| Manifest {
                file: file.clone(),
                value,
            })
        })
        .filter(|manifest| !manifest.value["apiVersion"].is_null())
        .collect()
}

/// The one document of a file.
pub(crate) fn manifest(file: &str) -> Value {
    let text = fs::read_to_string(root().join(file)).unwrap();
    values(&text).unwrap().swap_remove(0)
}

/// The documents of a text.
pub(crate) fn values(text: &str) -> Result<Vec<Value>, String> {
    let documents = YamlLoader::load_from_str(text).map_err(|error| error.to_string())?;
    Ok(documents.iter().map(json).collect())
}

/// Files with this extension, below `deploy/`, in order.
pub(crate) fn files(folder: &str, extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let below = path.strip_prefix(root()).unwrap().to_str().unwrap();
        if path.is_dir() {
            found.extend(files(below, extension));
        } else if path.extension().is_some_and(|end| end == extension) {
            found.push(below.to_owned());
        }
    }
    found.sort();
    found
}

fn json(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::String(text) | Yaml::Real(text) => Value::from(text.as_str()),
        Yaml::Integer(number) => Value::from(*number),
        Yaml::Boolean(boolean) => Value::from(*boolean),
        Yaml::Array(items) => items.iter().map(json).collect(),
        Yaml::Hash(entries) => {
            let entries = entries.iter();
            let entries =
                entries.map(|(key, value)| (key.as_str().unwrap().to_owned(), json(value)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
        Yaml::Null => Value::Null,
        Yaml::Alias(_) | Yaml::BadValue => panic!("not a value: {yaml:?}"),
    }
}
