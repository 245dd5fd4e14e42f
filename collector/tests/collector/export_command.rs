//! `audit-collector export` in each format.

use std::process::{Output, Stdio};

use serde_json::json;
use tokio::task::spawn_blocking;

use crate::common::{Collector, record_at};
use crate::process::command;

async fn export(url: String, flags: &'static [&'static str]) -> Output {
    let export = move || {
        let mut export = command(&["export", "--database", &url]);
        export.args(flags).stdout(Stdio::piped()).output().unwrap()
    };
    spawn_blocking(export).await.unwrap()
}

/// More than one page.
async fn with_records() -> Collector {
    let collector = Collector::start().await;
    let records: Vec<_> = (0..1_200)
        .map(|number| {
            let attributes = json!({"user.id": "=1+1", "audit.sequence.number": number});
            record_at(&format!("aud_{number}"), 1_200 - number, &attributes)
        })
        .collect();
    collector.keep(&records).await;
    collector
}

#[tokio::test]
async fn the_command_prints_what_the_api_sends() {
    let collector = with_records().await;
    for (flags, query) in [
        (&[] as &[_], "format=ndjson"),
        (&["--format", "ndjson"], "format=ndjson"),
        (&["--format", "csv"], "format=csv"),
        (
            &["--format", "csv", "--raw-formulas"],
            "format=csv&formulas=raw",
        ),
        (&["--format", "parquet"], "format=parquet"),
        (&["--format", "ocsf"], "format=ocsf"),
        (&["--format", "ecs"], "format=ecs"),
    ] {
        let sent = collector
            .get(&format!("/api/records?after=0&{query}"))
            .await;
        let printed = export(collector.url(), flags).await;
        let errors = String::from_utf8_lossy(&printed.stderr);
        assert!(printed.status.success(), "{query}: {errors}");
        assert!(printed.stdout == sent.bytes, "{query}");
        assert!(sent.bytes.len() > 10_000, "{query}");
    }
}

#[tokio::test]
async fn a_flag_that_needs_another_format_is_refused() {
    let collector = Collector::start().await;
    let output = export(collector.url(), &["--raw-formulas"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "audit-collector: --raw-formulas needs --format csv\n"
    );
}

#[tokio::test]
async fn a_reader_that_closes_the_pipe_is_named() {
    let collector = with_records().await;
    let url = collector.url();
    let export = move || {
        let mut export = command(&["export", "--database", &url]);
        let mut child = export.stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        child.wait_with_output().unwrap()
    };
    let output = spawn_blocking(export).await.unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "audit-collector: cannot write to stdout: Broken pipe (os error 32)\n"
    );
}
