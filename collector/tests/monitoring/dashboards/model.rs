//! A dashboard as Grafana imports it (schema version 39, Grafana 10.4).

use serde_json::{Value, json};

/// Columns of a row.
const COLUMNS: u64 = 24;
const HEIGHT: u64 = 8;
const STAT_HEIGHT: u64 = 4;

/// How a panel shows its values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Lines over time, three in a row.
    Lines,
    /// The last value, six in a row.
    Number,
    /// The last value, red when it is not 0.
    NumberOfFaults,
}

pub struct Panel {
    pub title: &'static str,
    pub description: &'static str,
    /// A unit of Grafana.
    pub unit: &'static str,
    pub kind: Kind,
    /// Query and legend. `{@}` stands for the labels that the variables select.
    pub queries: &'static [(&'static str, &'static str)],
}

pub struct Dashboard {
    pub uid: &'static str,
    pub title: &'static str,
    pub description: &'static str,
    /// A metric that each instance has.
    pub instances: &'static str,
    pub panels: &'static [Panel],
}

impl Dashboard {
    /// A query as Grafana gets it.
    pub fn expanded(&self, query: &str) -> String {
        query.replace('@', r#"namespace=~"$namespace",instance=~"$instance""#)
    }

    pub fn to_json(&self) -> Value {
        let (mut x, mut y, mut row_height) = (0, 0, 0);
        let panels = (1..).zip(self.panels).map(|(id, panel)| {
            let (width, height) = match panel.kind {
                Kind::Lines => (8, HEIGHT),
                Kind::Number | Kind::NumberOfFaults => (4, STAT_HEIGHT),
            };
            // Panels of one height share a row.
            if x + width > COLUMNS || (x > 0 && height != row_height) {
                (x, y) = (0, y + row_height);
            }
            let place = json!({"x": x, "y": y, "w": width, "h": height});
            (x, row_height) = (x + width, height);
            self.panel(id, panel, &place)
        });

        json!({
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["audit-filter"],
            "schemaVersion": 39,
            "version": 1,
            "editable": true,
            "graphTooltip": 1,
            "timezone": "browser",
            "time": {"from": "now-6h", "to": "now"},
            "refresh": "1m",
            "templating": {"list": self.variables()},
            "annotations": {"list": []},
            "links": [],
            "panels": panels.collect::<Vec<_>>(),
        })
    }

    fn variables(&self) -> [Value; 3] {
        let labels = |name: &str, query: String| {
            json!({
                "type": "query",
                "name": name,
                "label": name,
                "datasource": datasource(),
                "query": {"query": query, "refId": name},
                // When the range of time changes: pods come and go.
                "refresh": 2,
                "sort": 1,
                "multi": true,
                "includeAll": true,
                // Matches series without the label, too.
                "allValue": ".*",
                "current": {"text": ["All"], "value": ["$__all"]},
            })
        };
        let metric = self.instances;
        [
            json!({
                "type": "datasource",
                "name": "datasource",
                "label": "datasource",
                "query": "prometheus",
                "refresh": 1,
            }),
            labels("namespace", format!("label_values({metric}, namespace)")),
            labels(
                "instance",
                format!(r#"label_values({metric}{{namespace=~"$namespace"}}, instance)"#),
            ),
        ]
    }

    fn panel(&self, id: u64, panel: &Panel, place: &Value) -> Value {
        let targets = ('A'..)
            .zip(panel.queries)
            .map(|(reference, (query, legend))| {
                json!({
                    "refId": reference.to_string(),
                    "datasource": datasource(),
                    "expr": self.expanded(query),
                    "legendFormat": legend,
                    "range": panel.kind == Kind::Lines,
                    "instant": panel.kind != Kind::Lines,
                })
            });
        let (kind, options) = match panel.kind {
            Kind::Lines => (
                "timeseries",
                json!({
                    "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true},
                    "tooltip": {"mode": "multi", "sort": "desc"},
                }),
            ),
            Kind::Number | Kind::NumberOfFaults => (
                "stat",
                json!({
                    "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
                    "colorMode": "value",
                    "graphMode": "none",
                    "textMode": "auto",
                }),
            ),
        };

        json!({
            "id": id,
            "type": kind,
            "title": panel.title,
            "description": panel.description,
            "datasource": datasource(),
            "gridPos": place,
            "targets": targets.collect::<Vec<_>>(),
            "options": options,
            "fieldConfig": {"defaults": defaults(panel), "overrides": []},
        })
    }
}

fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "$datasource"})
}

fn defaults(panel: &Panel) -> Value {
    let mut steps = vec![json!({"color": "green", "value": null})];
    if panel.kind == Kind::NumberOfFaults {
        steps.push(json!({"color": "red", "value": 1}));
    }
    json!({
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
    })
}
