//! Another plugin of the same Envoy (`tests/intruder`), which can read and write the filter's shared data.

use std::sync::atomic::{AtomicUsize, Ordering};

use audit_demo::client::HttpAnswer;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::bootstrap::Bootstrap;
use super::{Mesh, tools};

/// Of every name in shared data (`src/pipeline/journal/authenticated.rs`).
const FORMAT: &str = "audit_filter.2.";

/// More than the streams of any scenario with an intruder.
const SEATS: usize = 8;

/// The plugin stands before the filter. Neither has a `vm_id`, as in Istio, so that both have the same shared data.
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

/// What the plugin does for a client.
pub struct Intruder<'m>(pub &'m Mesh);

impl Intruder<'_> {
    /// A value; `None` where there is none.
    pub async fn read(&self, name: &str) -> Option<Vec<u8>> {
        let answer = self.request(&[("x-name", name)]).await;
        let (pairs, _) = answer.body.as_chunks::<2>();
        let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        (answer.status == 200).then(|| pairs.iter().map(byte).collect())
    }

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

    /// Every name in use: the process's keys, the list of seats, and each seat's note and batches.
    pub async fn names(&self) -> Vec<String> {
        let start = self.start_of_names().await;
        let mut names = vec![[FORMAT, "keys"].concat(), format!("{start}seats")];
        for seat in 0..SEATS {
            names.extend(self.in_use(format!("{start}seat.{seat}")).await);
        }
        names.extend(self.batches().await);
        names
    }

    /// The names of batches, those included that are empty by now.
    pub async fn batches(&self) -> Vec<String> {
        let start = self.start_of_names().await;
        let mut names = Vec::new();
        for seat in 0..SEATS {
            for slot in 0.. {
                let Some(name) = self.in_use(format!("{start}seat.{seat}.{slot}")).await else {
                    break;
                };
                names.push(name);
            }
        }
        names
    }

    /// The entry that has this text in it.
    pub async fn find(&self, text: &[u8]) -> (String, Vec<u8>) {
        for name in self.batches().await {
            let value = self.read(&name).await.unwrap_or_default();
            if position(&value, text).is_some() {
                return (name, value);
            }
        }
        panic!("no batch in shared data has {text:?}");
    }

    /// Each request has a user agent of its own, by which its record is known.
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

    /// What stands before the name of everything that was written with the process's key, which everyone can read: the first
    /// 32 bytes of the list of keys.
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

/// Where a text begins in a value.
pub fn position(value: &[u8], text: &[u8]) -> Option<usize> {
    value.windows(text.len()).position(|window| window == text)
}
