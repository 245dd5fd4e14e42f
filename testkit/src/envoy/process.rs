//! One Envoy process with a separate directory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::client::{CallError, CallOptions, http_get, http_request};
use crate::envoy::bootstrap::Bootstrap;
use crate::{eventually, tools};

/// A running Envoy; killed when dropped.
pub struct Envoy {
    process: Child,
    directory: TempDir,
    admin: SocketAddr,
}

/// The result of `envoy --mode validate`.
pub struct Validation {
    /// Whether the bootstrap is valid.
    pub success: bool,
    /// Envoy's log.
    pub log: String,
}

impl Envoy {
    /// Starts Envoy and waits until it serves.
    pub async fn start(bootstrap: &Bootstrap, concurrency: usize) -> Self {
        Self::run(tools::envoy(), bootstrap, concurrency).await
    }

    /// The same with this binary.
    pub async fn run(binary: &Path, bootstrap: &Bootstrap, concurrency: usize) -> Self {
        Self::run_with(binary, bootstrap, concurrency, &bootstrap.environment()).await
    }

    /// The same with these variables in its environment, for filters that are discovered.
    pub async fn run_with(
        binary: &Path,
        bootstrap: &Bootstrap,
        concurrency: usize,
        variables: &[String],
    ) -> Self {
        let directory = TempDir::with_prefix("audit-filter-envoy-").unwrap();
        let admin_path = directory.path().join("admin");
        let mut process = command(binary, directory.path(), bootstrap, variables)
            .args([
                "--concurrency",
                &concurrency.to_string(),
                "--drain-time-s",
                "2",
            ])
            .arg("--admin-address-path")
            .arg(&admin_path)
            .spawn()
            .unwrap();

        let log = log_path(directory.path());
        let admin = eventually("Envoy opens its admin interface", || {
            let exited = process.try_wait().unwrap();
            assert!(
                exited.is_none(),
                "Envoy ended: {}",
                fs::read_to_string(&log).unwrap_or_default()
            );
            fs::read_to_string(&admin_path).ok()?.trim().parse().ok()
        })
        .await;

        let envoy = Self {
            process,
            directory,
            admin,
        };
        envoy.wait_until_live().await;
        envoy
    }

    async fn wait_until_live(&self) {
        for _ in 0..200 {
            if self.admin_get("/ready").await.starts_with("LIVE") {
                return;
            }
            tokio::time::sleep(crate::wait::POLL).await;
        }
        panic!("Envoy is not live: {}", self.log());
    }

    /// Runs `envoy --mode validate`.
    pub fn validate(bootstrap: &Bootstrap) -> Validation {
        let directory = TempDir::with_prefix("audit-filter-validate-").unwrap();
        let variables = bootstrap.environment();
        let status = command(tools::envoy(), directory.path(), bootstrap, &variables)
            .args(["--mode", "validate"])
            .status()
            .unwrap();
        Validation {
            success: status.success(),
            log: fs::read_to_string(log_path(directory.path())).unwrap(),
        }
    }

    /// Id of the process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The bound address of the listener with this name, or of the only one.
    pub async fn listener(&self, name: &str) -> SocketAddr {
        let listeners = self.listeners().await;
        let only = listeners.values().next().filter(|_| listeners.len() == 1);
        *listeners.get(name).or(only).expect("the listener exists")
    }

    /// The bound addresses of all listeners by their names. Internal listeners have none.
    pub async fn listeners(&self) -> BTreeMap<String, SocketAddr> {
        let status: Value =
            serde_json::from_str(&self.admin_get("/listeners?format=json").await).unwrap();
        let entry = |entry: &Value| {
            let address = &entry["local_address"]["socket_address"];
            let port = address["port_value"].as_u64()?.try_into().unwrap();
            let addr = SocketAddr::new(address["address"].as_str().unwrap().parse().unwrap(), port);
            Some((entry["name"].as_str().unwrap().to_owned(), addr))
        };

        status["listener_statuses"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(entry)
            .collect()
    }

    /// The text of a page of the admin interface.
    pub async fn admin_get(&self, path: &str) -> String {
        http_get(self.admin, path, [], &CallOptions::default())
            .await
            .unwrap()
            .text()
    }

    /// The answer to a command of the admin interface.
    pub async fn admin_post(&self, path: &str) -> String {
        http_request(self.admin, "POST", path, [], "", &CallOptions::default())
            .await
            .unwrap()
            .text()
    }

    /// The address of the admin interface.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Statistics with `filter` in their names.
    pub async fn stats(&self, filter: &str) -> BTreeMap<String, u64> {
        stats(self.admin, filter).await.unwrap()
    }

    /// Envoy's log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(log_path(self.directory.path())).unwrap_or_default()
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait().await
    }

    /// Sends a signal by its name, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.pid().to_string()])
            .status()
            .unwrap();
        assert!(status.success(), "kill -{name} failed");
    }

    /// Waits until the process ends.
    pub async fn wait(&mut self) -> ExitStatus {
        let process = &mut self.process;
        eventually("Envoy ends", || process.try_wait().unwrap()).await
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("--- Envoy's log\n{}", self.log());
        }
    }
}

/// Statistics with `filter` in their names, of the Envoy with this admin interface.
pub async fn stats(admin: SocketAddr, filter: &str) -> Result<BTreeMap<String, u64>, CallError> {
    let text = http_get(
        admin,
        &format!("/stats?filter={filter}"),
        [],
        &CallOptions::default(),
    )
    .await?
    .text();

    let line = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((
            name.trim_start_matches("wasmcustom.audit_filter.")
                .to_owned(),
            value.parse().ok()?,
        ))
    };
    Ok(text.lines().filter_map(line).collect())
}

fn log_path(directory: &Path) -> PathBuf {
    directory.join("log")
}

/// The test value of an environment variable; long enough for a key.
pub fn variable(name: &str) -> String {
    format!("{name} as all scenarios have it")
}

fn command(
    binary: &Path,
    directory: &Path,
    bootstrap: &Bootstrap,
    variables: &[String],
) -> Command {
    let config = directory.join("bootstrap.json");
    fs::write(&config, serde_json::to_vec_pretty(&bootstrap.0).unwrap()).unwrap();
    let log = File::create(log_path(directory)).unwrap();
    let mut command = Command::new(binary);

    command
        .arg("--config-path")
        .arg(config)
        .args([
            "--use-dynamic-base-id",
            "--log-level",
            "warning",
            "--component-log-level",
            "wasm:info",
        ])
        .envs(variables.iter().map(|name| (name, variable(name))))
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);

    command
}
