//! One record.

use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::Clock;
use super::actions::{Action, CALLS, Ending, ROUTES, TRACKED};
use super::attributes::Attributes;
use super::people::Session;
use super::random::{Draw, Purpose};

const NANOS_OF_MILLI: u64 = 1_000_000;
/// Of an exchange in microseconds: at least this, doubled up to [`DOUBLINGS`] times.
const LEAST_MICROS: f64 = 400.0;
const DOUBLINGS: f64 = 12.0;

/// The record with this number in all, and with `sequence` in its stream. The first one of a stream
/// reports its start.
pub fn make(clock: Clock, number: u64, sequence: u64, service: u64) -> LogRecord {
    let mut draw = Draw::of(Purpose::Record, number);
    let time = clock.at(number) + draw.below(clock.step);
    let micros = micros(&mut draw);
    let observed = time + micros * 1000;

    let mut attributes = Attributes::default();
    let uid = draw.uuid_at(observed / NANOS_OF_MILLI);
    attributes.text("log.record.uid", format!("aud_{uid}"));
    attributes.int("audit.sequence.number", sequence);

    let record = LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: observed,
        ..LogRecord::default()
    };
    if sequence == 0 {
        start(record, attributes)
    } else {
        let mut exchange = Exchange {
            action: Action::draw(&mut draw, service),
            session: Session::of_record(number),
            draw,
        };
        exchange.finish(record, attributes, micros)
    }
}

/// Mostly some milliseconds, seldom a second: the mean of four draws has a bell.
fn micros(draw: &mut Draw) -> u64 {
    let bell = (0..4).map(|_| draw.share()).sum::<f64>() / 4.0;
    (LEAST_MICROS * (bell * DOUBLINGS).exp2() / 8.0) as u64
}

fn start(record: LogRecord, mut attributes: Attributes) -> LogRecord {
    const NAME: &str = "audit.stream.start";
    attributes.int("audit.stream.alive_interval_ms", 30_000);
    attributes.int("audit.buffer.max_records", 10_000);

    LogRecord {
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        body: text(NAME.to_owned()),
        event_name: NAME.to_owned(),
        attributes: attributes.list(),
        ..record
    }
}

fn text(value: String) -> Option<AnyValue> {
    Some(AnyValue {
        value: Some(Value::StringValue(value)),
    })
}

/// An exchange and its values in the order in which the filter lists them.
struct Exchange {
    action: &'static Action,
    session: Session,
    draw: Draw,
}

impl Exchange {
    fn finish(&mut self, record: LogRecord, mut attributes: Attributes, micros: u64) -> LogRecord {
        let ending = self.action.ending(&mut self.draw);
        self.list_rule(&ending, micros, &mut attributes);
        self.list_session(&mut attributes);
        self.list_request(&mut attributes);
        self.list_response(&ending, &mut attributes);

        let is_call = self.action.rule == CALLS;
        LogRecord {
            severity_number: ending.severity.0,
            severity_text: ending.severity.1.to_owned(),
            body: text(format!("{} {}", self.action.name, ending.outcome)),
            event_name: if is_call { "audit.rpc" } else { "audit.http" }.to_owned(),
            attributes: attributes.list(),
            trace_id: self.draw.bytes().to_vec(),
            span_id: self.draw.next().to_be_bytes().to_vec(),
            ..record
        }
    }

    fn list_rule(&self, ending: &Ending, micros: u64, attributes: &mut Attributes) {
        attributes.text("audit.rule", self.action.rule);
        attributes.text("audit.action", self.action.name);
        attributes.text("audit.outcome", ending.outcome);
        attributes.text("audit.stage", "complete");
        attributes.double("audit.duration_ms", micros as f64 / 1000.0);
    }

    fn list_session(&self, attributes: &mut Attributes) {
        let session = &self.session;
        if self.action.rule == TRACKED {
            attributes.text("audit.session.context", &*session.context);
        }
        attributes.text("session.id", &*session.id);
        attributes.text("session.token_ref", &*session.token_ref);

        attributes.text("user.id", &*session.user.id);
        if let Some(name) = &session.user.name {
            attributes.text("user.name", &**name);
        }
        if let Some(email) = &session.user.email {
            attributes.text("user.email", &**email);
        }
        attributes.text("audit.identity.source", "header");
    }

    fn list_request(&mut self, attributes: &mut Attributes) {
        let action = self.action;
        attributes.text("http.request.method", action.method);
        attributes.text("url.path", action.path(&mut self.draw));
        if action.rule == ROUTES {
            attributes.text("http.route", action.path);
        }

        attributes.text("server.address", "api.example.com");
        attributes.text(
            "network.protocol.version",
            if action.rule == CALLS { "2" } else { "1.1" },
        );
        attributes.text("user_agent.original", &*self.session.agent);
        attributes.text("client.address", &*self.session.address);
        attributes.text("audit.request_id", self.draw.uuid());
    }

    fn list_response(&self, ending: &Ending, attributes: &mut Attributes) {
        attributes.int("http.response.status_code", ending.http_status as u64);
        if let Some((status, _)) = ending.rpc {
            attributes.text("rpc.system.name", "grpc");
            attributes.text("rpc.method", self.action.name);
            attributes.text("rpc.response.status_code", status);
            attributes.text("audit.rpc.status_source", "trailers");
        }

        if ending.outcome != "success" {
            attributes.text("audit.response.code_details", "via_upstream");
        }
        if let Some((_, message)) = ending.rpc.filter(|(_, message)| !message.is_empty()) {
            attributes.text("error.message", message);
        }
    }
}
