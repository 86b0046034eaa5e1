//! All operations with their limits, and the OpenAPI document that follows from them.

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
};
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::{OpenApi, openapi::OpenApi as Document};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    app::App,
    auth::Public,
    limits, operation,
    problem::{FieldError, Problem},
    route::{operations_of, security_schemes},
    routes::{
        artifacts, attackers, auth, credentials, deckies, deploy, health, life_stream, logs, orchestrator,
        realism, sessions, stats, stream, synthetic_files, transcripts, users, webhooks, workers,
    },
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "DECNET API",
        description = "What the deception network saw and how it is. Errors are RFC 9457 problem documents. Text that intruders sent occurs only inside JSON strings: show it as text."
    ),
    components(schemas(Problem, FieldError))
)]
struct Api;

fn base() -> Document {
    let mut document = Api::openapi();
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    let components = document.components.get_or_insert_default();
    components
        .security_schemes
        .extend(security_schemes().map(|(name, scheme)| (name.to_owned(), scheme.into())));
    document
}

/// Operations that begin to answer within the general bound on time.
fn prompt() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(operation!(auth::login))
        .routes(operation!(auth::change_password))
        .routes(operation!(auth::logout))
        .routes(operation!(auth::stream_token))
        .routes(operation!(users::get_config))
        .routes(operation!(users::set_deployment_limit))
        .routes(operation!(users::set_mutation_interval))
        .routes(operation!(users::create_user))
        .routes(operation!(users::delete_user))
        .routes(operation!(users::set_role))
        .routes(operation!(users::reset_password))
        .routes(operation!(logs::list_logs))
        .routes(operation!(logs::histogram))
        .routes(operation!(credentials::list_credentials))
        .routes(operation!(stats::get_stats))
        .routes(operation!(attackers::list_attackers))
        .routes(operation!(attackers::get_attacker))
        .routes(operation!(attackers::list_commands))
        .routes(operation!(sessions::list_attacker_sessions))
        .routes(operation!(sessions::list_sessions))
        .routes(operation!(orchestrator::list_actions))
        .routes(operation!(life_stream::stream_actions))
        .routes(operation!(realism::get_personas))
        .routes(operation!(realism::put_personas))
        .routes(operation!(synthetic_files::list_synthetic_files))
        .routes(operation!(synthetic_files::get_synthetic_file))
        .routes(operation!(deckies::list_deckies))
        .routes(operation!(workers::list_workers))
        .routes(operation!(workers::stop_worker))
        .routes(operation!(webhooks::create_webhook))
        .routes(operation!(webhooks::list_webhooks))
        .routes(operation!(webhooks::get_webhook))
        .routes(operation!(webhooks::change_webhook))
        .routes(operation!(webhooks::delete_webhook))
        .routes(operation!(webhooks::list_dead_letters))
        .routes(operation!(webhooks::redeliver_dead_letters))
        .routes(operation!(webhooks::redeliver_dead_letter))
        .routes(operation!(webhooks::purge_dead_letters))
        .routes(operation!(health::health))
        .routes(operation!(stream::stream))
        .routes(operation!(artifacts::get_artifact))
        .routes(operation!(transcripts::get_transcript))
}

/// Operations that may take longer and have bounds of their own.
fn patient() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(operation!(deploy::deploy))
        .routes(operation!(deploy::remove_decky))
        .routes(operation!(webhooks::test_webhook))
        .routes(operation!(workers::start_worker))
        .routes(operation!(workers::start_all_workers))
}

fn open() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(operation!(health::healthz))
        .routes(operation!(health::readyz))
        .routes(operation!(served_document))
}

fn parts() -> (Router<App>, Document) {
    let v1 = prompt().layer(middleware::from_fn(limits::timed)).merge(patient());
    OpenApiRouter::with_openapi(base())
        .merge(open().layer(middleware::from_fn(limits::timed)))
        .nest("/api/v1", v1)
        .split_for_parts()
}

/// The committed OpenAPI document, roles included. Needs neither database nor bus.
pub fn openapi_json() -> String {
    let (_, document) = parts();
    // Through a map, so that keys have one order whatever the hashers do.
    let value = serde_json::to_value(&document).unwrap_or_default();
    let mut text = serde_json::to_string_pretty(&sorted(value)).unwrap_or_default();
    text.push('\n');
    text
}

fn sorted(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// The OpenAPI document of this server, without the roles.
#[utoipa::path(
    get, path = "/openapi.json", tag = "health",
    responses((status = 200, description = "This document", body = serde_json::Value))
)]
async fn served_document(_: Public) -> Json<Document> {
    let (_, mut document) = parts();
    for item in document.paths.paths.values_mut() {
        for (_, operation) in operations_of(item) {
            if let Some(extensions) = operation.extensions.as_mut() {
                extensions.remove("x-decnet-role");
            }
        }
    }
    Json(document)
}

/// The server's router.
pub fn router(app: App) -> Router {
    let (router, _) = parts();
    let mut router = router
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(limits::MAX_BODY))
        .layer(middleware::from_fn_with_state(app.clone(), limits::bounded));
    if let Some(cors) = cors(&app.config().cors_origins) {
        router = router.layer(cors);
    }
    router
        .layer(middleware::from_fn(limits::hardened))
        .layer(middleware::from_fn_with_state(app.clone(), limits::explained))
        .with_state(app)
}

/// Explicit origins only, and no credentials: tokens travel in a header that scripts of other origins do not have.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> =
        origins.iter().filter_map(|origin| origin.trim_end_matches('/').parse().ok()).collect();
    if origins.is_empty() {
        return None;
    }
    let methods = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    let headers = [header::AUTHORIZATION, header::CONTENT_TYPE, HeaderName::from_static("last-event-id")];
    Some(
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_methods(methods)
            .allow_headers(headers),
    )
}

async fn unknown_path(State(_): State<App>) -> Response {
    Problem::not_found("no such path; see /openapi.json").into_response()
}

async fn wrong_method() -> Response {
    let detail = "this path does not know this method; see /openapi.json";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).into_response()
}
