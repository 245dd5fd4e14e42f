//! `GET /openapi.json`: the document matches the behaviour of the collector.

use serde_json::{Value, json};

use crate::common::{Collector, record_at};

/// A collector with data for every operation, and the document.
async fn with_something_of_everything() -> (Collector, Value) {
    let collector = Collector::start().await;
    let said = json!({
        "session.id": "s1", "user.id": "u1", "audit.rule": "check", "audit.sequence.number": 3, "audit.action": "login",
        "audit.session.context": r#"{"country":"DE"}"#,
    });

    let mut loss = record_at(
        "aud_3",
        5,
        &json!({
            "audit.sequence.number": 6, "audit.loss.first_number": 4, "audit.loss.last_number": 5,
        }),
    );
    loss["eventName"] = "audit.loss".into();

    let ended = json!({"session.id": "s2", "audit.session.event": "end"});
    collector
        .keep(&[
            record_at("aud_1", 9, &said),
            record_at("aud_2", 8, &ended),
            loss,
        ])
        .await;
    collector.keep(&[record_at("aud_1", 7, &said)]).await;

    let collector = collector.restart().await;
    let document = collector.get_ok("/openapi.json").await;
    (collector, document)
}

/// The operations of the document with their paths.
fn operations(document: &Value) -> Vec<(&str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .map(|(path, item)| (path.as_str(), &item["get"]))
        .collect()
}

/// A path ready for a request, with `{key}` replaced.
fn filled(path: &str) -> String {
    path.replace("{key}", "s1")
}

/// The same with the parameters that it requires.
fn question(path: &str) -> String {
    match path {
        "/api/search" => "/api/search?q=u".to_owned(),
        _ => filled(path),
    }
}

/// The same with another parameter.
fn question_with(path: &str, name: &str, value: &str) -> String {
    let question = if name == "q" {
        filled(path)
    } else {
        question(path)
    };
    let separator = if question.contains('?') { '&' } else { '?' };
    format!("{question}{separator}{name}={value}")
}

/// Forbids additional properties in each object with properties, unless its schema sets them.
fn closed(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.contains_key("properties") {
                object.entry("additionalProperties").or_insert(false.into());
            }
            object.values_mut().for_each(closed);
        }
        Value::Array(list) => list.iter_mut().for_each(closed),
        _ => {}
    }
}

/// Fails unless `answer` matches the schema of this response in the document.
fn assert_valid(document: &Value, response: &Value, media: &str, answer: &Value, what: &str) {
    let mut schema = response["content"][media]["schema"].clone();
    assert!(schema["$ref"].is_string(), "{what}: {response}");

    schema["components"] = document["components"].clone();
    closed(&mut schema["components"]["schemas"]);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator
        .iter_errors(answer)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}");
}

#[tokio::test]
async fn every_question_is_answered_as_described() {
    let (collector, document) = with_something_of_everything().await;
    let operations = operations(&document);
    assert_eq!(operations.len(), 9);

    for (path, operation) in operations {
        let answer = collector.get_ok(&question(path)).await;
        assert_valid(
            &document,
            &operation["responses"]["200"],
            "application/json",
            &answer,
            path,
        );

        assert!(
            !answer.to_string().contains("[]") || path != "/api/streams",
            "the answer must say something: {answer}"
        );
    }

    for path in [
        "/api/conflicts",
        "/api/search?q=u",
        "/api/sessions",
        "/api/usage",
    ] {
        let answer = collector.get_ok(path).await;
        assert!(
            !answer
                .as_object()
                .unwrap()
                .values()
                .any(|value| value == &json!([])),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn every_line_of_an_export_is_as_described() {
    let (collector, document) = with_something_of_everything().await;
    for path in ["/api/records", "/api/checkpoints"] {
        let text = collector.get(&format!("{path}?format=ndjson")).await.text();
        assert!(!text.is_empty(), "{path}");
        for line in text.lines() {
            let line = serde_json::from_str(line).unwrap();
            let response = &document["paths"][path]["get"]["responses"]["200"];
            assert_valid(&document, response, "application/x-ndjson", &line, path);
        }
    }
}

/// A cursor that an answer of this path could give.
fn cursor_of(path: &str) -> &'static str {
    match path {
        "/api/sessions" | "/api/streams" => "1-6161",
        "/api/retention" => "1",
        _ => "1-1",
    }
}

#[tokio::test]
async fn every_parameter_is_one_that_the_question_reads() {
    let (collector, document) = with_something_of_everything().await;

    for (path, operation) in operations(&document) {
        for parameter in operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| one["in"] == "query")
        {
            let (name, schema) = (parameter["name"].as_str().unwrap(), &parameter["schema"]);
            let values = match (&schema["enum"], schema["type"].as_str()) {
                (Value::Array(choices), _) => choices
                    .iter()
                    .map(|choice| choice.as_str().unwrap().to_owned())
                    .collect(),
                (_, Some("integer")) => vec![schema["minimum"].to_string()],
                (_, Some("boolean")) => vec![String::new(), "true".to_owned(), "false".to_owned()],
                _ if name == "cursor" => vec![cursor_of(path).to_owned()],
                _ => vec!["1h".to_owned()],
            };

            let needed = if name == "formulas" {
                "&format=csv"
            } else {
                ""
            };
            for value in values {
                let question = question_with(path, name, &value);
                let answer = collector.get(&format!("{question}{needed}")).await;
                assert_eq!(answer.status, 200, "{path} {name}={value}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn refusals_are_as_described() {
    let (collector, document) = with_something_of_everything().await;
    for (path, operation) in operations(&document) {
        let answer = collector.get(&format!("{}?nonsense=1", filled(path))).await;
        assert_eq!(answer.status, 400, "{path}");
        assert_valid(
            &document,
            &operation["responses"]["400"],
            "application/json",
            &answer.body,
            path,
        );
    }

    let answer = collector.get("/api/sessions/nobody").await;
    let response = &document["paths"]["/api/sessions/{key}"]["get"]["responses"]["404"];
    assert_valid(&document, response, "application/json", &answer.body, "404");

    collector.ledger.close().await.unwrap();
    for (path, operation) in operations(&document) {
        let answer = collector.get(&question(path)).await;
        assert_eq!(answer.status, 503, "{path}");
        assert_valid(
            &document,
            &operation["responses"]["503"],
            "application/json",
            &answer.body,
            path,
        );
    }
}

#[tokio::test]
async fn every_reference_leads_to_a_schema() {
    let (_, document) = with_something_of_everything().await;
    let text = document.to_string();
    let references = text
        .split("\"$ref\":\"#")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap());
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }

    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer");
}
