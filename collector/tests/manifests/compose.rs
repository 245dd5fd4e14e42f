//! The compose file, which nothing here can run.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::configurations::findings;
use crate::documents::{root, values};

fn compose() -> Value {
    let text = std::fs::read_to_string(root().join("compose/compose.yaml")).unwrap();
    values(&text).unwrap().swap_remove(0)
}

fn texts(list: &Value) -> Vec<&str> {
    let items = list.as_array().into_iter().flatten();
    items.map(|item| item.as_str().unwrap()).collect()
}

#[test]
fn ports_are_published_on_the_loopback_address() {
    let compose = compose();
    let services = compose["services"].as_object().unwrap();

    let ports: Vec<&str> = services
        .values()
        .flat_map(|service| texts(&service["ports"]))
        .collect();
    assert_eq!(ports.len(), 2);
    assert!(
        ports.iter().all(|port| port.starts_with("127.0.0.1:")),
        "{ports:?}"
    );
}

#[test]
fn mounted_files_and_services_exist() {
    let compose = compose();
    let services = compose["services"].as_object().unwrap();
    for (name, service) in services {
        for volume in texts(&service["volumes"]) {
            let source = volume.split(':').next().unwrap();
            // The module, which a release has beside deploy/.
            let is_given = source.starts_with("${AUDIT_FILTER");
            let file = root().join("compose").join(source);
            assert!(is_given || file.is_file(), "{name}: {volume}");
        }
        for other in texts(&service["depends_on"]) {
            assert!(services.contains_key(other), "{name}: {other}");
        }
    }

    let envoy = std::fs::read_to_string(root().join("compose/envoy.yaml")).unwrap();
    for (service, port) in [("shop", 8080), ("collector", 4318)] {
        assert!(services.contains_key(service));
        assert!(envoy.contains(&format!("address: {service}, port_value: {port}")));
    }
}

#[test]
fn the_collector_knows_its_arguments_and_writes_where_it_may() {
    let compose = compose();
    let collector = &compose["services"]["collector"];
    let status = Command::new(env!("CARGO_BIN_EXE_audit-collector"))
        .args(texts(&collector["command"]))
        .arg("--help")
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success());

    assert_eq!(
        texts(&collector["tmpfs"]),
        ["/data:uid=65532,gid=65532,mode=0700"]
    );
    assert_eq!(collector["read_only"], true);
}

#[test]
fn check_config_has_nothing_against_its_envoy() {
    let text = std::fs::read_to_string(root().join("compose/envoy.yaml")).unwrap();
    assert_eq!(findings(&text), []);
}
