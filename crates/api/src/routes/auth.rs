//! Login, password change, logout, and the token that opens a stream.

use std::net::SocketAddr;

use axum::{
    Json,
    extract::{ConnectInfo, State},
    http::Extensions,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::App,
    auth::{
        AnyUser, MAX_PASSWORD, MIN_PASSWORD, Public, STREAM_TOKEN_SECONDS, ViewerUser, forget_first_password,
    },
    extract::{Body, Check, Params},
    problem::{Failure, FieldError, Outcome, Problem},
};

/// Who wants in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// Login name.
    #[schema(min_length = 1, max_length = 64, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    pub username: String,
    /// Password, at most 72 bytes.
    #[schema(min_length = 1, max_length = 72, format = Password)]
    pub password: String,
}

impl Check for LoginRequest {
    fn check(&self, errors: &mut Vec<FieldError>) {
        check_name(&self.username, errors);
        if self.password.is_empty() || self.password.len() > MAX_PASSWORD {
            errors.push(FieldError::new("password", "give 1 to 72 bytes"));
        }
    }
}

/// The key to everything else.
#[derive(Serialize, ToSchema)]
pub struct LoginAnswer {
    /// For the header `Authorization: Bearer …`.
    pub access_token: String,
    /// Always `bearer`.
    pub token_type: &'static str,
    /// Nothing but a password change is possible until this is done.
    pub must_change_password: bool,
}

/// A sentence for people.
#[derive(Serialize, ToSchema)]
pub struct Message {
    /// What was done.
    pub message: String,
}

impl Message {
    /// An answer with this sentence.
    pub fn json(text: impl Into<String>) -> Json<Self> {
        Json(Self { message: text.into() })
    }
}

/// Logs in.
#[utoipa::path(
    post, path = "/auth/login", tag = "auth", request_body = LoginRequest,
    responses(
        (status = 200, description = "An access token", body = LoginAnswer),
        (status = 401, description = "Unknown name or wrong password", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many tries of this address or name", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn login(
    _: Public,
    State(app): State<App>,
    extensions: Extensions,
    body: Result<Body<LoginRequest>, Failure>,
) -> Outcome<Json<LoginAnswer>> {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let peer = peer.ok_or_else(|| Failure::internal("the server was started without peer addresses"))?;
    let name = body.as_ref().ok().map(|Body(request)| request.username.as_str());
    if let Err(wait) = app.limiter().try_login(peer, name) {
        return Err(Problem::too_many("too many login attempts; wait and try again", wait).into());
    }
    let Body(request) = body?;
    let db = app.db().await?;
    let account = db.users().by_name(&request.username).await?;
    let stored = account.as_ref().map(|account| account.password_hash.as_str());
    let verdict = app.passwords().verify(&request.password, stored).await?;
    let Some(mut account) = account.filter(|_| verdict.right) else {
        tracing::info!(%peer, "login refused");
        return Err(Problem::unauthorized("Incorrect username or password").into());
    };
    if verdict.outdated {
        account = rehashed(&app, account, &request.password).await;
    }
    let access_token =
        app.tokens().access(account.uuid, account.tokens_valid_from).map_err(Failure::internal)?;
    let user = decnet_logline::clean(&account.username).into_owned();
    tracing::info!(%peer, user, "login");
    let must_change_password = account.must_change_password;
    Ok(Json(LoginAnswer { access_token, token_type: "bearer", must_change_password }))
}

/// Brings the stored hash to today's parameters; the next login tries again if it fails.
async fn rehashed(app: &App, account: decnet_db::User, password: &str) -> decnet_db::User {
    let done = async {
        let hash = app.passwords().hash(password).await?;
        let db = app.db().await?;
        db.users().set_password(account.uuid, &hash, account.must_change_password).await?;
        app.accounts().changed();
        Ok::<_, Failure>(db.users().by_uuid(account.uuid).await?)
    };
    match done.await {
        Ok(Some(renewed)) => renewed,
        Ok(None) => account,
        Err(error) => {
            tracing::warn!(%error, "cannot renew a password hash");
            account
        }
    }
}

/// A new password for oneself.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The password until now.
    #[schema(min_length = 1, max_length = 72, format = Password)]
    pub old_password: String,
    /// The password from now on: 12 characters to 72 bytes, another than before.
    #[schema(min_length = 12, max_length = 72, format = Password)]
    pub new_password: String,
}

impl Check for ChangePassword {
    fn check(&self, errors: &mut Vec<FieldError>) {
        check_password("new_password", &self.new_password, errors);
    }
}

/// Changes one's own password. All tokens of the user end with it.
#[utoipa::path(
    post, path = "/auth/change-password", tag = "auth", request_body = ChangePassword,
    responses(
        (status = 200, description = "Changed; log in again", body = Message),
        (status = 401, description = "No valid token, or the old password is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The new password is the old one", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many tries", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn change_password(
    AnyUser(caller): AnyUser,
    State(app): State<App>,
    extensions: Extensions,
    Body(request): Body<ChangePassword>,
) -> Outcome<Json<Message>> {
    // A stolen token must not be a place to guess the password at leisure.
    if let Some(ConnectInfo(peer)) = extensions.get::<ConnectInfo<SocketAddr>>()
        && let Err(wait) = app.limiter().try_login(peer.ip(), Some(&caller.user.username))
    {
        return Err(Problem::too_many("too many attempts; wait and try again", wait).into());
    }
    if !app.passwords().verify(&request.old_password, Some(&caller.user.password_hash)).await?.right {
        return Err(Problem::unauthorized("Incorrect password").into());
    }
    if request.new_password == request.old_password {
        return Err(Problem::conflict("choose another password than the old one").into());
    }
    let hash = app.passwords().hash(&request.new_password).await?;
    app.db().await?.users().set_password(caller.uuid(), &hash, false).await?;
    app.accounts().changed();
    forget_first_password(&app, &caller.user);
    tracing::info!(audit = true, user = caller.name(), action = "change-password", "password changed");
    Ok(Message::json("Password changed; log in again"))
}

/// Ends the token that the request carries, and the streams that rest on it.
#[utoipa::path(
    post, path = "/auth/logout", tag = "auth",
    responses((status = 200, description = "Logged out", body = Message))
)]
pub async fn logout(AnyUser(caller): AnyUser, State(app): State<App>) -> Outcome<Json<Message>> {
    let jti = caller.login.jti.to_string();
    app.db().await?.users().revoke_token(&jti, caller.uuid(), caller.login.expires_at()).await?;
    app.accounts().changed();
    tracing::info!(user = caller.name(), "logout");
    Ok(Message::json("Logged out"))
}

/// Which stream to open.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StreamTokenParams {
    /// Path of the stream (`/api/v1/stream`).
    #[param(pattern = "^/api/v1/(stream|orchestrator/events/stream)$")]
    path: Option<String>,
}

impl Check for StreamTokenParams {
    fn check(&self, errors: &mut Vec<FieldError>) {
        let streams = [super::stream::PATH, super::life_stream::PATH];
        if self.path.as_deref().is_some_and(|path| !streams.contains(&path)) {
            errors.push(FieldError::new("path", format!("the streams are {}", streams.join(" and "))));
        }
    }
}

/// A key that opens one stream once.
#[derive(Serialize, ToSchema)]
pub struct StreamToken {
    /// For `?token=…`.
    pub token: String,
    /// Always `sse`.
    pub token_type: &'static str,
    /// Seconds until it ends.
    pub expires_in: i64,
}

/// Trades a header token for a single-use one that may stand in a URL, since `EventSource` cannot send headers.
#[utoipa::path(
    post, path = "/auth/stream-token", tag = "auth", params(StreamTokenParams),
    responses((status = 200, description = "A stream token", body = StreamToken))
)]
pub async fn stream_token(
    ViewerUser(caller): ViewerUser,
    State(app): State<App>,
    _: Params<StreamTokenParams>,
) -> Outcome<Json<StreamToken>> {
    let token = app.tokens().stream(caller.uuid(), caller.login).map_err(Failure::internal)?;
    Ok(Json(StreamToken { token, token_type: "sse", expires_in: STREAM_TOKEN_SECONDS }))
}

/// Adds what is wrong with a login name.
pub(crate) fn check_name(name: &str, errors: &mut Vec<FieldError>) {
    if !(1..=64).contains(&name.chars().count()) {
        errors.push(FieldError::new("username", "give 1 to 64 characters"));
    } else if name.chars().any(char::is_control) {
        errors.push(FieldError::new("username", "control characters are not allowed"));
    }
}

/// Adds what is wrong with a new password.
pub(crate) fn check_password(field: &str, password: &str, errors: &mut Vec<FieldError>) {
    if password.chars().count() < MIN_PASSWORD {
        errors.push(FieldError::new(field, "use at least 12 characters"));
    } else if password.len() > MAX_PASSWORD {
        errors.push(FieldError::new(field, "use at most 72 bytes"));
    }
}
