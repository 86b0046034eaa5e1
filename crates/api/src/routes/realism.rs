//! The fleet's invented people, and the files that were planted for them.

use std::path::PathBuf;

use axum::{Json, extract::State};
use decnet_kit::personas;
use decnet_realism::{
    Persona, Pool,
    persona::{
        PoolError,
        parse::{Mode, strict_value},
        to_json,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::users::audit;
use crate::{
    app::App,
    auth::{AdminUser, ViewerUser},
    extract::{Body, Check},
    problem::{Failure, FieldError, Outcome, Problem},
};

/// Most personas of a pool.
const MAX_PERSONAS: usize = 500;

/// The host-wide pool.
#[derive(Debug, Serialize, ToSchema)]
pub struct PersonasView {
    /// The file that holds it, or would.
    pub path: String,
    /// Its people, in the order of the file.
    #[schema(value_type = Vec<Object>)]
    pub personas: Vec<Persona>,
}

/// A pool to put in the place of the present one.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PersonasRequest {
    /// The people; an empty list clears the pool.
    #[schema(value_type = Vec<Object>)]
    pub personas: Value,
}

impl Check for PersonasRequest {
    fn check(&self, errors: &mut Vec<FieldError>) {
        if self.personas.as_array().is_some_and(|list| list.len() > MAX_PERSONAS) {
            errors.push(FieldError::new("personas", format!("use at most {MAX_PERSONAS} personas")));
        }
    }
}

/// The host-wide pool as it is in its file. Entries that are not valid are left out, as the orchestrator leaves them out.
#[utoipa::path(
    get, path = "/realism/personas", tag = "life",
    responses((status = 200, description = "The pool and its file", body = PersonasView))
)]
pub async fn get_personas(_: ViewerUser, State(app): State<App>) -> Outcome<Json<PersonasView>> {
    let path = pool_file(&app);
    let read = path.clone();
    let loaded =
        tokio::task::spawn_blocking(move || personas::load(&read)).await.map_err(Failure::internal)?;
    let pool = match loaded {
        Ok(found) => found.map(|(pool, _)| pool).unwrap_or_default(),
        Err(personas::PoolFileError::Bad { .. }) => Pool::default(),
        Err(error) => return Err(Failure::internal(error)),
    };
    Ok(Json(PersonasView { path: path.display().to_string(), personas: pool.0 }))
}

/// Replaces the host-wide pool. Nothing is written unless every entry is valid.
#[utoipa::path(
    put, path = "/realism/personas", tag = "life", request_body = PersonasRequest,
    responses(
        (status = 200, description = "What was written", body = PersonasView),
        (status = 400, description = "Not a list of valid personas; every bad entry is named by index and field", body = Problem, content_type = "application/problem+json"),
        (status = 500, description = "The file cannot be written; the answer says why", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn put_personas(
    AdminUser(caller): AdminUser,
    State(app): State<App>,
    Body(request): Body<PersonasRequest>,
) -> Outcome<Json<PersonasView>> {
    let read = strict_value(&request.personas, personas::DEFAULT_LANGUAGE, Mode::Write).map_err(refused)?;
    // With the logins that the order of the list gives: they must not change when the list does.
    let people = Pool::new(read.personas).0;
    let path = pool_file(&app);
    let (file, text) = (path.clone(), to_json(&people));
    let written = tokio::task::spawn_blocking(move || personas::write_text(&file, &text)).await;
    if let Err(error) = written.map_err(Failure::internal)? {
        // The operator set the path, so it may be told.
        return Err(Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into());
    }
    audit(&caller, "put-personas", path.display());
    Ok(Json(PersonasView { path: path.display().to_string(), personas: people }))
}

fn pool_file(app: &App) -> PathBuf {
    personas::pool_path(app.config().personas.as_deref())
}

fn refused(error: PoolError) -> Problem {
    let errors = match error {
        PoolError::Faults(faults) => faults
            .into_iter()
            .map(|fault| {
                let field = fault.field.map_or_else(String::new, |field| format!(".{field}"));
                FieldError::new(format!("personas[{}]{field}", fault.index), fault.why)
            })
            .collect(),
        other => vec![FieldError::new("personas", other.to_string())],
    };
    Problem::invalid(errors)
}
