//! Parameters and answers of each route.

use utoipa::ToSchema;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, Ref, RefOr, Required, Response, ResponseBuilder, Schema};

use crate::http::api::parameters::{Kind, Parameter};
use crate::http::api::types::ExportedRecord;
use crate::http::api::{
    checkpoints, conflicts, records, retention, search, sessions, streams, timestamp, usage,
};
use crate::http::refusal::Error;
use crate::ledger::checkpoint::Line;

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";
const CSV: &str = "text/csv";
const PARQUET: &str = "application/vnd.apache.parquet";

/// Refusals that every route may return.
const REFUSALS: [(&str, &str); 4] = [
    (
        "400",
        "A parameter is unknown, is given twice, or has a value that it cannot have; the message names it.",
    ),
    (
        "401",
        "The collector asks for a token, and there was none or another one.",
    ),
    (
        "503",
        "The store is busy or not available; `retry-after` says when to ask again.",
    ),
    ("504", "The question took longer than `--query-timeout`."),
];

/// All operations with their path and method.
pub(super) fn all() -> Vec<(&'static str, HttpMethod, Operation)> {
    let operations = [
        (records::PATH, of_records()),
        (sessions::PATH, of_sessions()),
        (sessions::ONE, of_session()),
        (usage::PATH, of_usage()),
        (streams::PATH, of_streams()),
        (checkpoints::PATH, of_checkpoints()),
        (conflicts::PATH, of_conflicts()),
        (retention::PATH, of_retention()),
        (search::PATH, of_search()),
    ];

    operations
        .into_iter()
        .map(|(path, operation)| (path, HttpMethod::Get, operation.build()))
        .collect()
}

fn of_records() -> OperationBuilder {
    let answer = found::<records::Records>("A page, or an export")
        .content(NDJSON, content::<ExportedRecord>())
        .content(CSV, Content::new(Some(text(Type::String))))
        .content(PARQUET, Content::default());
    operation("Records by what they say", records::PARAMETERS, answer)
}

fn of_sessions() -> OperationBuilder {
    let answer = found::<sessions::Sessions>("A page");
    operation("Sessions", sessions::PARAMETERS, answer)
}

fn of_session() -> OperationBuilder {
    let answer = found::<sessions::Timeline>("The session");
    operation(
        "A session with its records",
        sessions::ONE_PARAMETERS,
        answer,
    )
    .parameter(key())
    .response("404", refusal("There is no such session."))
}

fn of_usage() -> OperationBuilder {
    let answer = found::<usage::UsageAnswer>("The usage");
    let summary = "Requests of a rule, over time and by user";
    operation(summary, usage::PARAMETERS, answer)
}

fn of_streams() -> OperationBuilder {
    let answer = found::<streams::StreamsAnswer>("What has arrived");
    operation("Completeness of the streams", streams::PARAMETERS, answer)
}

fn of_checkpoints() -> OperationBuilder {
    let answer =
        found::<checkpoints::Checkpoints>("The latest, or all").content(NDJSON, content::<Line>());
    operation("Signed heads of the chain", checkpoints::PARAMETERS, answer)
}

fn of_conflicts() -> OperationBuilder {
    let answer = found::<conflicts::Conflicts>("A page");
    let summary = "Contents that came with the uid of another record";
    operation(summary, conflicts::PARAMETERS, answer)
}

fn of_retention() -> OperationBuilder {
    let answer = found::<retention::Retention>("A page");
    operation("What retention has deleted", retention::PARAMETERS, answer)
}

fn of_search() -> OperationBuilder {
    let answer = found::<search::Search>("The suggestions");
    let summary = "Suggestions while a person, a session or an action is typed";
    operation(summary, search::PARAMETERS, answer)
}

fn operation(summary: &str, table: &[Parameter], answer: ResponseBuilder) -> OperationBuilder {
    let operation = OperationBuilder::new()
        .summary(Some(summary))
        .response("200", answer.build());
    let operation = table.iter().fold(operation, |operation, parameter| {
        operation.parameter(described(parameter))
    });

    REFUSALS
        .iter()
        .fold(operation, |operation, (status, description)| {
            operation.response(*status, refusal(description))
        })
}

fn found<T: ToSchema>(description: &str) -> ResponseBuilder {
    ResponseBuilder::new()
        .description(description)
        .content(JSON, content::<T>())
}

fn refusal(description: &str) -> Response {
    found::<Error>(description).build()
}

fn content<T: ToSchema>() -> Content {
    Content::new(Some(RefOr::<Schema>::Ref(Ref::from_schema_name(T::name()))))
}

fn described(parameter: &Parameter) -> ParameterBuilder {
    let (schema, form) = match parameter.kind {
        Kind::Text => (text(Type::String), String::new()),
        Kind::Time => (text(Type::String), format!(" Takes {}.", timestamp::FORM)),
        Kind::Number(least, i64::MAX) => (number(least), String::new()),
        Kind::Number(least, most) => (number(least).maximum(Some(most)), String::new()),
        Kind::Cursor => (text(Type::String), String::new()),
        Kind::Flag => (text(Type::Boolean), String::new()),
        Kind::Choice(choices) => (
            text(Type::String).enum_values(Some(choices.iter().copied())),
            String::new(),
        ),
    };

    ParameterBuilder::new()
        .name(parameter.name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(format!("{}{form}", parameter.description)))
        .schema(Some(schema.build()))
}

fn key() -> ParameterBuilder {
    ParameterBuilder::new()
        .name("key")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(
            "The session's id, else the reference of its token; percent-encoded.",
        ))
        .schema(Some(text(Type::String).build()))
}

fn text(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(kind)
}

fn number(least: i64) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(least))
}
