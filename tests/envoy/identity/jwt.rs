//! Claims that Envoy's `jwt_authn` has verified, read from its dynamic metadata. The tokens were
//! signed once (ES256, no expiry), and the private key was deleted.

use serde_json::{Value, json};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::{Mesh, Record};

use super::{assert_named, default_rules, last_record, mesh_of};

const JWKS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","kid":"scenario",
    "x":"FLNxiWBNp3srNGwg2_-H3f42yx3VEfH6elwUckwcQjI","y":"7RTk1Oji1xQICJ84WfJYnWvc5QwMaZix-_jWsT00kn0"}]}"#;
/// `{"iss":"https://issuer.example","sub":"alice","uid":42,"largest":9007199254740991,
/// "rounded":9007199254740993,"ratio":1.1,"half":0.5,"admin":true,"roles":["operator"],
/// "profile":{"name":"Ada Lövelace","mail":"ada@example.com"}}`
const GENUINE: &str = concat!(
    "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InNjZW5hcmlvIn0.",
    "eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoiYWxpY2UiLCJ1aWQiOjQyLCJsYXJnZXN0Ijo5MDA3MTk5MjU0",
    "NzQwOTkxLCJyb3VuZGVkIjo5MDA3MTk5MjU0NzQwOTkzLCJyYXRpbyI6MS4xLCJoYWxmIjowLjUsImFkbWluIjp0cnVlLCJyb2xl",
    "cyI6WyJvcGVyYXRvciJdLCJwcm9maWxlIjp7Im5hbWUiOiJBZGEgTFx1MDBmNnZlbGFjZSIsIm1haWwiOiJhZGFAZXhhbXBsZS5j",
    "b20ifX0.",
    "XOpTntrtweAj_cKMPRU70ikqFB1GWlPurr4Xyi6uHUywTYRX9J9wGgmp89ltLWMZpN9_mgbWV1UyMv3O1dvb7g",
);
/// `sub` is `mallory`, signed with a key that is not in the JWKS.
const FORGED: &str = concat!(
    "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InNjZW5hcmlvIn0.",
    "eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoibWFsbG9yeSJ9.",
    "j5PV1J6QC1gNbe0uUQdNG5ComzuUlxScsJbg-oaG4_lOvARtJLSByq1hzk8uCgRpyFNXnVIuoQxVYjOusGmuLg",
);
/// The same with `"alg":"none"`.
const UNSIGNED: &str = concat!(
    "eyJhbGciOiJub25lIiwidHlwIjoiSldUIiwia2lkIjoic2NlbmFyaW8ifQ.",
    "eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoibWFsbG9yeSJ9.",
);

/// Index before the audit filter, and index after it.
const PLACES: [usize; 2] = [0, 1];

fn jwt_authn() -> Value {
    json!({"name": "envoy.filters.http.jwt_authn", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": {"scenario": {
            "issuer": "https://issuer.example",
            "local_jwks": {"inline_string": JWKS},
            "payload_in_metadata": "jwt",
        }},
        "rules": [{"match": {"prefix": "/any"}, "requires": {"provider_name": "scenario"}}],
    }})
}

fn claim(name: &str) -> Value {
    json!([{"metadata": format!("envoy.filters.http.jwt_authn:jwt:{name}")}])
}

fn bootstrap(identity: &Value) -> Bootstrap {
    default_rules(&json!({"rules": [{"name": "all"}], "identity": identity}))
}

async fn requested(mesh: &Mesh, token: &str, status: u16) -> Record {
    let bearer = format!("Bearer {token}");
    assert_eq!(
        mesh.get("/any", &[("authorization", &bearer)]).await.status,
        status
    );
    last_record(mesh).await
}

#[tokio::test]
async fn a_verified_token_names_the_user_wherever_the_filter_stands() {
    for place in PLACES {
        let identity = json!({
            "user_id": claim("sub"),
            "user_name": [{"metadata": ["envoy.filters.http.jwt_authn", "jwt", "profile", "name"]}],
            "user_email": claim("profile:mail"),
        });
        let mesh = mesh_of(bootstrap(&identity).with_filter_at(place, &jwt_authn())).await;
        let record = requested(&mesh, GENUINE, 200).await;
        assert_named(&record, "alice", "metadata");
        assert_eq!(record.text("user.name"), "Ada L\u{f6}velace");
        assert_eq!(record.text("user.email"), "ada@example.com");

        let stolen = swapped();
        for token in [FORGED, UNSIGNED, &stolen, "no.such.token", ""] {
            let record = requested(&mesh, token, 401).await;
            assert_named(&record, "", "unavailable:absent");
            assert_eq!(record.text("audit.outcome"), "denied");
            assert!(
                !record.has("user.name") && !record.has("user.email"),
                "{record:#?}"
            );
        }
    }
}

/// The genuine signature under the forged claims.
fn swapped() -> String {
    let (claims, signature) = (
        FORGED.rsplit_once('.').unwrap().0,
        GENUINE.rsplit_once('.').unwrap().1,
    );
    format!("{claims}.{signature}")
}

#[tokio::test]
async fn claims_that_are_not_names_are_ignored() {
    for (user_id, name, expected) in [
        ("uid", "admin", ["42", ""]),
        ("largest", "rounded", ["9007199254740991", ""]),
        ("ratio", "half", ["", ""]),
        ("roles", "profile", ["", ""]),
    ] {
        let identity = json!({"user_id": claim(user_id), "user_name": claim(name)});
        let mesh = mesh_of(bootstrap(&identity).with_filter_at(PLACES[0], &jwt_authn())).await;
        let record = requested(&mesh, GENUINE, 200).await;
        assert_eq!(
            [record.text("user.id"), record.text("user.name")],
            expected,
            "{user_id}, {name}"
        );
    }
}
