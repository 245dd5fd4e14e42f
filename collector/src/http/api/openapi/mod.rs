//! `GET /openapi.json`: the description of the API, made from its tables of parameters and its
//! types of answers.

mod operations;

use crate::http::json::Json;
use utoipa::ToSchema;
use utoipa::openapi::path::{PathItem, PathsBuilder};
use utoipa::openapi::schema::ComponentsBuilder;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};

use super::types::{ExportedRecord, FlatRecord};
use super::{checkpoints, conflicts, records, retention, search, sessions, streams, usage};
use crate::http::refusal::Error;

pub(super) const PATH: &str = "/openapi.json";

pub(super) async fn get() -> Json<OpenApi> {
    let paths = operations::all()
        .into_iter()
        .fold(PathsBuilder::new(), |paths, (path, method, operation)| {
            paths.path(path, PathItem::new(method, operation))
        });

    let info = InfoBuilder::new()
        .title("audit-collector")
        .version(env!("CARGO_PKG_VERSION"));
    let document = OpenApiBuilder::new()
        .info(info.build())
        .paths(paths.build());

    Json(
        document
            .components(Some(components().build()))
            .security(Some(security()))
            .build(),
    )
}

fn components() -> ComponentsBuilder {
    let certificate = SecurityScheme::MutualTls {
        description: None,
        extensions: None,
    };

    let components = ComponentsBuilder::new()
        .security_scheme(
            "bearer",
            SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        )
        .security_scheme("certificate", certificate);

    let components = with::<ExportedRecord>(with::<FlatRecord>(components));
    let components = with::<Error>(components);
    let components = with::<sessions::Timeline>(with::<sessions::Sessions>(
        with::<records::Records>(components),
    ));
    let components = with::<conflicts::Conflicts>(with::<retention::Retention>(with::<
        search::Search,
    >(components)));
    with::<checkpoints::Checkpoints>(with::<streams::StreamsAnswer>(with::<usage::UsageAnswer>(
        components,
    )))
}

/// Adds the schema of an answer and those of its parts.
fn with<T: ToSchema>(components: ComponentsBuilder) -> ComponentsBuilder {
    let mut parts = Vec::new();
    T::schemas(&mut parts);
    components
        .schemas_from_iter(parts)
        .schema(T::name(), T::schema())
}

/// Depending on its flags, a collector requires a token, a certificate, or nothing.
fn security() -> [SecurityRequirement; 3] {
    let scopes: [&str; 0] = [];
    [
        SecurityRequirement::default(),
        SecurityRequirement::new("bearer", scopes),
        SecurityRequirement::new("certificate", scopes),
    ]
}
