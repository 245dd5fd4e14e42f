//! The answer, in the encoding of the request: protobuf for protobuf, else JSON.

use crate::http::json::Json;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceResponse,
};
use prost::Message as _;
use serde_json::json;

use crate::http::refusal::{PROTOBUF, Refusal};
use crate::otlp::Format;

/// The encoding of the request, if its content type names one.
#[derive(Clone, Copy)]
pub(super) struct Encoded(Option<Format>);

impl Encoded {
    pub(super) fn of(format: Option<Format>) -> Self {
        Self(format)
    }

    /// Its name in metrics.
    pub(super) fn label(self) -> &'static str {
        match self.0 {
            Some(Format::Json) => "json",
            Some(Format::Protobuf) => "protobuf",
            Some(Format::Ndjson) => "ndjson",
            None => "other",
        }
    }

    /// `ExportLogsServiceResponse`: all is stored. For a warning, OTLP has a partial success
    /// without rejected records.
    pub(super) fn stored(self, warning: Option<String>) -> Response {
        if self.0 != Some(Format::Protobuf) {
            let partial = |message| json!({"partialSuccess": {"rejectedLogRecords": "0", "errorMessage": message}});
            return Json(warning.map_or_else(|| json!({}), partial)).into_response();
        }

        let partial = |error_message| ExportLogsPartialSuccess {
            rejected_log_records: 0,
            error_message,
        };
        let body = ExportLogsServiceResponse {
            partial_success: warning.map(partial),
        }
        .encode_to_vec();
        ([(header::CONTENT_TYPE, PROTOBUF)], body).into_response()
    }

    pub(super) fn refused(self, refusal: Refusal) -> Response {
        match self.0 {
            Some(Format::Protobuf) => refusal.into_protobuf_response(),
            _ => refusal.into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use serde_json::Value;

    use super::*;

    async fn body(response: Response) -> Vec<u8> {
        assert_eq!(response.status(), 200);
        to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap()
            .to_vec()
    }

    #[tokio::test]
    async fn a_warning_is_a_partial_success_without_rejected_records() {
        let warning = || Some("one uid twice".to_owned());
        for format in [Some(Format::Json), Some(Format::Ndjson), None] {
            let body: Value =
                serde_json::from_slice(&body(Encoded(format).stored(warning())).await).unwrap();
            let expected = json!({"rejectedLogRecords": "0", "errorMessage": "one uid twice"});
            assert_eq!(body, json!({"partialSuccess": expected}));
        }

        let body = body(Encoded(Some(Format::Protobuf)).stored(warning())).await;
        let partial = ExportLogsServiceResponse::decode(body.as_slice())
            .unwrap()
            .partial_success
            .unwrap();
        assert_eq!(
            (partial.rejected_log_records, partial.error_message.as_str()),
            (0, "one uid twice")
        );
    }
}
