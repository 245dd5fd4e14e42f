//! `check-config`: details in which Envoy, Kubernetes and JSON differ, and manifests of others.

use std::process::Command;

use crate::check_config::{PLUGIN, assert_finds, check, configured, findings};

const STRUCT: &str = "'@type': type.googleapis.com/google.protobuf.Struct";
const STRING: &str = "'@type': type.googleapis.com/google.protobuf.StringValue";

/// Envoy's configuration with these keys in flow style beside the audit cluster.
fn of_envoy(keys: &str) -> String {
    configured(&format!(
        "{{{STRUCT}, value: {{audit_cluster: {{cluster: a}}, {keys}}}}}"
    ))
}

/// The exit code.
#[track_caller]
fn assert_ends(text: &str, code: i32) {
    let (ended, out) = check(text, &[]);
    assert_eq!(ended, Some(code), "{text}: {out}");
}

#[test]
fn envoy_merges_nothing() {
    let rules = "rules: [&b {name: a, match: {path: {exact: /a}}}, {<<: *b, name: b}]";
    assert_finds(&of_envoy(rules), 5, "error", "rules[1].<<: unknown key");
    assert_ends(&format!("audit_cluster: {{cluster: a}}\n{rules}\n"), 0);
}

#[test]
fn numbers_are_texts_where_envoy_makes_them_so() {
    for (keys, code) in [
        (
            "rules: [{name: a, tags: {account: 123456789012, zip: 08540, share: 1.5}}]",
            0,
        ),
        ("rules: [{name: a, tags: {count: 12}}]", 1),
        ("service: 1e2", 0),
        ("service: !!str 123", 1),
        ("service: ! 123", 0),
        ("batch: {max_records: 1e2}", 1),
    ] {
        assert_ends(&of_envoy(keys), code);
    }
}

#[test]
fn json_is_read_as_json() {
    let of_json = |keys: &str| {
        format!(
            r#"{{"typed_config": {{"@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm", "config": {{
"failure_policy": "FAIL_RELOAD", "configuration": {{"@type": "type.googleapis.com/google.protobuf.Struct",
"value": {{"audit_cluster": {{"cluster": "a"}}, {keys}}}}}}}}}}}"#
        )
    };
    for (keys, code) in [
        (r#""batch": {"max_records": 100.0}"#, 0),
        (r#""service": 1.5"#, 1),
        (r#""service": "\ud83d\ude00""#, 0),
    ] {
        assert_ends(&of_json(keys), code);
    }
}

#[test]
fn the_name_of_a_file_decides_between_json_and_yaml() {
    let json = r#"{"typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm", "config": {
"failure_policy": "FAIL_RELOAD", "configuration": {"@type": "type.googleapis.com/google.protobuf.Struct",
"value": {"audit_cluster": {"cluster": "a"}, "service": 1.5}}}}}"#;
    let folder = tempfile::tempdir().unwrap();
    let ends = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_audit-collector"));
        program
            .arg("check-config")
            .arg(&file)
            .output()
            .unwrap()
            .status
            .code()
    };
    assert_eq!(ends("a.json", json), Some(1), "a number is no service");
    assert_eq!(
        ends("a.yaml", json),
        Some(0),
        "Envoy's YAML has a text there"
    );
    assert_eq!(
        ends("b.json", "{audit_cluster: {cluster: audit}}"),
        Some(2),
        "YAML is not JSON"
    );
}

#[test]
fn a_repeated_key_of_json_has_its_line_and_leaves_the_others_theirs() {
    let json = r#"{
  "audit_cluster": {"cluster": "a"},
  "service": "a",
  "service": "b",
  "foo": 1
}"#;
    assert_finds(json, 5, "error", "foo: unknown key");
    let block = format!(
        "\n      {STRING}\n      value: |\n        {}",
        json.replace('\n', "\n        ")
    );
    assert_finds(&configured(&block), 12, "error", "foo: unknown key");
}

#[test]
fn the_filter_is_known_by_its_module_and_by_keys_that_are_misspelled() {
    let module = "vm_config: {code: {local: {filename: /etc/envoy/audit_filter.wasm}}}";
    let with_module = |configuration: &str| {
        configured(configuration).replacen(
            "    failure_policy",
            &format!("    {module}\n    failure_policy"),
            1,
        )
    };
    assert_finds(
        &with_module(&format!("{{{STRUCT}, value: {{rules: []}}}}")),
        6,
        "error",
        "audit_cluster: is required",
    );
    assert_finds(
        &with_module(&format!(
            "\n      {STRING}\n      value: |\n        audit_cluster: {{cluster: a}}"
        )),
        9,
        "error",
        "configuration: is neither JSON",
    );
    let none = with_module("x").replace("    configuration: x\n", "");
    assert_finds(&none, 4, "error", "audit_cluster: is required");
    assert_finds(
        &of_envoy("").replace("audit_cluster", "auditCluster"),
        5,
        "error",
        "auditCluster: unknown key",
    );
}

#[test]
fn another_plugin_with_one_key_of_the_same_name_is_passed_over() {
    let other = "kind: WasmPlugin\nspec: {url: oci://x/oidc:1, pluginConfig: {session: {cookie_name: sid}, issuer: x}}\n";
    assert_ends(other, 2);
    assert_ends(&format!("{other}---\n{PLUGIN}"), 0);
}

#[test]
fn the_lean_module_refuses_what_needs_the_other() {
    let module = "vm_config: {code: {local: {filename: /x/audit_filter_lean.wasm}}}";
    let text = of_envoy("").replacen(
        "    failure_policy",
        &format!("    {module}\n    failure_policy"),
        1,
    );
    assert_finds(
        &text,
        6,
        "error",
        "rules[0] (check): identity from response_json needs audit_filter.wasm",
    );
}

#[test]
fn a_value_that_only_the_proxy_has_is_no_error() {
    let trust = "    trust: {uri_sans: [spiffe://cluster.local/ns/edge/sa/gateway]}\n";
    for line in [
        "    trust: {uri_sans: [spiffe://mesh/], cidrs: ['${TOKEN}']}\n",
        "    trust: {uri_sans: [spiffe://mesh/]}\n    batch: {max_records: '${TOKEN}'}\n",
    ] {
        let found = findings(&PLUGIN.replacen(trust, line, 1));
        assert!(found.len() == 1 && found[0].1 == "warning", "{found:#?}");
        let end = "only the running proxy has the value of TOKEN";
        assert!(found[0].2.ends_with(end), "{found:#?}");
    }
    let keys = "    session: {hmac_keys: [{id: '${TOKEN}', key: '${TOKEN}'}]}\n";
    assert_ends(&PLUGIN.replacen(trust, keys, 1), 0);
}

#[test]
fn what_no_value_of_a_variable_mends_is_an_error() {
    for (keys, start) in [
        ("servcie: '${SVC}'", "servcie: unknown key"),
        ("enabled: '${SVC}'", "enabled: must be true or false"),
        ("service: '${A} ${'", "service: has a \"${\" without"),
    ] {
        let text = format!("audit_cluster: {{cluster: audit}}\n{keys}\n");
        assert_finds(&text, 2, "error", start);
    }
    let gone = PLUGIN.replacen(
        "    rules:",
        "    service: '${TOKEN}-${GONE}'\n    rules:",
        1,
    );
    assert_finds(
        &gone,
        18,
        "error",
        "service: environment variable GONE is not set",
    );
}

#[test]
fn the_rest_of_a_configuration_with_an_unknown_value_is_judged() {
    let text =
        "audit_cluster: {cluster: audit}\nbatch: {max_records: '${N}'}\nrules: [{name: r}]\n";
    let (code, out) = check(text, &["--request", "GET /x"]);
    assert!(code == Some(0) && out.contains("r: decides"), "{out}");
    let two = "audit_cluster: {cluster: audit}\ntracking: {track_header: '${A}', context_header: '${B}'}
rules: [{name: '${C}', match: {path: {prefix: '/${A}/'}}}, {name: '${D}', match: {path: {prefix: '/${B}/'}}}]\n";
    assert_eq!(
        check(two, &[]),
        (Some(0), "0 errors, 0 warnings\n".to_owned())
    );
}

#[test]
fn a_plugin_of_istio_with_a_text_is_refused() {
    let text = "kind: WasmPlugin\nspec:\n  url: oci://x/y\n  pluginConfig: |\n    {\"audit_cluster\": {\"cluster\": \"a\"}}\n";
    assert_finds(text, 5, "error", "configuration: must be an object");
}

#[test]
fn fields_that_envoy_does_not_have_are_named() {
    let misspelled = of_envoy("").replacen("failure_policy", "failure_polcy", 1);
    assert_finds(
        &misspelled,
        4,
        "warning",
        "failure_polcy: Envoy 1.40 has no such field",
    );
    let merge = of_envoy("").replacen(
        "    failure_policy",
        "    <<: {root_id: a}\n    failure_policy",
        1,
    );
    assert_finds(&merge, 4, "warning", "<<: Envoy 1.40 has no such field");
    let unspecified = of_envoy("").replacen("FAIL_RELOAD", "UNSPECIFIED\n    fail_open: true", 1);
    assert_ends(&unspecified, 0);
}

#[test]
fn lean_is_a_word_of_the_last_part_of_an_address() {
    let text = PLUGIN.replacen(
        "oci://registry.example/audit-filter:1",
        "oci://clean.example/lean/audit-filter:cleanup",
        1,
    );
    let default = text.split("    rules:").next().unwrap();
    assert_ends(default, 0);
    assert_ends(&default.replacen(":cleanup", ":1-lean", 1), 1);
}

#[test]
fn variables_of_istio_are_read_by_their_source() {
    for (entry, line, severity, start) in [
        (
            "{name: TOKEN}",
            17,
            "warning",
            "audit_cluster.headers.authorization",
        ),
        (
            "{name: TOKEN, value: short, valueFrom: HOST}",
            12,
            "error",
            "vmConfig.env: value and",
        ),
        (
            "{name: TOKEN, value: 1234}",
            12,
            "error",
            "vmConfig.env: value must be a text",
        ),
        (
            "{name: TOKEN, valueFrom: SECRET}",
            12,
            "error",
            "vmConfig.env: valueFrom must be",
        ),
        ("{value: x}", 12, "error", "vmConfig.env: needs a name"),
    ] {
        let text = PLUGIN
            .replacen("{name: TOKEN, valueFrom: HOST}", entry, 1)
            .replacen(
                "      headers: {authorization: 'Bearer ${TOKEN}'}\n",
                "      headers:\n        authorization: 'Bearer x${TOKEN}'\n",
                1,
            );
        assert_finds(&text, line, severity, start);
    }
}

#[test]
fn fields_that_the_platform_refuses_are_errors() {
    let policy = |policy: &str| of_envoy("").replace("FAIL_RELOAD", policy);
    assert_finds(
        &policy("FAIL_RELAOD"),
        4,
        "error",
        "failure_policy: FAIL_RELAOD is unknown",
    );
    let both = policy("FAIL_RELOAD\n    fail_open: true");
    assert_finds(
        &both,
        4,
        "error",
        "failure_policy: fail_open stands beside it",
    );
    let third = configured(&format!(
        "{{{STRUCT}, other: 1, value: {{audit_cluster: {{cluster: a}}}}}}"
    ));
    assert_finds(&third, 5, "error", "configuration.other: stands beside");
    let variables = "vm_config: {environment_variables: {key_values: {X: a}, host_env_keys: [X]}}";
    let twice = of_envoy("").replacen(
        "    failure_policy",
        &format!("    {variables}\n    failure_policy"),
        1,
    );
    assert_finds(
        &twice,
        4,
        "error",
        "environment_variables: X stands in both lists",
    );
    assert_finds(
        &PLUGIN.replace("FAIL_RELOAD", "FAIL_RELOADED"),
        8,
        "error",
        "failStrategy: FAIL_RELOADED is unknown",
    );
}

#[test]
fn gateways_of_istio_are_known_by_their_labels() {
    let selector = "  selector: {matchLabels: {istio: ingressgateway}}\n";
    let without = PLUGIN
        .replacen("  match: [{mode: SERVER}]\n", selector, 1)
        .replacen(
            "    trust: {uri_sans: [spiffe://cluster.local/ns/edge/sa/gateway]}\n",
            "",
            1,
        );
    assert_eq!(check(&without, &[]).1, "0 errors, 0 warnings\n");
    for label in [
        "istio: ingress",
        "app: istio-ingress",
        "gateway.networking.k8s.io/gateway-name: edge",
    ] {
        let other = without.replacen("istio: ingressgateway", label, 1);
        assert_eq!(check(&other, &[]).1, "0 errors, 0 warnings\n", "{label}");
    }
    let application = PLUGIN.replacen(
        "  match",
        "  selector: {matchLabels: {app: api-gateway}}\n  match",
        1,
    );
    assert_eq!(check(&application, &[]).1, "0 errors, 0 warnings\n");
    let server = PLUGIN.replacen("  match", &format!("{selector}  match"), 1);
    assert_finds(
        &server,
        6,
        "warning",
        "match: a gateway has no listeners of mode SERVER",
    );
}

#[test]
fn the_name_of_an_istio_cluster_has_four_parts() {
    for cluster in [
        "outbound|4318|collector.audit.svc.cluster.local",
        "outbound|x||c",
        "outbound|4318||",
    ] {
        let text = PLUGIN.replacen(
            "outbound|4318||collector.audit.svc.cluster.local",
            cluster,
            1,
        );
        assert_finds(
            &text,
            15,
            "warning",
            "audit_cluster.cluster: Istio's proxies call",
        );
    }
}

#[test]
fn lists_of_each_kind_are_read() {
    let list = format!(
        "kind: WasmPluginList\nitems:\n-{}",
        PLUGIN.replace('\n', "\n  ").replacen("\n ", "", 1)
    );
    assert_ends(&list, 0);
}

#[test]
fn several_gateways_need_no_hop_beside_them_and_hops_must_read_the_same_header() {
    let gateway = "audit_cluster: {cluster: a}\nrules: [{name: edge, set_tracking: {operation: x}}, {name: all}]\n";
    let is_warned = |others: &str| {
        let found = findings(&format!("{gateway}---\n{others}"));
        found
            .iter()
            .any(|(_, _, message)| message.starts_with("set_tracking: no other"))
    };
    assert!(!is_warned(gateway));
    let hop = |keys: &str| {
        format!(
            "audit_cluster: {{cluster: a}}\n{keys}\nrules: [{{name: hop, match: {{tracked: true}}}}]\n"
        )
    };
    assert!(!is_warned(&hop("service: a")));
    assert!(is_warned(&hop("tracking: {track_header: x-my-track}")));
    assert!(is_warned(&hop("trust: {cidrs: []}")));
    let recording = gateway.replace("operation: x}", "operation: x}, level: metadata");
    assert!(
        !findings(&format!("{recording}---\n{}", hop("trust: {cidrs: []}")))
            .iter()
            .any(|(_, _, message)| message.starts_with("set_tracking: no other"))
    );
}

#[test]
fn the_loop_lint_knows_host_and_headers_of_a_batch() {
    for condition in [
        "hosts: [audit]",
        "headers: [{name: content-type, prefix: application/}]",
        "headers: [{name: user-agent, prefix: audit-filter/}]",
    ] {
        let text = format!(
            "audit_cluster: {{cluster: audit}}\nrules: [{{name: r, match: {{{condition}}}}}]\n"
        );
        let found = findings(&text);
        assert!(
            found
                .iter()
                .any(|(_, _, message)| message.contains("record the filter's own batches")),
            "{condition}: {found:#?}"
        );
    }
}
