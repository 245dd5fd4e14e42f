//! The subset of WebDriver (W3C) that the tests need.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::client::{CallOptions, http_request};

/// Longest wait for one command; the first one starts a browser.
const PATIENCE: Duration = Duration::from_secs(60);
/// The key of element references in WebDriver's JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys in WebDriver's encoding.
pub(crate) mod key {
    pub(crate) const TAB: &str = "\u{e004}";
    pub(crate) const ENTER: &str = "\u{e007}";
    pub(crate) const ESCAPE: &str = "\u{e00c}";
    pub(crate) const LEFT: &str = "\u{e012}";
    pub(crate) const UP: &str = "\u{e013}";
    pub(crate) const DOWN: &str = "\u{e015}";
}

/// A session with one browser window.
pub(crate) struct Session {
    driver: SocketAddr,
    path: String,
}

/// A reference to an element of the document.
#[derive(Clone, Debug)]
pub(crate) struct Element(String);

/// The error of a command, for example `no such element: ...`.
pub(crate) type Refusal = String;

impl Session {
    pub(crate) async fn open(driver: SocketAddr, capabilities: &Value) -> Self {
        let wanted = json!({"capabilities": {"alwaysMatch": capabilities}});
        let opened = send(driver, "POST", "/session", &wanted).await.unwrap();
        Self {
            driver,
            path: format!("/session/{}", opened["sessionId"].as_str().unwrap()),
        }
    }

    pub(crate) async fn post(&self, command: &str, body: &Value) -> Result<Value, Refusal> {
        send(
            self.driver,
            "POST",
            &format!("{}/{command}", self.path),
            body,
        )
        .await
    }

    pub(crate) async fn get(&self, command: &str) -> Value {
        send(
            self.driver,
            "GET",
            &format!("{}/{command}", self.path),
            &Value::Null,
        )
        .await
        .unwrap()
    }

    pub(crate) async fn find(&self, css: &str) -> Result<Element, Refusal> {
        let found = self
            .post("element", &json!({"using": "css selector", "value": css}))
            .await?;
        Ok(Element(found[ELEMENT].as_str().unwrap().to_owned()))
    }

    pub(crate) async fn click(&self, element: &Element) -> Result<(), Refusal> {
        self.post(&format!("element/{}/click", element.0), &json!({}))
            .await
            .map(drop)
    }

    pub(crate) async fn type_into(&self, element: &Element, text: &str) -> Result<(), Refusal> {
        self.post(
            &format!("element/{}/value", element.0),
            &json!({"text": text}),
        )
        .await
        .map(drop)
    }

    pub(crate) async fn clear(&self, element: &Element) -> Result<(), Refusal> {
        self.post(&format!("element/{}/clear", element.0), &json!({}))
            .await
            .map(drop)
    }

    /// Runs the body of a JavaScript function.
    pub(crate) async fn run(&self, script: &str, arguments: Value) -> Value {
        self.post(
            "execute/sync",
            &json!({"script": script, "args": arguments}),
        )
        .await
        .unwrap()
    }
}

async fn send(
    driver: SocketAddr,
    method: &str,
    path: &str,
    body: &Value,
) -> Result<Value, Refusal> {
    let body = if method == "GET" {
        String::new()
    } else {
        body.to_string()
    };
    let options = CallOptions {
        timeout: PATIENCE,
        ..CallOptions::default()
    };

    let headers = [("content-type", "application/json"), ("host", "localhost")];
    let answer = http_request(driver, method, path, headers, body, &options)
        .await
        .unwrap();
    let value = serde_json::from_slice::<Value>(&answer.body).unwrap()["value"].clone();
    if answer.status == 200 {
        return Ok(value);
    }

    Err(format!(
        "{}: {}",
        value["error"].as_str().unwrap_or_default(),
        value["message"].as_str().unwrap_or_default()
    ))
}
