//! The control headers that reached the upstream.

use std::net::SocketAddr;

use serde_json::Value;
use testkit::client::{CallOptions, http_request};

use super::requests::{SPOOFED, TRACKED_DENIED, TRACKED_OK};
use super::table::aligned;
use super::{Failure, get_json};

const TRACK: &str = "x-session-track";
const OPERATION: &str = "x-session-operation";
const CONTEXT: &str = "x-session-context";

/// One request at the upstream.
#[derive(Debug)]
pub(super) struct Arrived {
    path: String,
    // Invariant: names out of the three control headers only.
    control: Vec<String>,
}

/// Clears the upstream's list of requests.
pub(super) async fn clear(upstream: SocketAddr) -> Result<(), Failure> {
    let cleared = http_request(
        upstream,
        "DELETE",
        "/_seen",
        [],
        "",
        &CallOptions::default(),
    )
    .await;

    cleared
        .map(drop)
        .map_err(|error| format!("the upstream cannot be reached: {error}"))
}

/// Every request since [`clear`], in order of arrival.
pub(super) async fn fetch(upstream: SocketAddr) -> Result<Vec<Arrived>, Failure> {
    let json = get_json("upstream", upstream, "/_seen").await?;
    let entries = json
        .get("seen")
        .and_then(Value::as_array)
        .ok_or("the upstream's /_seen has no list")?;
    Ok(entries.iter().map(arrived).collect())
}

/// One line per request.
pub(super) fn table(seen: &[Arrived]) -> String {
    let mark = |arrived: &Arrived, name| if arrived.has(name) { "arrived" } else { "-" }.to_owned();
    let row = |arrived: &Arrived| {
        [
            arrived.path.clone(),
            mark(arrived, TRACK),
            mark(arrived, OPERATION),
            mark(arrived, CONTEXT),
        ]
    };

    aligned(
        ["path", TRACK, OPERATION, CONTEXT],
        &seen.iter().map(row).collect::<Vec<_>>(),
    )
}

/// Track and operation must never arrive; the context arrives from a trusted caller only.
pub(super) fn check(seen: &[Arrived]) -> Result<(), Failure> {
    for arrived in seen {
        if let Some(leaked) = [TRACK, OPERATION]
            .into_iter()
            .find(|name| arrived.has(name))
        {
            return Err(format!("{leaked} of {} reached the upstream", arrived.path));
        }
    }

    for (path, expected) in [(TRACKED_OK, true), (TRACKED_DENIED, true), (SPOOFED, false)] {
        let arrived = seen.iter().find(|arrived| arrived.path == path);
        let arrived = arrived.ok_or_else(|| format!("{path} did not reach the upstream"))?;
        if arrived.has(CONTEXT) != expected {
            let problem = if expected {
                "did not reach"
            } else {
                "is spoofed and reached"
            };
            return Err(format!("{CONTEXT} of {path} {problem} the upstream"));
        }
    }

    Ok(())
}

impl Arrived {
    fn has(&self, name: &str) -> bool {
        self.control.iter().any(|found| found == name)
    }
}

fn arrived(entry: &Value) -> Arrived {
    let names = entry
        .get("headers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let names = names.filter_map(|field| field.get(0)?.as_str());

    Arrived {
        path: entry
            .get("path")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        control: names
            .filter(|name| [TRACK, OPERATION, CONTEXT].contains(name))
            .map(str::to_owned)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(control: &[&str], spoofed: &[&str]) -> Vec<Arrived> {
        [
            (TRACKED_OK, control),
            (TRACKED_DENIED, control),
            (SPOOFED, spoofed),
        ]
        .map(|(path, names)| Arrived {
            path: path.to_owned(),
            control: names.iter().map(|name| (*name).to_owned()).collect(),
        })
        .into()
    }

    #[test]
    fn leaks_and_losses_of_control_headers_are_found() {
        assert_eq!(check(&all(&[CONTEXT], &[])), Ok(()));
        assert!(
            check(&all(&[CONTEXT, TRACK], &[]))
                .unwrap_err()
                .contains("x-session-track")
        );

        assert!(check(&all(&[], &[])).unwrap_err().contains("did not reach"));
        assert!(
            check(&all(&[CONTEXT], &[CONTEXT]))
                .unwrap_err()
                .contains("spoofed")
        );

        assert!(
            check(&[])
                .unwrap_err()
                .contains("did not reach the upstream")
        );
    }

    #[test]
    fn entries_of_seen_are_read() {
        let entry = serde_json::json!({"path": "/a", "headers": [["te", "x"], [CONTEXT, "y"]]});
        assert_eq!(
            table(&[arrived(&entry)]).lines().nth(1).unwrap(),
            "  /a    -                -                    arrived"
        );
    }
}
