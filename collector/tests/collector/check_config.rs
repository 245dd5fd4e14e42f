//! `check-config`: findings for configurations in each form, with line numbers and exit codes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Exit code and standard output.
pub(crate) type Ended = (Option<i32>, String);

pub(crate) fn check(input: &str, arguments: &[&str]) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_audit-collector"))
        .args(["check-config", "-"])
        .args(arguments)
        .env_remove("TOKEN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();

    // The program stops reading when the input is too long.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

/// The findings: line, severity and message.
pub(crate) fn findings(input: &str) -> Vec<(u64, String, String)> {
    let (_, out) = check(input, &["--format", "json"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let lines = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());

    lines
        .map(|one| {
            (
                one["line"].as_u64().unwrap_or(0),
                text(&one["severity"]),
                text(&one["message"]),
            )
        })
        .collect()
}

#[track_caller]
pub(crate) fn assert_finds(input: &str, line: u64, severity: &str, start: &str) {
    let found = findings(input);
    let is_it = |(at, of, message): &(u64, String, String)| {
        *at == line && of == severity && message.starts_with(start)
    };
    assert!(
        found.iter().any(is_it),
        "{line} {severity} {start}: {found:#?}"
    );
}

fn shipped() -> Vec<PathBuf> {
    let envoy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy");
    let examples = std::fs::read_dir(envoy.join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let yaml = examples.filter(|path| path.extension().is_some_and(|end| end == "yaml"));
    yaml.chain([envoy.join("envoy.yaml")]).collect()
}

pub(crate) const PLUGIN: &str = "
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: audit}
spec:
  url: oci://registry.example/audit-filter:1
  phase: AUTHN
  failStrategy: FAIL_RELOAD
  match: [{mode: SERVER}]
  vmConfig:
    env:
    - {name: TOKEN, valueFrom: HOST}
  pluginConfig:
    audit_cluster:
      cluster: outbound|4318||collector.audit.svc.cluster.local
      headers: {authorization: 'Bearer ${TOKEN}'}
    trust: {uri_sans: [spiffe://cluster.local/ns/edge/sa/gateway]}
    rules:
    - name: login
      match: {path: {exact: /login}}
";

const POLICY: &str = "
kind: EnvoyExtensionPolicy
metadata: {name: audit}
spec:
  wasm:
  - name: filter
    env: {hostKeys: [TOKEN]}
    config:
      audit_cluster: {cluster: audit, headers: {authorization: 'Bearer ${TOKEN}'}}
";

#[test]
fn what_is_shipped_is_accepted() {
    for file in shipped() {
        let output = Command::new(env!("CARGO_BIN_EXE_audit-collector"))
            .arg("check-config")
            .arg(&file)
            .output()
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}: {}",
            file.display(),
            String::from_utf8_lossy(&output.stdout)
        );
    }
}

#[test]
fn each_form_is_read() {
    let plain = "audit_cluster: {cluster: audit}\n";
    let json = r#"{"audit_cluster": {"cluster": "audit"}}"#;
    let extension = PLUGIN.replace("WasmPlugin", "TrafficExtension");
    let (head, spec) = extension.split_once("spec:\n").unwrap();
    let extension = format!(
        "{head}spec:\n  match: [{{mode: SERVER}}]\n  phase: AUTHN\n  wasm:\n{}",
        spec.replace("\n  ", "\n    ")
            .replacen("  url", "    url", 1)
    );

    let filter = "
configPatches:
- patch:
    value:
      name: audit
      typed_config:
        '@type': type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
        config:
          name: audit
          failure_policy: FAIL_RELOAD
          configuration:
            '@type': type.googleapis.com/google.protobuf.StringValue
            value: '{\"audit_cluster\": {\"cluster\": \"audit\"}}'
";

    for text in [
        plain,
        json,
        PLUGIN,
        POLICY,
        &extension,
        filter,
        &format!("{PLUGIN}---\nkind: Service\n---\n{POLICY}"),
    ] {
        let (code, out) = check(text, &[]);
        assert_eq!(
            (code, out.as_str()),
            (Some(0), "0 errors, 0 warnings\n"),
            "{text}"
        );
    }

    let list = format!(
        "kind: List\nitems:\n-{}",
        PLUGIN.replace('\n', "\n  ").replacen("\n ", "", 1)
    );
    assert_eq!(check(&list, &[]).0, Some(0), "{list}");
}

/// An Envoy filter with these lines as its `config`.
fn of_envoy(typed_config: &str) -> String {
    format!("http_filters:\n- name: audit\n  typed_config: {{{typed_config}}}\n")
}

#[test]
fn every_spelling_that_envoy_takes_is_read() {
    const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
    const STRUCT: &str = "'@type': type.googleapis.com/google.protobuf.Struct";

    let configuration = "audit_cluster: {cluster: a, headers: {x: '${A}${B}'}}";
    let camel = format!(
        "failurePolicy: FAIL_RELOAD, vmConfig: {{environmentVariables: {{keyValues: {{A: b}}, hostEnvKeys: [B]}}}}, \
         configuration: {{{STRUCT}, value: {{{configuration}}}}}"
    );
    let snake = camel
        .replace("failurePolicy", "failure_policy")
        .replace("vmConfig", "vm_config")
        .replace("environmentVariables", "environment_variables")
        .replace("keyValues", "key_values")
        .replace("hostEnvKeys", "host_env_keys");

    for config in [camel, snake] {
        for typed_config in [
            format!("'@type': {WASM}, config: {{{config}}}"),
            format!(
                "'@type': type.googleapis.com/udpa.type.v1.TypedStruct, type_url: {WASM}, value: {{config: {{{config}}}}}"
            ),
        ] {
            let text = of_envoy(&typed_config);
            assert_eq!(
                check(&text, &[]),
                (Some(0), "0 errors, 0 warnings\n".to_owned()),
                "{text}"
            );
        }
    }

    for open in [
        "fail_open: true",
        "failOpen: true",
        "failurePolicy: FAIL_OPEN",
        "failure_policy: FAIL_OPEN",
    ] {
        let config = format!(
            "{open}, configuration: {{{STRUCT}, value: {{audit_cluster: {{cluster: a}}}}}}"
        );
        let text = of_envoy(&format!("'@type': {WASM}, config: {{{config}}}"));
        let found = findings(&text);
        assert!(
            found.len() == 1 && found[0].2.contains("lets requests pass unaudited"),
            "{open}: {found:#?}"
        );
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_text() {
    let bom = '\u{feff}';
    for text in [
        "audit_cluster: {cluster: a}\n",
        r#"{"audit_cluster": {"cluster": "a"}}"#,
    ] {
        assert_eq!(check(&format!("{bom}{text}"), &[]).0, Some(0), "{text}");
    }
}

#[test]
fn plugins_of_others_are_passed_over_and_ones_own_are_not() {
    let of_others = [
        "{url: oci://x/other}",
        "{url: oci://x/waf, pluginConfig: {rules: [SecRule], default: deny}}",
    ];

    for spec in of_others {
        let found = findings(&format!("kind: WasmPlugin\nspec: {spec}\n"));
        assert!(
            found.len() == 1 && found[0].2.starts_with("no configuration of the filter"),
            "{found:#?}"
        );
    }

    for spec in [
        "{url: oci://x/audit-filter:1}",
        "{url: oci://x/audit-filter:1, pluginConfig: {rulez: []}}",
        "{url: oci://x/y, pluginConfig: {trust: {}, audit_clusterr: {cluster: q}}}",
    ] {
        let text = format!("kind: WasmPlugin\nspec: {spec}\n");
        assert_finds(&text, 2, "error", "audit_cluster: is required");
    }

    let policy =
        "kind: EnvoyExtensionPolicy\nspec: {wasm: [{code: {image: {url: x/audit-filter:1}}}]}\n";
    assert_finds(policy, 2, "error", "audit_cluster: is required");
}

#[test]
fn one_finding_is_one_line() {
    for text in [
        "audit_cluster: {cluster: a}\n\"b\\nc\": 1\n",
        "kind: \"X\\nY\"\n",
    ] {
        let (_, out) = check(text, &[]);
        assert_eq!(out.lines().count(), 2, "{out}");
    }
}

/// Checks the findings of [`PLUGIN`] after one replacement, and the exit code.
#[track_caller]
fn assert_plugin_with(
    (from, to): (&str, &str),
    line: u64,
    (severity, code): (&str, i32),
    start: &str,
) {
    let text = PLUGIN.replacen(from, to, 1);
    assert_finds(&text, line, severity, start);
    assert_eq!(check(&text, &[]).0, Some(code), "{start}");
}

#[test]
fn problems_have_their_path_and_line() {
    for (from, to, line, problem) in [
        (
            "exact: /login",
            "exact: login",
            20,
            "rules[0].match.path.exact: must start with",
        ),
        (
            "- name: login",
            "- nam: login",
            19,
            "rules[0].nam: unknown key",
        ),
        (
            "    rules:\n",
            "    enabled: maybe\n    rules:\n",
            18,
            "enabled: must be true or false",
        ),
        (
            "${TOKEN}",
            "${OTHER}",
            16,
            "audit_cluster.headers.authorization: environment variable OTHER is not set",
        ),
        (
            "cluster: outbound",
            "clustr: outbound",
            15,
            "audit_cluster.clustr: unknown key",
        ),
        (
            "[spiffe://cluster.local/ns/edge/sa/gateway]",
            "[gateway]",
            17,
            "trust.uri_sans[0]: must be the start",
        ),
    ] {
        assert_plugin_with((from, to), line, ("error", 1), problem);
    }
}

#[test]
fn traps_of_a_platform_are_warnings() {
    for (from, to, line, warning) in [
        ("FAIL_RELOAD", "FAIL_OPEN", 8, "failStrategy: FAIL_OPEN"),
        (
            "  failStrategy: FAIL_RELOAD\n",
            "",
            6,
            "failStrategy: without FAIL_RELOAD",
        ),
        ("  match: [{mode: SERVER}]\n", "", 6, "match: without mode"),
        (
            "[{mode: SERVER}]",
            "[{mode: CLIENT_AND_SERVER}]",
            6,
            "match: without mode",
        ),
        ("  phase: AUTHN\n", "", 6, "phase: without AUTHN"),
        (
            "phase: AUTHN",
            "phase: UNSPECIFIED_PHASE",
            6,
            "phase: without AUTHN",
        ),
        ("phase: AUTHN", "phase: STATS", 6, "phase: without AUTHN"),
        (
            "outbound|4318||collector.audit.svc.cluster.local",
            "audit",
            15,
            "audit_cluster.cluster: Istio's proxies",
        ),
        (
            "    trust: {uri_sans: [spiffe://cluster.local/ns/edge/sa/gateway]}\n",
            "",
            14,
            "trust: behind a gateway",
        ),
        (
            "  match: [{mode: SERVER}]\n",
            "  targetRefs: [{kind: Service, name: w}]\n",
            17,
            "trust: a waypoint",
        ),
    ] {
        assert_plugin_with((from, to), line, ("warning", 0), warning);
    }

    let open = POLICY.replace("    env:", "    failOpen: true\n    env:");
    assert_finds(&open, 7, "warning", "failOpen: true");

    let istio = POLICY.replace("cluster: audit,", "cluster: 'outbound|1||c',");
    assert_finds(
        &istio,
        9,
        "warning",
        "audit_cluster.cluster: this is a name of Istio",
    );
}

#[test]
fn a_gateways_tracking_is_recorded_by_another_hop() {
    let gateway = "audit_cluster: {cluster: a}\nrules:\n- name: edge\n  set_tracking: {operation: x}\n- {name: all}\n";
    let hop =
        |rule: &str| format!("audit_cluster: {{cluster: a}}\nrules: [{{name: hop, {rule}}}]\n");
    let warned = |other: &str| {
        let found = findings(&format!("{gateway}---\n{other}"));
        let is_it = |(line, _, message): &(u64, String, String)| {
            *line == 4 && message.starts_with("set_tracking: no other")
        };
        found.iter().any(is_it)
    };

    assert!(
        !findings(gateway)
            .iter()
            .any(|(_, _, message)| message.contains("no other"))
    );

    for (other, is_warned) in [
        (hop("match: {tracked: true}"), false),
        (hop("action: x"), false),
        (hop("match: {tracked: false}"), true),
        (hop("level: none"), true),
        (
            format!("enabled: false\n{}", hop("match: {tracked: true}")),
            true,
        ),
    ] {
        assert_eq!(warned(&other), is_warned, "{other}");
    }
}

#[test]
fn what_cannot_be_checked_is_one_line_and_exit_code_2() {
    let anchors: String = (1..12)
        .map(|level| {
            format!(
                "a{level}: &a{level} [{}]\n",
                vec![format!("*a{}", level - 1); 9].join(",")
            )
        })
        .collect();
    let bombs = format!("a0: &a0 [1,1,1]\n{anchors}");

    let small: String = anchors
        .lines()
        .take(4)
        .map(|line| format!("{line}\n"))
        .collect();
    let many_bombs = format!("---\na0: &a0 [1,1,1]\n{small}").repeat(100);

    for (text, start) in [
        ("", "no configuration of the filter"),
        (
            "kind: ConfigMap\n---\nkind: Service\n",
            "no configuration of the filter (it has: ConfigMap, Service)",
        ),
        ("a: [1, 2", "while parsing a flow sequence"),
        (
            "audit_cluster: {cluster: a}\naudit_cluster: {cluster: b}\n",
            "the key audit_cluster stands twice",
        ),
        (&bombs, "has more than 1000000 values"),
        (&many_bombs, "has more than 1000000 values"),
        ("? [a, b]\n: 1\n", "a key must be a text"),
        (&"- ".repeat(10_000), "is nested deeper than 64"),
        (&"x".repeat(17 << 20), "has more than 16777216 bytes"),
    ] {
        let found = findings(text);
        assert!(
            found.len() == 1 && found[0].1 == "unreadable" && found[0].2.starts_with(start),
            "{start}: {found:?}"
        );
        assert_eq!(check(text, &[]).0, Some(2), "{start}");
    }
}

#[test]
fn a_dry_run_names_the_rule_and_the_condition_that_differs() {
    let text = "
audit_cluster: {cluster: audit, headers: {authorization: t}}
rules:
- {name: health, match: {path: {prefix: /health}}, level: none}
- {name: login, match: {methods: [POST], path: {exact: /login}, hosts: [api.example.com]}}
- {name: calls, match: {protocol: grpc}}
- {name: marked, match: {headers: [{name: x-env, exact: prod}]}}
";

    for (request, header, expected) in [
        (
            "POST api.example.com/login",
            "a: b",
            [
                "health: does not match: match.path",
                "login: decides:",
                "calls: does not matter",
            ],
        ),
        (
            "GET api.example.com/login",
            "a: b",
            [
                "login: does not match: match.methods",
                "calls: decides if it is a gRPC call",
                "marked: does not match: match.headers",
            ],
        ),
        (
            "POST other/login",
            "x-env: prod",
            [
                "login: does not match: match.hosts",
                "calls: decides if it is a gRPC call",
                "marked: decides if it is no gRPC call",
            ],
        ),
        (
            "GET /health",
            "a: b",
            [
                "health: decides: it is not recorded",
                "login: does not match",
                "calls: does not matter",
            ],
        ),
        (
            "GET /health/..%2flogin",
            "a: b",
            [
                "health: does not match: an upstream may read",
                "login: does not match",
                "calls: decides",
            ],
        ),
    ] {
        let (code, out) = check(text, &["--request", request, "--header", header]);
        assert_eq!(code, Some(0), "{out}");
        assert!(
            expected.iter().all(|line| out.contains(line)),
            "{request}: {out}"
        );
    }
}

#[test]
fn the_effective_configuration_has_defaults_and_no_secrets() {
    let (_, out) = check(
        "audit_cluster: {cluster: c, headers: {authorization: 'Bearer ${TOKEN}'}}\nrules: [{name: r}]\n",
        &["--explain"],
    );

    for part in [
        "\"max_delay\": \"1s\"",
        "Bearer ${TOKEN}",
        "\"require_audit\": \"none\"",
        "\"127.0.0.0/8\"",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }

    let secret = "0123456789abcdef0123456789abcdef";
    let text = format!(
        "audit_cluster: {{cluster: c, headers: {{authorization: '{secret}'}}}}\nsession: {{hmac_keys: [{{id: k, key: {secret}x}}]}}\n"
    );
    let (code, out) = check(&text, &["--explain"]);
    assert!(
        code == Some(0) && out.contains("(hidden)") && !out.contains(secret),
        "{out}"
    );
}

#[test]
fn a_dry_run_knows_urls_and_that_the_filter_is_off() {
    let text = "audit_cluster: {cluster: a}\nrules: [{name: v1, match: {hosts: [a.com], path: {prefix: /v1/}}}]\n";
    let (_, out) = check(text, &["--request", "GET https://a.com/v1/x"]);
    assert!(out.contains("v1: decides"), "{out}");

    let root = "audit_cluster: {cluster: a}\nrules: [{name: r, match: {path: {exact: /}, hosts: [a.com]}}]\n";
    let (_, out) = check(root, &["--request", "GET https://a.com"]);
    assert!(out.contains("r: decides"), "{out}");

    let (_, out) = check(
        &format!("enabled: false\n{text}"),
        &["--request", "GET a.com/v1/x"],
    );
    assert!(
        out.contains("nothing is recorded") && !out.contains("decides"),
        "{out}"
    );
}

#[test]
fn a_dry_run_knows_targets_without_a_path_and_names_host_where_it_belongs() {
    let text = "audit_cluster: {cluster: a}\nrules: [{name: r, match: {hosts: ['a.com']}}]\n";
    for request in ["CONNECT a.com:443", "OPTIONS a.com*", "GET a.com:8080/"] {
        let (code, out) = check(text, &["--request", request]);
        assert!(
            code == Some(0) && out.contains("r: decides"),
            "{request}: {out}"
        );
    }

    for arguments in [
        ["--request", "GET a.com"].as_slice(),
        &["--request", "GET /", "--header", "Host: a.com"],
    ] {
        assert_eq!(check(text, arguments).0, Some(2), "{arguments:?}");
    }
}

#[test]
fn a_dry_run_shows_by_protocol_whether_a_rule_decides_or_follows() {
    let text = "
audit_cluster: {cluster: a}
rules:
- {name: calls, match: {protocol: grpc}, record_on: [failure]}
- {name: rest, match: {tracked: true}}
- {name: none}
";

    let expected = "calls: decides if it is a gRPC call: it is recorded, if the rule wants its end
  rest: decides if it is no gRPC call: it is recorded, if the rule wants its end; decides if it is a gRPC call about ends \
                    that no rule before records: it is recorded, if the rule wants its end
  none: does not matter: an earlier rule decides
";

    let (_, out) = check(
        text,
        &[
            "--request",
            "POST /a.B/C",
            "--header",
            "x-session-track: true",
            "--header",
            "x-session-context: c",
        ],
    );
    assert!(out.contains(expected), "{out}");
}

/// Envoy's filter with this `configuration`, in line 5.
pub(crate) fn configured(configuration: &str) -> String {
    format!(
        "typed_config:
  '@type': type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
  config:
    failure_policy: FAIL_RELOAD
    configuration: {configuration}
"
    )
}

#[test]
fn a_configuration_that_envoy_refuses_is_an_error_at_its_line() {
    const TYPE: &str = "type.googleapis.com/google.protobuf";
    let json = r#"{"audit_cluster": {"cluster": "a"}}"#;

    for (configuration, start) in [
        (
            format!("{{'@type': {TYPE}.StringValue, value: {json}}}"),
            "configuration.value: must be JSON in a text",
        ),
        (
            format!("{{'@type': {TYPE}.Struct, value: '{json}'}}"),
            "configuration.value: must be a mapping",
        ),
        (
            format!("{{'@type': {TYPE}.BytesValue, value: '{json}'}}"),
            "configuration.value: must be a text in base64",
        ),
        (
            format!("{{'@type': {TYPE}.Value, value: {json}}}"),
            "configuration.@type: must be",
        ),
        (format!("{{value: {json}}}"), "configuration.@type: must be"),
        (
            format!("{{'@type': google.protobuf.Struct, value: {json}}}"),
            "configuration.@type: must be",
        ),
        (
            format!("{{'@type': {TYPE}.Struct, audit_cluster: {{cluster: a}}}}"),
            "configuration: must have an @type",
        ),
        (
            "{audit_cluster: {cluster: a}}".to_owned(),
            "configuration: must have an @type",
        ),
    ] {
        let text = configured(&configuration);
        let errors: Vec<_> = findings(&text)
            .into_iter()
            .filter(|(_, severity, _)| severity == "error")
            .collect();
        assert!(
            errors
                .iter()
                .any(|(line, _, message)| *line == 5 && message.starts_with(start)),
            "{text}: {errors:?}"
        );
    }

    // printf %s '{"audit_cluster": {"cluster": "a"}}' | base64
    let bytes = "eyJhdWRpdF9jbHVzdGVyIjogeyJjbHVzdGVyIjogImEifX0=";
    let text = configured(&format!("{{'@type': {TYPE}.BytesValue, value: {bytes}}}"));
    assert_eq!(
        check(&text, &[]),
        (Some(0), "0 errors, 0 warnings\n".to_owned())
    );
}

#[test]
fn a_problem_in_a_block_of_json_has_its_own_line() {
    let text = configured(
        "
      '@type': type.googleapis.com/google.protobuf.StringValue
      value: |
        {
          \"audit_cluster\": {\"cluster\": \"a\"},
          \"rules\": [
            {\"name\": \"r\", \"levl\": \"none\"}
          ]
        }",
    );
    assert_finds(&text, 11, "error", "rules[0].levl: unknown key");

    let later = text.replacen("value: |\n", "value: |\n\n\n", 1);
    assert_finds(&later, 13, "error", "rules[0].levl: unknown key");

    let quoted = configured(
        "{'@type': type.googleapis.com/google.protobuf.StringValue, value: '{\"audit_cluster\": 1}'}",
    );
    assert_finds(&quoted, 5, "error", "audit_cluster: must be");
}

#[test]
fn what_istio_proxies_can_trust_depends_on_where_the_plugin_goes() {
    let warned = |place: &str, trust: &str| {
        let text = PLUGIN
            .replacen("  match: [{mode: SERVER}]\n", place, 1)
            .replacen(
                "    trust: {uri_sans: [spiffe://cluster.local/ns/edge/sa/gateway]}\n",
                trust,
                1,
            );
        findings(&text)
            .iter()
            .any(|(_, _, message)| message.starts_with("trust: "))
    };
    let certificates = "    trust: {uri_sans: [spiffe://cluster.local/ns/edge/sa/gateway]}\n";
    let service = "  targetRefs: [{kind: Service, name: s}]\n";

    for (place, trust, expected) in [
        ("  match: [{mode: SERVER}]\n", "", true),
        ("  match: [{mode: SERVER}]\n", certificates, false),
        ("  match: [{mode: CLIENT}]\n", "", false),
        (service, certificates, true),
        ("  targetRefs: [{kind: Gateway, name: g}]\n", "", true),
        (
            "  targetRefs: [{kind: Gateway, name: g}]\n",
            certificates,
            false,
        ),
    ] {
        assert_eq!(warned(place, trust), expected, "{place}{trust}");
    }
}
