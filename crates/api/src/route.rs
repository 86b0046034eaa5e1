//! Routes that cannot be without a role, and an OpenAPI document that cannot disagree with them.
//!
//! A handler's first argument is a [`Guard`]; [`crate::operation!`] reads the role from that type, so a handler without one does
//! not compile into the router, and the document's `x-decnet-role`, security and refusals are derived from the same type.

use std::future::Future;

use axum::extract::FromRequestParts;
use utoipa::openapi::{
    ContentBuilder, HttpMethod, Ref, RefOr, Response, ResponseBuilder,
    extensions::ExtensionsBuilder,
    path::{Operation, PathItem},
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
};
use utoipa_axum::router::UtoipaMethodRouter;

use crate::{app::App, problem::PROBLEM_JSON};

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Anyone.
    Open,
    /// Any user, also one whose password must be changed first.
    Any,
    /// Viewers and administrators.
    Viewer,
    /// As viewer, with the token in a header, or a stream token in the URL.
    Stream,
    /// Administrators.
    Admin,
}

impl Role {
    /// Its word in `x-decnet-role`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Any => "any",
            Self::Viewer => "viewer",
            Self::Stream => "stream",
            Self::Admin => "admin",
        }
    }
}

/// An extractor that decides who may call.
pub trait Guard: FromRequestParts<App> {
    /// Who may.
    const ROLE: Role;
}

/// A handler whose first argument is a [`Guard`]. Extractors run in order, so the guard runs before everything else.
pub trait Guarded<Arguments> {
    /// The guard's role.
    const ROLE: Role;
}

macro_rules! guarded {
    ($($more:ident)*) => {
        impl<F, Fut, G, $($more),*> Guarded<(G, $($more,)*)> for F
        where
            F: Fn(G, $($more),*) -> Fut,
            Fut: Future,
            G: Guard,
        {
            const ROLE: Role = G::ROLE;
        }
    };
}
guarded!();
guarded!(A);
guarded!(A B);
guarded!(A B C);
guarded!(A B C D);
guarded!(A B C D E);

/// The role of a handler.
///
/// ```
/// use decnet_api::{auth::AdminUser, route::{Role, role_of}};
/// async fn guarded(_: AdminUser, _body: String) {}
/// assert_eq!(role_of(&guarded), Role::Admin);
/// ```
///
/// ```compile_fail
/// async fn unguarded(_body: String) {}
/// decnet_api::route::role_of(&unguarded);
/// ```
pub fn role_of<Arguments, H: Guarded<Arguments>>(_: &H) -> Role {
    H::ROLE
}

/// One operation for the router: `operation!(path::to::handler)`.
#[macro_export]
macro_rules! operation {
    ($handler:path) => {
        $crate::route::documented($crate::route::role_of(&$handler), utoipa_axum::routes!($handler))
    };
}

/// Adds what follows from the role to an operation's documentation.
pub fn documented(
    role: Role,
    (schemas, mut paths, router): UtoipaMethodRouter<App>,
) -> UtoipaMethodRouter<App> {
    for (path, item) in &mut paths.paths {
        let has_path_parameters = path.contains('{');
        for (method, operation) in operations_of(item) {
            describe(role, operation, &method, has_path_parameters);
        }
    }
    (schemas, paths, router)
}

/// Every operation of a path.
pub fn operations_of(item: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    [
        (HttpMethod::Get, item.get.as_mut()),
        (HttpMethod::Put, item.put.as_mut()),
        (HttpMethod::Post, item.post.as_mut()),
        (HttpMethod::Delete, item.delete.as_mut()),
        (HttpMethod::Patch, item.patch.as_mut()),
    ]
    .into_iter()
    .filter_map(|(method, operation)| operation.map(|operation| (method, operation)))
}

fn describe(role: Role, operation: &mut Operation, method: &HttpMethod, has_path_parameters: bool) {
    let extensions = ExtensionsBuilder::new().add("x-decnet-role", role.as_str()).build();
    operation.extensions.get_or_insert_default().merge(extensions);
    operation.security = match role {
        // An empty list overrides what a document might demand of all operations.
        Role::Open => Some(Vec::new()),
        Role::Stream => Some(vec![requirement("bearer"), requirement("stream_token")]),
        Role::Any | Role::Viewer | Role::Admin => Some(vec![requirement("bearer")]),
    };
    let mut refuse = |status: &str, text: &str| {
        let response =
            operation.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(text)));
        if let RefOr::T(response) = response {
            // One that is documented with another body may still come from a guard or a limit.
            let content = problem(text).content;
            content.into_iter().for_each(|(kind, body)| {
                response.content.entry(kind).or_insert(body);
            });
        }
    };
    if role != Role::Open {
        refuse("401", "No valid token");
        refuse("403", "The role does not allow this, or the password must be changed first");
    }
    if operation.request_body.is_some() {
        refuse("400", "The request is malformed");
        refuse("413", "The body is larger than 1 MiB");
        refuse("415", "The body is not declared as JSON");
    } else if operation.parameters.as_ref().is_some_and(|p| !p.is_empty()) || has_path_parameters {
        refuse("400", "The request is malformed");
    }
    refuse("500", "The server failed; `error_id` names the log entry");
    refuse("503", "The server is busy or its database or broker does not answer");
    debug_assert!(!matches!(method, HttpMethod::Get) || operation.request_body.is_none());
}

fn requirement(scheme: &str) -> SecurityRequirement {
    SecurityRequirement::new(scheme, Vec::<String>::new())
}

fn problem(text: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(text).content(PROBLEM_JSON, content).build()
}

/// The security schemes that operations name.
pub fn security_schemes() -> [(&'static str, SecurityScheme); 2] {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let stream = ApiKeyValue::with_description("token", "A single-use token of POST /auth/stream-token");
    [
        ("bearer", SecurityScheme::Http(bearer)),
        ("stream_token", SecurityScheme::ApiKey(ApiKey::Query(stream))),
    ]
}
