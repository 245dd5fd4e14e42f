//! Schemas of custom resources, as Istio and Envoy Gateway publish them.
//!
//! They are data of the tests and not part of the repository. Their rules in CEL are not evaluated.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Once;

use serde_json::{Value, json};

use crate::documents;

/// Folders of the data.
const FOLDERS: [&str; 2] = ["envoy-gateway-crds", "istio-crds"];

/// `apiVersion` and `kind`.
type Name = (String, String);

/// Schemas that refuse unknown fields, as the strict validation of kubectl does.
pub(crate) struct Schemas(BTreeMap<Name, Value>);

impl Schemas {
    /// `None` without the data, with one line about what is skipped.
    pub(crate) fn load() -> Option<Self> {
        let data = env::var_os("AUDIT_CRD_SCHEMAS").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
            PathBuf::from,
        );
        if !data.join("istio-crds").is_dir() {
            note_skipped(&data);
            return None;
        }

        let mut schemas = BTreeMap::new();
        for folder in FOLDERS {
            for entry in fs::read_dir(data.join(folder)).unwrap() {
                let text = fs::read_to_string(entry.unwrap().path()).unwrap();
                for definition in documents::values(&text).unwrap() {
                    schemas.extend(versions(&definition));
                }
            }
        }
        Some(Self(schemas))
    }

    pub(crate) fn of(&self, manifest: &Value) -> Option<&Value> {
        let text = |key: &str| manifest[key].as_str().unwrap_or_default().to_owned();
        self.0.get(&(text("apiVersion"), text("kind")))
    }
}

/// One line for all tests. Not by a macro, since the output of a test that succeeds is not shown.
fn note_skipped(data: &Path) {
    static NOTED: Once = Once::new();
    NOTED.call_once(|| {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: manifests against the schemas of their kinds (no schemas in {}; AUDIT_CRD_SCHEMAS names another \
             place)",
            data.display()
        );
    });
}

/// Schemas of a definition's versions.
fn versions(definition: &Value) -> Vec<(Name, Value)> {
    let spec = &definition["spec"];
    let group = spec["group"].as_str().unwrap();
    let kind = spec["names"]["kind"].as_str().unwrap();
    let versions = spec["versions"].as_array().unwrap();

    versions
        .iter()
        .map(|version| {
            let name = format!("{group}/{}", version["name"].as_str().unwrap());
            let mut schema = version["schema"]["openAPIV3Schema"].clone();
            // Kubernetes adds these where a schema leaves them out.
            for key in ["apiVersion", "kind", "metadata"] {
                let known = &mut schema["properties"][key];
                if known.is_null() {
                    *known = json!({});
                }
            }
            make_strict(&mut schema);
            ((name, kind.to_owned()), schema)
        })
        .collect()
}

/// Fields that a structural schema does not name are refused. Alternatives (`oneOf` and the like)
/// name fields to compare them, and allow others.
fn make_strict(schema: &mut Value) {
    let keeps_unknown = schema["x-kubernetes-preserve-unknown-fields"] == true;
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if object.contains_key("properties") && !keeps_unknown {
        object.entry("additionalProperties").or_insert(json!(false));
    }

    if let Some(fields) = object.get_mut("properties").and_then(Value::as_object_mut) {
        fields.values_mut().for_each(make_strict);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(key) {
            make_strict(inner);
        }
    }
}

/// Place and reason of everything that a schema refuses.
pub(crate) fn refusals(schema: &Value, manifest: &Value) -> Vec<String> {
    let validator = jsonschema::draft202012::new(schema).unwrap();
    let errors = validator.iter_errors(manifest);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}
