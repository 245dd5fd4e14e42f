//! The dashboards of `deploy/monitoring`, generated from tables of panels.

mod collector;
mod fleet;
mod model;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Command;

use serde_json::{Value, json};
use testkit::tools;

use crate::documents::{assert_generated, path, promtool};
use model::Dashboard;

fn all() -> [Dashboard; 2] {
    [fleet::dashboard(), collector::dashboard()]
}

/// Where each query is, and the query as Grafana sends it: with a range in the place of a variable.
pub fn queries() -> Vec<(String, String)> {
    let dashboards = all();
    let panels = dashboards
        .iter()
        .flat_map(|board| board.panels.iter().map(move |panel| (board, panel)));
    let queries = panels.flat_map(|(board, panel)| {
        let place = format!("{}: {}", board.uid, panel.title);
        let queries = panel.queries.iter();
        queries.map(move |(query, _)| {
            let query = board.expanded(query);
            let query = query
                .replace("$__rate_interval", "5m")
                .replace("$__range", "6h");
            (place.clone(), query)
        })
    });
    queries.collect()
}

#[test]
fn the_committed_dashboards_are_these() {
    for board in all() {
        let text = serde_json::to_string_pretty(&board.to_json()).unwrap() + "\n";
        assert_generated(&format!("dashboards/{}.json", board.uid), &text);
    }
}

#[test]
fn promtool_parses_each_query() {
    let queries = queries();
    assert!(queries.len() > 60, "{}", queries.len());
    let rules = queries
        .iter()
        .enumerate()
        .map(|(index, (_, query))| json!({"record": format!("query:{index}"), "expr": query}));
    let rules = json!({"groups": [{"name": "queries", "rules": rules.collect::<Vec<_>>()}]});
    let checked = promtool(&["check", "rules"], &rules);
    assert!(checked.is_ok(), "{}", checked.unwrap_err());
}

#[test]
fn each_panel_has_its_place_unit_and_description() {
    for board in all() {
        let json = board.to_json();
        let panels = json["panels"].as_array().unwrap();
        let mut cells = BTreeSet::new();
        for panel in panels {
            let place = &panel["gridPos"];
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| place[key].as_u64().unwrap());
            assert!(x + w <= 24, "{panel}");
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(cells.insert(cell), "two panels share {cell:?}: {panel}");
            }

            assert!(panel["description"].as_str().unwrap().len() > 20, "{panel}");
            assert!(
                panel["fieldConfig"]["defaults"]["unit"].is_string(),
                "{panel}"
            );
            assert_eq!(panel["datasource"]["uid"], "$datasource");
            let targets = panel["targets"].as_array().unwrap();
            let has_name = |target: &Value| target["legendFormat"] != "";
            assert!(
                !targets.is_empty() && targets.iter().all(has_name),
                "{panel}"
            );
        }

        let variables = json["templating"]["list"].as_array().unwrap().iter();
        let names: Vec<_> = variables.map(|variable| &variable["name"]).collect();
        assert_eq!(names, ["datasource", "namespace", "instance"]);
    }
}

/// Its types for programs: no Grafana can be started here.
#[test]
fn grafana_knows_each_field() {
    let script = Command::new(tools::root().join("collector/tests/analyse/get-tool.sh"))
        .arg("grafana")
        .output()
        .unwrap();
    if !script.status.success() {
        let error = String::from_utf8_lossy(&script.stderr);
        let last = error.lines().last().unwrap_or_default();
        // Not by a macro, since the output of a test that succeeds is not shown.
        let _ = writeln!(std::io::stderr(), "skipped: fields of dashboards ({last})");
        return;
    }

    let packages = String::from_utf8(script.stdout).unwrap();
    for board in all() {
        let file = path(&format!("dashboards/{}.json", board.uid));
        let output = Command::new("python3")
            .env("PYTHONPATH", packages.trim_end())
            .arg(tools::root().join("collector/tests/monitoring/dashboards/grafana.py"))
            .arg(file)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let unknown = String::from_utf8(output.stdout).unwrap();
        assert!(unknown.is_empty(), "{}: {unknown}", board.uid);
    }
}
