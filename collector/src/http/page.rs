//! The page at `/`: static files that are part of the binary, so that it works without the network.

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

/// One file of the page.
struct Asset {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! asset {
    ($path:expr, $file:literal, $content_type:expr) => {
        Asset {
            path: $path,
            content_type: $content_type,
            bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/page/", $file)),
        }
    };
    ($file:literal, $content_type:expr) => {
        asset!(concat!("/page/", $file), $file, $content_type)
    };
}

const ASSETS: [Asset; 36] = [
    asset!("/", "index.html", HTML),
    asset!("base.css", CSS),
    asset!("search.css", CSS),
    asset!("records.css", CSS),
    asset!("views.css", CSS),
    asset!("person.css", CSS),
    asset!("icon.svg", SVG),
    asset!("api.js", JAVASCRIPT),
    asset!("clipboard.js", JAVASCRIPT),
    asset!("combobox.js", JAVASCRIPT),
    asset!("completeness.js", JAVASCRIPT),
    asset!("detail.js", JAVASCRIPT),
    asset!("dom.js", JAVASCRIPT),
    asset!("exports.js", JAVASCRIPT),
    asset!("filters.js", JAVASCRIPT),
    asset!("format.js", JAVASCRIPT),
    asset!("history.js", JAVASCRIPT),
    asset!("live.js", JAVASCRIPT),
    asset!("main.js", JAVASCRIPT),
    asset!("person.js", JAVASCRIPT),
    asset!("plot.js", JAVASCRIPT),
    asset!("poll.js", JAVASCRIPT),
    asset!("records.js", JAVASCRIPT),
    asset!("search.js", JAVASCRIPT),
    asset!("session.js", JAVASCRIPT),
    asset!("sessions.js", JAVASCRIPT),
    asset!("share.js", JAVASCRIPT),
    asset!("stages.js", JAVASCRIPT),
    asset!("stream.js", JAVASCRIPT),
    asset!("streams.js", JAVASCRIPT),
    asset!("tally.js", JAVASCRIPT),
    asset!("theme.js", JAVASCRIPT),
    asset!("timeline.js", JAVASCRIPT),
    asset!("traits.js", JAVASCRIPT),
    asset!("url.js", JAVASCRIPT),
    asset!("usage.js", JAVASCRIPT),
];

/// Allows only the files of the page and the API of the collector; text can never become markup or
/// script.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // User and session ids are part of the address.
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Browsers keep the files and revalidate them each time: a new collector has a new page.
    (header::CACHE_CONTROL, "no-cache"),
];

/// The routes of the page: `/`, and its files under `/page/`. It uses the API as any other client
/// does.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        let etag = entity_tag(asset.bytes);
        router.route(
            asset.path,
            get(move |headers: HeaderMap| async move { respond(asset, &etag, &headers) }),
        )
    })
}

fn entity_tag(bytes: &[u8]) -> String {
    let mut digits = hex::encode(Sha256::digest(bytes));
    digits.truncate(32);
    format!("\"{digits}\"")
}

fn respond(asset: &'static Asset, etag: &str, request: &HeaderMap) -> Response {
    let is_known = request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .any(|known| names(known, etag));

    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        (
            [(header::CONTENT_TYPE, asset.content_type)],
            Bytes::from_static(asset.bytes),
        )
            .into_response()
    };

    let headers = response.headers_mut();
    headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    headers.extend(HeaderValue::from_str(etag).map(|value| (header::ETAG, value)));
    response
}

/// Whether a list of entity tags, weak ones included, has this one.
fn names(known: &HeaderValue, etag: &str) -> bool {
    let tags = known.to_str().unwrap_or_default().split(',').map(str::trim);
    tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
        .any(|tag| tag == etag || tag == "*")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt as _;

    use super::*;

    async fn request(path: &str, known: Option<&str>) -> Response {
        let mut builder = Request::get(path);
        if let Some(known) = known {
            builder = builder.header("if-none-match", known);
        }
        router::<()>()
            .oneshot(builder.body(Body::empty()).unwrap())
            .await
            .unwrap()
    }

    #[test]
    fn every_file_is_embedded() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
        let name = |entry: std::io::Result<fs::DirEntry>| {
            entry.unwrap().file_name().into_string().unwrap()
        };
        let there: BTreeSet<String> = fs::read_dir(folder).unwrap().map(name).collect();

        let embedded = ASSETS.iter().map(|asset| {
            asset
                .path
                .trim_start_matches("/page/")
                .replace('/', "index.html")
        });

        assert_eq!(embedded.collect::<BTreeSet<_>>(), there);
    }

    #[tokio::test]
    async fn a_file_has_its_type_and_may_load_nothing_from_elsewhere() {
        let kinds = [
            ("/", HTML),
            ("/page/main.js", JAVASCRIPT),
            ("/page/base.css", CSS),
            ("/page/icon.svg", SVG),
        ];

        for (path, content_type) in kinds {
            let response = request(path, None).await;
            assert_eq!(response.status(), 200);
            let value = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
            assert_eq!(value("content-type"), content_type);
            assert_eq!(value("x-content-type-options"), "nosniff");
            assert_eq!(value("cache-control"), "no-cache");
            assert!(
                value("content-security-policy")
                    .starts_with("default-src 'none'; script-src 'self';")
            );
        }

        assert_eq!(request("/page/nothing.js", None).await.status(), 404);
    }

    #[tokio::test]
    async fn a_browser_that_has_a_file_is_not_sent_it_again() {
        let etag = request("/", None).await.headers()["etag"]
            .to_str()
            .unwrap()
            .to_owned();

        for known in [
            etag.clone(),
            format!("W/{etag}"),
            format!("\"other\", {etag}"),
        ] {
            let response = request("/", Some(&known)).await;
            assert_eq!(
                (
                    response.status().as_u16(),
                    response.headers()["etag"].to_str().unwrap()
                ),
                (304, etag.as_str())
            );
            assert!(
                to_bytes(response.into_body(), 1024)
                    .await
                    .unwrap()
                    .is_empty()
            );
        }

        assert_eq!(request("/", Some("\"other\"")).await.status(), 200);
        assert_eq!(request("/page/main.js", Some(&etag)).await.status(), 200);
    }
}
