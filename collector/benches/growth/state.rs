//! Finished measurements in a file of the folder, so that a second start goes on where the first
//! one stopped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use testkit::collector::binary;

use crate::options::Options;
use crate::records::Clock;
use crate::sizes;

/// The records span this time up to the first start.
const SPAN: Duration = Duration::from_secs(35 * 24 * 3600);

/// Numbers by name, such as `sqlite/new/100000/bytes`.
pub struct State {
    file: PathBuf,
    values: Map<String, Value>,
    /// Held until the end of the process.
    _lock: File,
}

impl State {
    /// That of the folder. Makes both when they are missing.
    ///
    /// # Panics
    /// When the folder holds measurements of other builds, or of fewer records.
    pub fn open(options: &Options) -> Self {
        fs::create_dir_all(&options.folder).unwrap();
        let lock = File::create(options.folder.join("lock")).unwrap();
        if lock.try_lock().is_err() {
            eprintln!("another run still uses the folder");
            lock.lock().unwrap();
        }
        let file = options.folder.join("measured.json");
        let values = fs::read(&file).ok();
        let values = values.map(|bytes| serde_json::from_slice(&bytes).unwrap());
        let mut state = Self {
            file,
            values: values.unwrap_or_default(),
            _lock: lock,
        };

        state.hold("build", &digest(&binary()));
        if let Some(against) = &options.against {
            state.hold("build against", &digest(against));
        }
        state.set_clock(options.records);
        state
    }

    /// The times of the records.
    pub fn clock(&self) -> Clock {
        Clock {
            start: self.whole("clock/start"),
            step: self.whole("clock/step"),
        }
    }

    /// A finished measurement.
    pub fn get(&self, key: &str) -> Option<f64> {
        self.values.get(key)?.as_f64()
    }

    /// Keeps a measurement.
    pub fn set(&mut self, key: &str, value: f64) {
        self.put(key, value.into());
    }

    #[expect(clippy::disallowed_methods, reason = "the records end now")]
    fn set_clock(&mut self, records: u64) {
        if !self.values.contains_key("records") {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap();
            let last = records + sizes::EXTRA;
            self.put("clock/start", nanos(now - SPAN).into());
            self.put("clock/step", (nanos(SPAN) / last).into());
            self.put("records", records.into());
        }

        let most = self.whole("records");
        assert!(
            records <= most,
            "the records of this folder are {most}: choose another --folder for more"
        );
    }

    fn whole(&self, key: &str) -> u64 {
        self.values[key].as_u64().unwrap()
    }

    /// Refuses another value than that of the first start.
    fn hold(&mut self, key: &str, value: &str) {
        let known = self.values.get(key).and_then(Value::as_str);
        match known {
            None => self.put(key, value.into()),
            Some(known) => assert_eq!(
                known, value,
                "the folder has measurements of another {key}: choose another --folder"
            ),
        }
    }

    /// The file is replaced as a whole: a kill leaves the old one or the new one.
    fn put(&mut self, key: &str, value: Value) {
        self.values.insert(key.to_owned(), value);
        let unfinished = self.file.with_extension("unfinished");
        fs::write(
            &unfinished,
            serde_json::to_vec_pretty(&self.values).unwrap(),
        )
        .unwrap();
        fs::rename(&unfinished, &self.file).unwrap();
    }
}

fn digest(program: &Path) -> String {
    let bytes = fs::read(program).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    hex::encode(Sha256::digest(bytes))
}
