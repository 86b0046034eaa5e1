//! Roles as extractors. They stand first in a handler's arguments and so run before anything of the request is read:
//! no token is 401 even for a bad body, a viewer on an administrator's route is 403 even for an unknown id.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use decnet_db::{Role as AccountRole, User};
use uuid::Uuid;

use super::{Login, Verified};
use crate::{
    app::App,
    problem::{Failure, Problem},
    route::{Guard, Role},
};

/// A user who may be here.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The account.
    pub user: Arc<User>,
    /// The login that the request rests on.
    pub login: Login,
}

impl Caller {
    /// Whether secrets may be shown.
    pub fn is_admin(&self) -> bool {
        self.user.role == AccountRole::Admin
    }

    /// The account's id.
    pub fn uuid(&self) -> Uuid {
        self.user.uuid
    }

    /// The login name, fit for a log line.
    pub fn name(&self) -> String {
        decnet_logline::clean(&self.user.username).into_owned()
    }
}

/// Anyone may call: says so where a role would stand.
#[derive(Debug)]
pub struct Public;

/// Any user with a valid token, also before the forced password change.
#[derive(Debug)]
pub struct AnyUser(pub Caller);

/// A viewer or an administrator.
#[derive(Debug)]
pub struct ViewerUser(pub Caller);

/// An administrator.
#[derive(Debug)]
pub struct AdminUser(pub Caller);

/// A viewer or an administrator, with a header token or a single-use stream token in the URL.
#[derive(Debug)]
pub struct StreamUser(pub Caller);

impl Guard for Public {
    const ROLE: Role = Role::Open;
}
impl Guard for AnyUser {
    const ROLE: Role = Role::Any;
}
impl Guard for ViewerUser {
    const ROLE: Role = Role::Viewer;
}
impl Guard for AdminUser {
    const ROLE: Role = Role::Admin;
}
impl Guard for StreamUser {
    const ROLE: Role = Role::Stream;
}

impl FromRequestParts<App> for Public {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut Parts, _: &App) -> Result<Self, Self::Rejection> {
        Ok(Self)
    }
}

impl FromRequestParts<App> for AnyUser {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        by_header(parts, app).await.map(Self)
    }
}

impl FromRequestParts<App> for ViewerUser {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        settled(by_header(parts, app).await?).map(Self)
    }
}

impl FromRequestParts<App> for AdminUser {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let caller = settled(by_header(parts, app).await?)?;
        if caller.is_admin() {
            Ok(Self(caller))
        } else {
            Err(Problem::forbidden("this needs the role admin").into())
        }
    }
}

impl FromRequestParts<App> for StreamUser {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            return settled(by_header(parts, app).await?).map(Self);
        }
        let token = token_of_query(parts.uri.query().unwrap_or_default());
        let held = app.tokens().read_stream(token).map_err(refused)?;
        let caller = settled(caller_of(app, held).await?)?;
        if !app.accounts().use_once(held.jti).await {
            let detail =
                "the stream token was used already; ask for a new one at POST /api/v1/auth/stream-token";
            return Err(Problem::unauthorized(detail).into());
        }
        Ok(Self(caller))
    }
}

async fn by_header(parts: &Parts, app: &App) -> Result<Caller, Failure> {
    let value = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = match value.and_then(|value| value.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => return Err(Problem::unauthorized("send an access token: Authorization: Bearer <token>").into()),
    };
    let held = app.tokens().read_access(token).map_err(refused)?;
    caller_of(app, held).await
}

async fn caller_of(app: &App, held: Verified) -> Result<Caller, Failure> {
    let user = app.accounts().stands(app, held.user, &held.login).await?;
    Ok(Caller { user, login: held.login })
}

/// Refuses whoever has yet to change the password.
fn settled(caller: Caller) -> Result<Caller, Failure> {
    if caller.user.must_change_password {
        let detail = "Password change required: use POST /api/v1/auth/change-password";
        return Err(Problem::forbidden(detail).into());
    }
    Ok(caller)
}

fn refused(problem: super::token::TokenProblem) -> Failure {
    Problem::unauthorized(problem.to_string()).into()
}

/// The value of `token`; a JWT needs no decoding.
fn token_of_query(query: &str) -> &str {
    query.split('&').find_map(|pair| pair.strip_prefix("token=")).unwrap_or_default()
}
