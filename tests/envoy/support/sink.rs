//! An audit cluster that answers as the scenario says, and keeps everything it was sent.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

use super::eventually;
use super::records::{self, Record};

/// How the audit cluster answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// This status and body.
    Status(u16, &'static str),
    /// This status with `retry-after`.
    RetryAfter(u16, &'static str),
    /// Nothing, ever.
    Hang,
}

/// One request that arrived.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub status: Option<u16>,
    pub at: Instant,
}

impl Attempt {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

#[derive(Default)]
struct Script {
    next: VecDeque<Answer>,
    otherwise: Option<Answer>,
    poison: Option<&'static str>,
    attempts: Vec<Attempt>,
}

impl Script {
    fn answer(&mut self, body: &Bytes) -> Answer {
        let text = String::from_utf8_lossy(body);
        if self.poison.is_some_and(|poison| text.contains(poison)) {
            return Answer::Status(400, "{}");
        }
        self.next.pop_front().or(self.otherwise.clone()).unwrap_or(Answer::Status(200, "{}"))
    }
}

/// A scripted audit cluster on a port of its own; the port stays its own while it is down.
pub struct Sink {
    addr: SocketAddr,
    script: Arc<Mutex<Script>>,
    server: Option<JoinHandle<()>>,
    placeholder: Option<TcpSocket>,
}

impl Sink {
    /// Starts, and answers 200 to everything.
    pub async fn start() -> Self {
        let mut sink = Self::start_down();
        sink.up().await;
        sink
    }

    /// Takes a port that refuses connections until [`Self::up`].
    pub fn start_down() -> Self {
        let placeholder = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let addr = placeholder.local_addr().unwrap();
        Self { addr, script: Arc::default(), server: None, placeholder: Some(placeholder) }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Gives the port away: somebody else is going to listen there.
    pub fn released(mut self) -> Self {
        self.placeholder = None;
        self
    }

    /// Begins to listen.
    pub async fn up(&mut self) {
        self.placeholder = None;
        let listener = bound(self.addr).listen(1024).unwrap();
        self.server = Some(tokio::spawn(serve(listener, Arc::clone(&self.script))));
    }

    /// Answers the next requests so, one each, and 200 afterwards.
    pub fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.script.lock().unwrap().next.extend(answers);
    }

    /// Answers everything so that has no answer of its own; `None`: 200.
    pub fn answer_all(&self, answer: Option<Answer>) {
        self.script.lock().unwrap().otherwise = answer;
    }

    /// Answers 400 to every body that contains this text.
    pub fn refuse_what_contains(&self, poison: &'static str) {
        self.script.lock().unwrap().poison = Some(poison);
    }

    pub fn attempts(&self) -> Vec<Attempt> {
        self.script.lock().unwrap().attempts.clone()
    }

    /// The records of all batches that were answered 200, in the order of arrival.
    pub fn records(&self) -> Vec<Record> {
        let attempts = self.attempts();
        let answered = attempts.iter().filter(|attempt| attempt.status == Some(200));
        answered.flat_map(|attempt| records::parse(&attempt.body)).collect()
    }

    pub fn exchanges(&self) -> Vec<Record> {
        self.records().into_iter().filter(Record::is_exchange).collect()
    }

    pub fn events(&self, name: &str) -> Vec<Record> {
        self.records().into_iter().filter(|record| record.event == name).collect()
    }

    /// Waits for at least this many exchanges, and yields all.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> impl Future<Output = Vec<Record>> {
        eventually(format!("{count} records arrive"), move || {
            Some(self.exchanges()).filter(|found| found.len() >= count)
        })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

/// A bound socket that does not listen: connections to it are refused.
fn bound(addr: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(addr).unwrap();
    socket
}

#[expect(clippy::disallowed_methods, reason = "a test's edge")]
fn now() -> Instant {
    Instant::now()
}

async fn serve(listener: TcpListener, script: Arc<Mutex<Script>>) {
    let router = Router::new().fallback(receive).with_state(script);
    axum::serve(listener, router).await.unwrap();
}

async fn receive(
    State(script): State<Arc<Mutex<Script>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let answer = {
        let mut script = script.lock().unwrap();
        let answer = script.answer(&body);
        let status = match answer {
            Answer::Status(status, _) | Answer::RetryAfter(status, _) => Some(status),
            Answer::Hang => None,
        };
        script.attempts.push(Attempt { path: uri.path().to_owned(), headers, body, status, at: now() });
        answer
    };
    let response = Response::builder();
    match answer {
        Answer::Status(status, text) => response.status(status).body(Body::from(text)).unwrap(),
        Answer::RetryAfter(status, value) => {
            response.status(status).header("retry-after", value).body(Body::empty()).unwrap()
        }
        Answer::Hang => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            response.body(Body::empty()).unwrap()
        }
    }
}
