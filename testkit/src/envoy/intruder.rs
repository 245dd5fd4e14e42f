//! Another plugin of the same Envoy (`tests/intruder`), which can read and write the filter's
//! shared data.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::client::HttpAnswer;
use crate::envoy::bootstrap::Bootstrap;
use crate::{Mesh, tools};

/// Prefix of every name in shared data (`src/pipeline/journal/authenticated.rs`).
const FORMAT: &str = "audit_filter.2.";

/// At least the number of streams of any scenario with an intruder.
const SLOTS: usize = 8;

/// The plugin runs before the filter. Neither has a `vm_id`, as with Istio, so both have the same
/// shared data.
pub fn with_an_intruder(bootstrap: Bootstrap) -> Bootstrap {
    let intruder = json!({"name": "intruder", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {"name": "intruder", "vm_config": {
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": tools::built("intruder").to_str().unwrap()}},
        }},
    }});

    bootstrap.with_filter_at(0, &intruder).with(|bootstrap| {
        bootstrap.each_filter("audit", |filter| {
            filter["typed_config"]["config"]["vm_config"]["vm_id"] = json!("")
        });
    })
}

/// Access to the shared data through the plugin.
pub struct Intruder<'m>(pub &'m Mesh);

impl Intruder<'_> {
    /// A value; `None` if it does not exist.
    pub async fn read(&self, name: &str) -> Option<Vec<u8>> {
        let answer = self.request(&[("x-name", name)]).await;
        let (pairs, _) = answer.body.as_chunks::<2>();
        let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        (answer.status == 200).then(|| pairs.iter().map(byte).collect())
    }

    /// Writes a value.
    pub async fn write(&self, name: &str, value: &[u8]) {
        let digits: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            self.request(&[("x-name", name), ("x-value", &digits)])
                .await
                .status,
            200
        );
    }

    /// Changes one byte.
    pub async fn damage(&self, name: &str) {
        assert_eq!(
            self.request(&[("x-name", name), ("x-damage", "1")])
                .await
                .status,
            200
        );
    }

    /// Every name in use: the process's keys, the directory, and the entry and batches of each
    /// slot.
    pub async fn names(&self) -> Vec<String> {
        let start = self.start_of_names().await;
        let mut names = vec![[FORMAT, "keys"].concat(), format!("{start}directory")];
        for slot in 0..SLOTS {
            names.extend(self.in_use(format!("{start}slot.{slot}")).await);
        }
        names.extend(self.batches().await);
        names
    }

    /// The names of batches, including those that are empty by now.
    pub async fn batches(&self) -> Vec<String> {
        let start = self.start_of_names().await;
        let mut names = Vec::new();
        for slot in 0..SLOTS {
            for cell in 0.. {
                let Some(name) = self.in_use(format!("{start}slot.{slot}.{cell}")).await else {
                    break;
                };
                names.push(name);
            }
        }

        names
    }

    /// The entry that contains this text.
    pub async fn find(&self, text: &[u8]) -> (String, Vec<u8>) {
        for name in self.batches().await {
            let value = self.read(&name).await.unwrap_or_default();
            if position(&value, text).is_some() {
                return (name, value);
            }
        }
        panic!("no batch in shared data has {text:?}");
    }

    /// Each request has a distinct user agent, which identifies its record.
    async fn request(&self, headers: &[(&str, &str)]) -> HttpAnswer {
        static REQUESTS: AtomicUsize = AtomicUsize::new(0);
        let user_agent = format!("intruder-{}", REQUESTS.fetch_add(1, Ordering::Relaxed));
        self.0
            .get("/", &[headers, &[("user-agent", &user_agent)]].concat())
            .await
    }

    async fn in_use(&self, name: String) -> Option<String> {
        self.read(&name).await.map(|_| name)
    }

    /// Prefix of all names that were written with the process's key: the first 32 bytes of the list
    /// of keys. Every plugin can read that list.
    async fn start_of_names(&self) -> String {
        let keys = self
            .read(&[FORMAT, "keys"].concat())
            .await
            .expect("the process has a key");
        let digest = Sha256::new_with_prefix(&keys[..32])
            .chain_update(b"mark")
            .chain_update([0; 8])
            .finalize();
        let mark: String = digest
            .iter()
            .take(8)
            .map(|byte| char::from(b'a' + byte % 16))
            .collect();
        format!("{FORMAT}{mark}.")
    }
}

/// The position of a text in a value.
pub fn position(value: &[u8], text: &[u8]) -> Option<usize> {
    value.windows(text.len()).position(|window| window == text)
}
