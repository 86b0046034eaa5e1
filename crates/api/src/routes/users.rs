//! Configuration as the caller may see it, and the accounts.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use decnet_db::{NewUser, Role as AccountRole, User};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::auth::{Message, check_name, check_password};
use crate::{
    app::App,
    auth::{AdminUser, Caller, ViewerUser},
    extract::{Body, Check, PathParam},
    problem::{Failure, FieldError, Outcome, Problem},
};

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserRole {
    /// Everything.
    Admin,
    /// Reading.
    Viewer,
}

impl From<AccountRole> for UserRole {
    fn from(role: AccountRole) -> Self {
        match role {
            AccountRole::Admin => Self::Admin,
            AccountRole::Viewer => Self::Viewer,
        }
    }
}

impl From<UserRole> for AccountRole {
    fn from(role: UserRole) -> Self {
        match role {
            UserRole::Admin => Self::Admin,
            UserRole::Viewer => Self::Viewer,
        }
    }
}

/// An account.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UserView {
    /// Its id.
    pub uuid: Uuid,
    /// Login name.
    pub username: String,
    /// What it may do.
    pub role: UserRole,
    /// The password must be changed before anything else.
    pub must_change_password: bool,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            uuid: user.uuid,
            username: user.username,
            role: user.role.into(),
            must_change_password: user.must_change_password,
        }
    }
}

/// The configuration.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConfigView {
    /// The caller's role.
    pub role: UserRole,
    /// The caller's login name.
    pub username: String,
    /// Most deckies of a deployment.
    pub deployment_limit: u32,
    /// Default interval of mutations.
    pub global_mutation_interval: String,
    /// All accounts (administrators only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<UserView>>,
}

/// Keys of the shelf in the database.
const LIMITS_KEY: &str = "config_limits";
const GLOBALS_KEY: &str = "config_globals";
/// Deckies of a deployment until somebody sets another limit.
const DEFAULT_LIMIT: u32 = 10;

/// Most deckies of a deployment, as a request and on the shelf.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeploymentLimit {
    /// From 1 to 500.
    #[schema(minimum = 1, maximum = 500)]
    pub deployment_limit: u32,
}

impl Check for DeploymentLimit {
    fn check(&self, errors: &mut Vec<FieldError>) {
        if !(1..=500).contains(&self.deployment_limit) {
            errors.push(FieldError::new("deployment_limit", "give a number from 1 to 500"));
        }
    }
}

/// Default interval of mutations, as a request and on the shelf.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MutationInterval {
    /// A number with a unit: m minutes, d days, M months, y or Y years.
    #[schema(pattern = "^[1-9][0-9]{0,5}[mdMyY]$")]
    pub global_mutation_interval: String,
}

impl Check for MutationInterval {
    fn check(&self, errors: &mut Vec<FieldError>) {
        let text = self.global_mutation_interval.as_str();
        let number = text.strip_suffix(['m', 'd', 'M', 'y', 'Y']).unwrap_or_default();
        let digits = (1..=6).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
        if !digits || number.starts_with('0') {
            let reason = "give a number and a unit, such as 30m, 1d, 2M or 1y";
            errors.push(FieldError::new("global_mutation_interval", reason));
        }
    }
}

/// Most deckies of a deployment.
pub(crate) async fn deployment_limit(db: &decnet_db::Db) -> Result<u32, Failure> {
    let limits = db.state().get::<DeploymentLimit>(LIMITS_KEY).await?;
    Ok(limits.map_or(DEFAULT_LIMIT, |limits| limits.deployment_limit))
}

/// The configuration and the caller's role.
#[utoipa::path(
    get, path = "/config", tag = "config",
    responses((status = 200, description = "The configuration", body = ConfigView))
)]
pub async fn get_config(ViewerUser(caller): ViewerUser, State(app): State<App>) -> Outcome<Json<ConfigView>> {
    let db = app.db().await?;
    let globals = db.state().get::<MutationInterval>(GLOBALS_KEY).await?;
    let users = if caller.is_admin() {
        let epoch = *app.accounts().changes().borrow();
        let read = async {
            let users = db.users().list().await?;
            Ok(Arc::new(users.into_iter().map(UserView::from).collect::<Vec<_>>()))
        };
        Some(app.caches().users.get(epoch, read).await?.as_ref().clone())
    } else {
        None
    };
    Ok(Json(ConfigView {
        role: caller.user.role.into(),
        username: caller.user.username.clone(),
        deployment_limit: deployment_limit(&db).await?,
        global_mutation_interval: globals
            .map_or_else(|| "30m".to_owned(), |globals| globals.global_mutation_interval),
        users,
    }))
}

/// Sets how many deckies a deployment may have.
#[utoipa::path(
    put, path = "/config/deployment-limit", tag = "config", request_body = DeploymentLimit,
    responses((status = 200, description = "Set", body = Message))
)]
pub async fn set_deployment_limit(
    AdminUser(caller): AdminUser,
    State(app): State<App>,
    Body(request): Body<DeploymentLimit>,
) -> Outcome<Json<Message>> {
    app.db().await?.state().set(LIMITS_KEY, &request).await?;
    audit(&caller, "set-deployment-limit", request.deployment_limit);
    Ok(Message::json("Deployment limit set"))
}

/// Sets the interval of mutations where a decky has none of its own.
#[utoipa::path(
    put, path = "/config/global-mutation-interval", tag = "config", request_body = MutationInterval,
    responses((status = 200, description = "Set", body = Message))
)]
pub async fn set_mutation_interval(
    AdminUser(caller): AdminUser,
    State(app): State<App>,
    Body(request): Body<MutationInterval>,
) -> Outcome<Json<Message>> {
    app.db().await?.state().set(GLOBALS_KEY, &request).await?;
    audit(&caller, "set-mutation-interval", &request.global_mutation_interval);
    Ok(Message::json("Mutation interval set"))
}

/// An account to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// Login name.
    #[schema(min_length = 1, max_length = 64, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    pub username: String,
    /// First password: 12 characters to 72 bytes.
    #[schema(min_length = 12, max_length = 72, format = Password)]
    pub password: String,
    /// What it may do.
    pub role: UserRole,
}

impl Check for CreateUser {
    fn check(&self, errors: &mut Vec<FieldError>) {
        check_name(&self.username, errors);
        check_password("password", &self.password, errors);
    }
}

/// Makes an account. Its password must be changed at the first login.
#[utoipa::path(
    post, path = "/config/users", tag = "config", request_body = CreateUser,
    responses(
        (status = 201, description = "The account", body = UserView),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn create_user(
    AdminUser(caller): AdminUser,
    State(app): State<App>,
    Body(request): Body<CreateUser>,
) -> Outcome<(StatusCode, Json<UserView>)> {
    let password_hash = app.passwords().hash(&request.password).await?;
    let new = NewUser {
        username: request.username,
        password_hash,
        role: request.role.into(),
        must_change_password: true,
    };
    let made = app.db().await?.users().create(new).await?;
    let user = made.ok_or_else(|| Problem::conflict("the user name is taken; choose another"))?;
    app.accounts().changed();
    audit(&caller, "create-user", user.uuid);
    Ok((StatusCode::CREATED, Json(user.into())))
}

/// Deletes an account.
#[utoipa::path(
    delete, path = "/config/users/{uuid}", tag = "config",
    params(("uuid" = Uuid, Path, description = "The account")),
    responses(
        (status = 200, description = "Deleted", body = Message),
        (status = 404, description = "Unknown account", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn delete_user(
    AdminUser(caller): AdminUser,
    State(app): State<App>,
    PathParam(uuid): PathParam<Uuid>,
) -> Outcome<Json<Message>> {
    not_oneself(&caller, uuid, "delete your own account")?;
    let known = app.db().await?.users().delete(uuid).await?;
    app.accounts().changed();
    found(known)?;
    audit(&caller, "delete-user", uuid);
    Ok(Message::json("User deleted"))
}

/// A role to give.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRole {
    /// What the account may do from now on.
    pub role: UserRole,
}

impl Check for SetRole {
    fn check(&self, _: &mut Vec<FieldError>) {}
}

/// Changes an account's role. Its tokens end with it.
#[utoipa::path(
    put, path = "/config/users/{uuid}/role", tag = "config", request_body = SetRole,
    params(("uuid" = Uuid, Path, description = "The account")),
    responses(
        (status = 200, description = "Changed", body = Message),
        (status = 404, description = "Unknown account", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn set_role(
    AdminUser(caller): AdminUser,
    State(app): State<App>,
    PathParam(uuid): PathParam<Uuid>,
    Body(request): Body<SetRole>,
) -> Outcome<Json<Message>> {
    not_oneself(&caller, uuid, "change your own role")?;
    let known = app.db().await?.users().set_role(uuid, request.role.into()).await?;
    app.accounts().changed();
    found(known)?;
    audit(&caller, "set-role", uuid);
    Ok(Message::json("Role changed"))
}

/// A password to set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetPassword {
    /// The new password: 12 characters to 72 bytes.
    #[schema(min_length = 12, max_length = 72, format = Password)]
    pub new_password: String,
}

impl Check for ResetPassword {
    fn check(&self, errors: &mut Vec<FieldError>) {
        check_password("new_password", &self.new_password, errors);
    }
}

/// Sets an account's password, to be changed at the next login. Its tokens end with it.
#[utoipa::path(
    put, path = "/config/users/{uuid}/reset-password", tag = "config", request_body = ResetPassword,
    params(("uuid" = Uuid, Path, description = "The account")),
    responses(
        (status = 200, description = "Set", body = Message),
        (status = 404, description = "Unknown account", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn reset_password(
    AdminUser(caller): AdminUser,
    State(app): State<App>,
    PathParam(uuid): PathParam<Uuid>,
    Body(request): Body<ResetPassword>,
) -> Outcome<Json<Message>> {
    let hash = app.passwords().hash(&request.new_password).await?;
    let known = app.db().await?.users().set_password(uuid, &hash, true).await?;
    app.accounts().changed();
    found(known)?;
    audit(&caller, "reset-password", uuid);
    Ok(Message::json("Password reset; it must be changed at the next login"))
}

/// One administrator always remains: the one who is asking.
fn not_oneself(caller: &Caller, uuid: Uuid, what: &str) -> Result<(), Failure> {
    if caller.uuid() == uuid {
        return Err(Problem::forbidden(format!("you cannot {what}; ask another administrator")).into());
    }
    Ok(())
}

fn found(known: bool) -> Result<(), Failure> {
    if known { Ok(()) } else { Err(Problem::not_found("no such user").into()) }
}

/// Who did what to what, until the audit table exists.
pub(crate) fn audit(caller: &Caller, action: &str, object: impl std::fmt::Display) {
    tracing::info!(audit = true, user = caller.name(), action, %object, "administrator's action");
}
