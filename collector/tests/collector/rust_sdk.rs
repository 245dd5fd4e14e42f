//! The SDK of Rust as a sender. It gives no time of its own, only the observed one.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use axum::body::Bytes;
use axum::http::{Request, Response};
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    Compression, LogExporter, Protocol, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use serde_json::json;
use tempfile::TempDir;
use testkit::collector::{Client, post};

use crate::process::Program;

/// Sends requests without a runtime: the SDK exports on a thread of its own.
#[derive(Debug)]
struct Blocking(SocketAddr);

type Sent<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Blocking {
    fn send_bytes<'life, 'async_trait>(&'life self, request: Request<Bytes>) -> Sent<'async_trait>
    where
        'life: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let headers: Vec<_> = request
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .collect();
            let request = post(&headers.join("\r\n"), request.body());
            let answer = Client::connect(self.0)?.exchange(&request)?;
            let response = Response::builder().status(answer.status);
            Ok(response.body(answer.body.into())?)
        })
    }
}

fn send(program: &Program, protocol: Protocol, compression: Option<Compression>) {
    let exporter = LogExporter::builder()
        .with_http()
        .with_http_client(Blocking(program.address))
        .with_endpoint(format!("http://{}/v1/logs", program.address))
        .with_protocol(protocol);
    let exporter = match compression {
        Some(compression) => exporter.with_compression(compression),
        None => exporter,
    };
    let provider = SdkLoggerProvider::builder()
        .with_batch_exporter(exporter.build().unwrap())
        .build();

    let logger = provider.logger("sender");
    for _ in 0..25 {
        let mut record = logger.create_log_record();
        record.set_severity_number(Severity::Warn);
        record.set_body("login failed".into());
        record.add_attribute("user.id", "ann");
        record.add_attribute("attempt", i64::MAX);
        record.add_attribute("raw", AnyValue::Bytes(Box::new(vec![1, 2])));
        logger.emit(record);
    }
    provider.force_flush().unwrap();
    provider.shutdown().unwrap();
}

#[test]
fn all_records_of_rusts_sdk_are_kept_with_their_observed_time() {
    for (protocol, compression) in [
        (Protocol::HttpBinary, None),
        (Protocol::HttpBinary, Some(Compression::Gzip)),
        (Protocol::HttpJson, None),
        (Protocol::HttpJson, Some(Compression::Gzip)),
    ] {
        let directory = TempDir::new().unwrap();
        let program = Program::start(&directory, &[]);
        send(&program, protocol, compression);
        let records = program.records();
        assert_eq!(records.len(), 25, "{protocol:?}");
        for record in records {
            assert_eq!(record["time_unix_nano"], record["observed_time_unix_nano"]);
            assert_eq!(record["flags"], json!([]));
            assert_eq!(record["attempt"], json!(i64::MAX));
            assert_eq!(record["raw"], "AQI=", "{protocol:?}");
            assert_eq!(record["severity_number"], 13);
        }
    }
}
