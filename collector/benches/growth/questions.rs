//! Questions over HTTP: the first time after a start of the collector, and again.

use serde_json::Value;
use testkit::collector::Client;
use testkit::{now, quantile};

use crate::build::Build;
use crate::database::Kind;
use crate::records::{Clock, Session, service_name};
use crate::sizes::EXTRA;
use crate::state::State;

/// A question is not repeated further once it has taken this long in all, in milliseconds.
const BUDGET: f64 = 60_000.0;

/// A question in one form or in several, such as for different users.
pub struct Question {
    pub name: &'static str,
    paths: Vec<String>,
}

/// The names of all questions.
pub fn names() -> Vec<&'static str> {
    let clock = Clock { start: 0, step: 1 };
    list(clock, 1, 1)
        .iter()
        .map(|question| question.name)
        .collect()
}

/// All questions on a ledger of this size. Those for a value have `rounds` values.
fn list(clock: Clock, size: u64, rounds: u64) -> Vec<Question> {
    let one = |name, path: &str| Question {
        name,
        paths: vec![format!("/api/{path}")],
    };
    let some = |name, path: &dyn Fn(Session) -> String| {
        let place = |round| size * (round + 1) / (rounds + 1);
        let sessions = (0..rounds).map(|round| Session::of_record(place(round)));
        Question {
            name,
            paths: sessions
                .map(|session| format!("/api/{}", path(session)))
                .collect(),
        }
    };

    let [from, to] = [0, size + EXTRA].map(|number| clock.start + number * clock.step);
    vec![
        one("newest 100", "records?limit=100"),
        one("newest 1000", "records?limit=1000"),
        some("by user", &|session| {
            format!("records?user={}", session.user.id)
        }),
        some("by session", &|session| {
            format!("records?session={}", session.id)
        }),
        some("by token_ref", &|session| {
            format!("records?token_ref={}", encoded(&session.token_ref))
        }),
        one(
            "action and outcome, both frequent, never together",
            &format!("records?action={}&outcome=denied", encoded("GET /check")),
        ),
        one(
            "outcome success, action unknown",
            &format!("records?outcome=success&action={}", encoded("GET /absent")),
        ),
        one("q, many matches", "records?q=orders"),
        one("q, no match", "records?q=zebra"),
        one("service", &format!("records?service={}", service_name(3))),
        one("service, no match", "records?service=absent"),
        one(
            "usage of all days by the hour",
            &format!("usage?rule=tracked&bucket=1h&from={from}&to={to}"),
        ),
        one("sessions", "sessions"),
        one("streams", "streams"),
    ]
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02x}"),
    };
    text.bytes().map(byte).collect()
}

/// Puts each question to all builds by turns. Their programs have just started.
pub fn measure(state: &mut State, builds: &mut [Build], kind: Kind, size: u64, rounds: u64) {
    let mut clients: Vec<_> = builds.iter_mut().map(Build::client).collect();
    for question in list(state.clock(), size, rounds) {
        let times = take_turns(&question, &mut clients, rounds);
        for (build, times) in builds.iter().zip(times) {
            let measured = [("first", &times.first), ("warm", &times.warm)];
            for (when, times) in measured {
                let key = build.key(kind, size, &format!("{when}/{}", question.name));
                state.set(&key, quantile(times, 0.5));
            }
        }
    }
}

/// Milliseconds of one question.
#[derive(Default)]
struct Times {
    first: Vec<f64>,
    warm: Vec<f64>,
}

/// Each form once, then all forms again; a single form `rounds` times.
fn take_turns(question: &Question, clients: &mut [Client], rounds: u64) -> Vec<Times> {
    let mut all: Vec<Times> = clients.iter().map(|_| Times::default()).collect();
    let forms = question.paths.len();
    let asked = forms + forms.max(rounds as usize);

    for turn in 0..asked {
        let path = &question.paths[turn % forms];
        let is_first = turn < forms;
        let spent: f64 = all.iter().map(Times::sum).sum();
        if !is_first && turn > forms && spent > BUDGET * clients.len() as f64 {
            break;
        }

        let mut counts = Vec::new();
        for place in 0..clients.len() {
            let index = (place + turn) % clients.len();
            let start = now();
            let answer = clients[index].get(path).unwrap();
            let millis = start.elapsed().as_secs_f64() * 1000.0;
            assert_eq!(answer.status, 200, "{path}");

            counts.push(count(&answer.body));
            let times = &mut all[index];
            if is_first {
                &mut times.first
            } else {
                &mut times.warm
            }
            .push(millis);
        }
        note_differences(path, &counts);
    }
    all
}

impl Times {
    fn sum(&self) -> f64 {
        self.first.iter().chain(&self.warm).sum()
    }
}

/// Entries of a page of records or sessions.
fn count(body: &[u8]) -> usize {
    let answer: Value = serde_json::from_slice(body).unwrap();
    let lists = ["records", "sessions", "buckets", "streams"];
    let list = lists.iter().find_map(|name| answer[*name].as_array());
    list.map_or(0, Vec::len)
}

fn note_differences(path: &str, counts: &[usize]) {
    if counts.windows(2).any(|pair| pair[0] != pair[1]) {
        eprintln!("the answers to {path} differ: {counts:?} entries");
    }
}
