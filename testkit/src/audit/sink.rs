//! An audit cluster that answers by script, and keeps all received requests.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub use crate::audit::answer::Answer;
use crate::audit::records::{self, Record};
use crate::audit::request::Request;
use crate::headers::Headers;
use crate::{eventually, now};

/// One request that arrived.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Path of the request.
    pub path: String,
    /// Headers of the request.
    pub headers: Headers,
    /// The batch without its content coding; empty if bodies are not kept.
    pub body: Bytes,
    /// Length of the batch as it came, with its content coding.
    pub coded_bytes: usize,
    /// Whether the audit cluster has kept the batch by now.
    pub is_stored: bool,
    /// When the request had arrived.
    pub at: Instant,
}

impl Attempt {
    /// The first value of a header; empty if absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .first(name)
            .map_or("", |value| std::str::from_utf8(value).unwrap())
    }
}

/// Whether a body is refused, whatever the script contains.
type Refuses = dyn Fn(&[u8]) -> bool + Send;

/// Receives the bodies of the stored batches.
type Keeps = dyn FnMut(&[u8]) + Send;

#[derive(Default)]
struct Script {
    next: VecDeque<Answer>,
    otherwise: Option<Answer>,
    refusal: Option<(u16, Box<Refuses>)>,
    keeper: Option<Box<Keeps>>,
    attempts: Vec<Attempt>,
}

impl Script {
    fn answer(&mut self, body: &[u8]) -> Answer {
        match &self.refusal {
            Some((status, refuses)) if refuses(body) => Answer::Status(*status, "{}"),
            _ => self
                .next
                .pop_front()
                .or(self.otherwise.clone())
                .unwrap_or(Answer::Status(200, "{}")),
        }
    }

    /// Yields the answer, and the index of the attempt.
    fn take(&mut self, request: Request) -> (Answer, usize) {
        let answer = self.answer(&request.body);
        let Request {
            path,
            headers,
            body,
            coded_bytes,
        } = request;

        self.attempts.push(Attempt {
            path,
            headers,
            body,
            coded_bytes,
            is_stored: false,
            at: now(),
        });
        (answer, self.attempts.len() - 1)
    }

    /// Marks the attempt at this index as answered.
    fn settle(&mut self, index: usize, is_stored: bool) {
        let attempt = &mut self.attempts[index];
        attempt.is_stored = is_stored;
        if let Some(keep) = &mut self.keeper {
            let body = std::mem::take(&mut attempt.body);
            if is_stored {
                keep(&body);
            }
        }
    }
}

/// A scripted audit cluster on a reserved port, which stays reserved while it is down.
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

    /// Reserves a port that refuses connections until [`Self::up`].
    pub fn start_down() -> Self {
        let placeholder = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let addr = placeholder.local_addr().unwrap();
        Self {
            addr,
            script: Arc::default(),
            server: None,
            placeholder: Some(placeholder),
        }
    }

    /// The reserved address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Begins to listen.
    pub async fn up(&mut self) {
        self.placeholder = None;
        let listener = bound(self.addr).listen(1024).unwrap();
        self.server = Some(tokio::spawn(serve(listener, Arc::clone(&self.script))));
    }

    /// Stops listening and closes every connection; connections are refused until [`Self::up`].
    pub async fn down(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            // Aborted or not, the task has released the port.
            let _ = server.await;
        }
        self.placeholder = Some(bound(self.addr));
    }

    /// Answers to the next requests, one each. Later ones get 200.
    pub fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.script.lock().unwrap().next.extend(answers);
    }

    /// Answer to every request without a scripted one; `None`: 200.
    pub fn answer_all(&self, answer: Option<Answer>) {
        self.script.lock().unwrap().otherwise = answer;
    }

    /// Answers 400 to every body that contains this text.
    pub fn refuse_what_contains(&self, poison: &'static str) {
        self.refuse(400, move |body| {
            body.windows(poison.len())
                .any(|window| window == poison.as_bytes())
        });
    }

    /// Answers this status to every body for which `refuses` is true.
    pub fn refuse(&self, status: u16, refuses: impl Fn(&[u8]) -> bool + Send + 'static) {
        self.script.lock().unwrap().refusal = Some((status, Box::new(refuses)));
    }

    /// Passes every stored batch to `keep`, and discards all bodies: for runs that are too long to
    /// keep them.
    pub fn keep_by(&self, keep: impl FnMut(&[u8]) + Send + 'static) {
        self.script.lock().unwrap().keeper = Some(Box::new(keep));
    }

    /// All requests so far, in the order of arrival.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.script.lock().unwrap().attempts.clone()
    }

    /// The records of all batches, from every attempt with any result, in the order of arrival.
    pub fn arrived(&self) -> Vec<Record> {
        self.attempts()
            .iter()
            .flat_map(|attempt| records::parse(&attempt.body))
            .collect()
    }

    /// The records of all stored batches, in the order of arrival.
    pub fn records(&self) -> Vec<Record> {
        let attempts = self.attempts();
        let kept = attempts.iter().filter(|attempt| attempt.is_stored);
        kept.flat_map(|attempt| records::parse(&attempt.body))
            .collect()
    }

    /// The stored exchanges, in the order of arrival.
    pub fn exchanges(&self) -> Vec<Record> {
        self.records()
            .into_iter()
            .filter(Record::is_exchange)
            .collect()
    }

    /// The stored records of one event.
    pub fn events(&self, name: &str) -> Vec<Record> {
        self.records()
            .into_iter()
            .filter(|record| record.event == name)
            .collect()
    }

    /// Waits for at least this many exchanges, and yields all.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> impl Future<Output = Vec<Record>> {
        eventually(format!("{count} records arrive"), move || {
            Some(self.exchanges()).filter(|found| found.len() >= count)
        })
    }

    /// Waits until exactly `count` lost records are reported, and yields the reports. There are
    /// several if a batch was sealed while records were still dropped.
    pub async fn wait_for_losses(&self, count: u64) -> Vec<Record> {
        let reported = |losses: &[Record]| {
            losses
                .iter()
                .map(|loss| loss.int("audit.loss.count"))
                .sum::<u64>()
        };
        let losses = eventually(format!("{count} losses are reported"), || {
            Some(self.events("audit.loss")).filter(|found| reported(found) >= count)
        })
        .await;
        assert_eq!(reported(&losses), count, "{losses:#?}");

        losses
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

/// Serves until it is aborted, which also aborts its connections.
async fn serve(listener: TcpListener, script: Arc<Mutex<Script>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.unwrap();
                connections.spawn(converse(stream, Arc::clone(&script)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one request after the other, until the peer closes or the script breaks the connection.
async fn converse(stream: TcpStream, script: Arc<Mutex<Script>>) {
    stream.set_nodelay(true).unwrap();

    let mut stream = BufReader::new(stream);
    while let Some(request) = Request::read(&mut stream).await {
        let (answer, index) = script.lock().unwrap().take(request);
        if !answer.is_awaited(&mut stream).await {
            break;
        }
        script.lock().unwrap().settle(index, answer.is_stored());
        if !answer.give(&mut stream).await {
            break;
        }
    }
}
