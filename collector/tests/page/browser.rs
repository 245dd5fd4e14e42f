//! A headless Chromium for one test, with the actions of a user.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::supervised::{End, Supervised};
use crate::webdriver::Session;
pub(crate) use crate::webdriver::key;

/// How long a test waits for an effect before it fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// No requests by the browser itself, no sandbox (containers have none), no GPU.
const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--lang=en",
];

/// A browser; it and all its processes end when this is dropped.
pub(crate) struct Browser {
    session: Session,
    origin: String,
    // Dropped in this order: the profile directory is removed after the last process that writes to
    // it.
    _driver: Supervised,
    profile: TempDir,
}

impl Browser {
    /// Opens the page of a collector, `http://<address>`.
    pub(crate) async fn open(origin: &str) -> Self {
        let (driver, chromium) = programs();
        let profile = TempDir::with_prefix("audit-page-").unwrap();
        let (driver, port) = start_driver(driver);
        let mut flags: Vec<String> = FLAGS.map(str::to_owned).to_vec();
        flags.push(format!("--user-data-dir={}", profile.path().display()));

        let capabilities = json!({
            "goog:chromeOptions": {"binary": chromium, "args": flags},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        });
        let session = Session::open(([127, 0, 0, 1], port).into(), &capabilities).await;
        let browser = Self {
            session,
            origin: origin.to_owned(),
            _driver: driver,
            profile,
        };

        browser.resize(1280, 800).await;
        browser.theme("light").await;
        browser.go("/").await;
        browser
    }

    pub(crate) async fn go(&self, path: &str) {
        self.session
            .post("url", &json!({"url": format!("{}{path}", self.origin)}))
            .await
            .unwrap();
    }

    pub(crate) async fn back(&self) {
        self.session.post("back", &json!({})).await.unwrap();
    }

    pub(crate) async fn reload(&self) {
        self.session.post("refresh", &json!({})).await.unwrap();
    }

    /// Path and query of the address.
    pub(crate) async fn address(&self) -> String {
        let url = self.session.get("url").await;
        url.as_str()
            .unwrap()
            .strip_prefix(&self.origin)
            .expect("still the same origin")
            .to_owned()
    }

    /// Sets the size of the viewport in CSS pixels. Windows cannot be as narrow as phones.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)
            .await;
    }

    /// Sets the preferred colour scheme to `light` or `dark`.
    pub(crate) async fn theme(&self, name: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": name}]});
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    async fn devtools(&self, command: &str, parameters: Value) {
        self.session
            .post(
                "goog/cdp/execute",
                &json!({"cmd": command, "params": parameters}),
            )
            .await
            .unwrap();
    }

    /// The value of a JavaScript expression.
    pub(crate) async fn eval(&self, expression: &str) -> Value {
        self.session
            .run(&format!("return ({expression});"), json!([]))
            .await
    }

    /// The visible text of the first element that matches.
    pub(crate) async fn text(&self, css: &str) -> String {
        let text = self
            .session
            .run(
                "return document.querySelector(arguments[0])?.innerText ?? '';",
                json!([css]),
            )
            .await;
        text.as_str().unwrap().to_owned()
    }

    pub(crate) async fn count(&self, css: &str) -> u64 {
        let script = "return document.querySelectorAll(arguments[0]).length;";
        self.session
            .run(script, json!([css]))
            .await
            .as_u64()
            .unwrap()
    }

    /// Waits until a JavaScript expression is true.
    pub(crate) async fn until(&self, expression: &str) {
        let end = now() + DEADLINE;
        while self.eval(&format!("Boolean(({expression}))")).await != true {
            if now() > end {
                self.screenshot("failed").await;
                panic!("never true: {expression}\n{}", self.text("body").await);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until the element contains this text.
    pub(crate) async fn until_text(&self, css: &str, text: &str) {
        let (css, text) = (json!(css), json!(text));
        self.until(&format!(
            "document.querySelector({css})?.innerText.includes({text})"
        ))
        .await;
    }

    /// Clicks as a user does: at the element's position, if nothing covers it. Retries while the
    /// element is absent.
    pub(crate) async fn click(&self, css: &str) {
        let end = now() + DEADLINE;
        loop {
            let clicked = match self.session.find(css).await {
                Ok(element) => self.session.click(&element).await,
                Err(refusal) => Err(refusal),
            };
            let Err(refusal) = clicked else { return };
            if now() > end {
                self.screenshot("failed").await;
                panic!("cannot click {css}: {refusal}");
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Clears an input and types.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        self.until(&format!("document.querySelector({})", json!(css)))
            .await;
        let element = self.session.find(css).await.unwrap();
        self.session.clear(&element).await.unwrap();
        self.session.type_into(&element, text).await.unwrap();
    }

    /// Chooses an option of a select by its value.
    pub(crate) async fn choose(&self, css: &str, value: &str) {
        self.click(&format!("{css} option[value='{value}']")).await;
    }

    /// Keeps what the page saves, for `saved`.
    pub(crate) async fn keep_downloads(&self) {
        let folder = self.downloads();
        let behaviour = json!({"behavior": "allow", "downloadPath": folder});
        self.devtools("Browser.setDownloadBehavior", behaviour)
            .await;
    }

    /// Waits for the file that the page saves, and takes it away: its name and its bytes.
    pub(crate) async fn saved(&self) -> (String, Vec<u8>) {
        let end = now() + DEADLINE;
        loop {
            let files = std::fs::read_dir(self.downloads()).into_iter().flatten();
            let mut names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
            // While the browser writes a file, its name ends otherwise.
            if let Some(name) = names.find(|name| !name.ends_with(".crdownload")) {
                let path = self.downloads().join(&name);
                let bytes = std::fs::read(&path).unwrap();
                std::fs::remove_file(path).unwrap();
                return (name, bytes);
            }

            assert!(now() < end, "nothing was saved");
            tokio::time::sleep(POLL).await;
        }
    }

    fn downloads(&self) -> PathBuf {
        self.profile.path().join("downloads")
    }

    /// Presses keys in order, at the current focus.
    pub(crate) async fn press(&self, keys: &[&str]) {
        let strokes: Vec<Value> = keys
            .iter()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key})))
            .collect();
        let actions = json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]});
        self.session.post("actions", &actions).await.unwrap();
    }

    /// Moves the mouse to the middle of an element, and then by this many pixels.
    pub(crate) async fn hover(&self, css: &str, aside: (i32, i32)) {
        let script = "const box = document.querySelector(arguments[0]).getBoundingClientRect();
            return [Math.round(box.x + box.width / 2), Math.round(box.y + box.height / 2)];";
        let place = self.session.run(script, json!([css])).await;
        let at = |index: usize, more: i32| place[index].as_i64().unwrap() + i64::from(more);
        let step =
            json!({"type": "pointerMove", "duration": 0, "x": at(0, aside.0), "y": at(1, aside.1)});
        let actions = json!({"actions": [{"type": "pointer", "id": "mouse", "actions": [step]}]});
        self.session.post("actions", &actions).await.unwrap();
    }

    /// Saves a screenshot as `target/page-screenshots/<name>.png`.
    pub(crate) async fn screenshot(&self, name: &str) {
        let picture = BASE64_STANDARD
            .decode(self.session.get("screenshot").await.as_str().unwrap())
            .unwrap();
        let folder = root().join("target/page-screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
    }

    /// No element is wider than the screen, no button too small for its words. Waits until the page
    /// has processed the resize event.
    pub(crate) async fn assert_fits(&self) {
        let wide = "[...document.querySelectorAll('body *')].filter((node) => {
              const box = node.getBoundingClientRect();
              return box.width > 0 && box.right > innerWidth + 1 && !node.closest('.hidden, thead');
            })";
        let tight = "[...document.querySelectorAll('button')].filter((button) => button.scrollWidth > button.clientWidth + 1)";
        self.until(&format!(
            "document.documentElement.scrollWidth <= innerWidth && [...{wide}, ...{tight}].length === 0"
        ))
        .await;
    }

    /// Errors, warnings and violations of the content security policy in the browser's log since
    /// the last call.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let entries = self.log("browser").await;
        let is_serious =
            |entry: &&Value| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING"));
        entries
            .iter()
            .filter(is_serious)
            .map(|entry| entry["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The browser log has no complaints, and all requests went to the page's collector.
    pub(crate) async fn assert_clean(&self) {
        assert_eq!(self.complaints().await, Vec::<String>::new());
        let elsewhere: Vec<String> = self
            .requests()
            .await
            .into_iter()
            .filter(|url| !self.is_own(url))
            .collect();
        assert_eq!(elsewhere, Vec::<String>::new(), "requests to other origins");
    }

    /// Fails if a stored text became an element or ran as a script.
    pub(crate) async fn assert_no_markup(&self) {
        let found = self
            .eval("[document.images.length, window.harmed ?? 'unharmed']")
            .await;
        assert_eq!(found, json!([0, "unharmed"]));
    }

    fn is_own(&self, url: &str) -> bool {
        url.strip_prefix(&self.origin)
            .is_some_and(|rest| rest.starts_with('/'))
            || url.starts_with("data:")
    }

    /// The URLs that the page has requested since the last call.
    async fn requests(&self) -> Vec<String> {
        let sent = self
            .log("performance")
            .await
            .into_iter()
            .filter_map(|entry| {
                let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
                let event = &event["message"];
                let is_request = event["method"] == "Network.requestWillBeSent";

                // Requests of the browser's start page are not the page's.
                let is_start_page = event["params"]["documentURL"]
                    .as_str()?
                    .starts_with("chrome://");
                (is_request && !is_start_page).then(|| {
                    event["params"]["request"]["url"]
                        .as_str()
                        .unwrap()
                        .to_owned()
                })
            });

        sent.collect()
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self
            .session
            .post("se/log", &json!({"type": kind}))
            .await
            .unwrap();
        entries.as_array().unwrap().clone()
    }
}

/// Starts ChromeDriver on a free port. It picks the port before it binds it, so another program can
/// take it in between.
fn start_driver(program: &str) -> (Supervised, u16) {
    let port = |line: &str| {
        line.strip_prefix("ChromeDriver was started successfully on port ")?
            .trim_end_matches('.')
            .parse()
            .ok()
    };
    let mut log = String::new();

    for _ in 0..5 {
        let mut driver = Supervised::start(End::Kill, program, &["--port=0"]);
        match driver.printed(DEADLINE, port) {
            Ok(port) => return (driver, port),
            Err(said) => log = said,
        }
    }
    panic!("ChromeDriver: {log}");
}

/// Root of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// ChromeDriver and Chromium.
fn programs() -> (&'static str, &'static str) {
    static PATHS: OnceLock<(String, String)> = OnceLock::new();

    let (driver, chromium) = PATHS.get_or_init(|| {
        let script = root().join("collector/tests/page/get-chromium.sh");
        let output = Command::new("bash")
            .arg(script)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "no browser");
        let printed = String::from_utf8(output.stdout).unwrap();
        let (driver, chromium) = printed.trim_end().split_once('\n').unwrap();
        (driver.to_owned(), chromium.to_owned())
    });
    (driver, chromium)
}

#[expect(clippy::disallowed_methods, reason = "a deadline needs a clock")]
fn now() -> Instant {
    Instant::now()
}
