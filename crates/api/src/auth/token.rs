//! Access tokens and single-use stream tokens: JWT HS256, all claims of ours required and checked.
//!
//! A token names a user, never a role: the role is looked up per request. Whether a token was revoked is not known
//! here; see [`super::accounts`].

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use decnet_core::{Clock, IdSource};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const ISSUER: &str = "decnet";
/// Audience of tokens that travel in a header.
const API: &str = "decnet-api";
/// Audience of tokens that travel in a URL.
const SSE: &str = "sse";
/// Life of a stream token, in seconds.
pub const STREAM_TOKEN_SECONDS: i64 = 60;

/// What a token says. `iat` has a fraction (RFC 7519 allows one), so that a token made right after a password change
/// can be told from one made right before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claims {
    /// Whose it is.
    pub uuid: Uuid,
    /// Its own name, for revocation.
    pub jti: Uuid,
    iss: String,
    aud: String,
    typ: String,
    iat: f64,
    exp: i64,
    /// The login behind a stream token.
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<Login>,
}

/// The login that a request or stream rests on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Login {
    /// Name of the access token.
    pub jti: Uuid,
    iat: f64,
    exp: i64,
}

impl Login {
    /// When it was made.
    pub fn issued_at(&self) -> DateTime<Utc> {
        from_seconds(self.iat)
    }

    /// When it ends.
    pub fn expires_at(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.exp, 0).unwrap_or(DateTime::UNIX_EPOCH)
    }
}

/// A token that holds: its user and its login.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verified {
    /// Whose it is.
    pub user: Uuid,
    /// The login that it rests on.
    pub login: Login,
    /// Name of the token itself.
    pub jti: Uuid,
}

/// Why a token does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenProblem {
    /// Not ours, or changed, or made for another use.
    #[error("the token is not valid; log in again")]
    Invalid,
    /// Too old.
    #[error("the token has expired; log in again")]
    Expired,
}

/// Makes and reads tokens.
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    life: TimeDelta,
}

impl Tokens {
    /// Tokens signed with `key`, living `minutes`.
    pub fn new(key: &str, minutes: u32, clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>) -> Self {
        Self {
            encoding: EncodingKey::from_secret(key.as_bytes()),
            decoding: DecodingKey::from_secret(key.as_bytes()),
            clock,
            ids,
            life: TimeDelta::minutes(i64::from(minutes)),
        }
    }

    /// An access token for `user`, newer than `valid_from`.
    pub fn access(&self, user: Uuid, valid_from: Option<DateTime<Utc>>) -> Result<String, TokenProblem> {
        let now = self.clock.now();
        // Tokens made at or before the instant of a password change are dead; this one must not be.
        let issued = valid_from.map_or(now, |from| now.max(from + TimeDelta::microseconds(1)));
        let claims = Claims {
            uuid: user,
            jti: self.ids.next_id(),
            iss: ISSUER.to_owned(),
            aud: API.to_owned(),
            typ: "access".to_owned(),
            iat: to_seconds(issued),
            exp: (now + self.life).timestamp(),
            login: None,
        };
        self.sign(&claims)
    }

    /// A stream token that rests on `login`.
    pub fn stream(&self, user: Uuid, login: Login) -> Result<String, TokenProblem> {
        let now = self.clock.now();
        let claims = Claims {
            uuid: user,
            jti: self.ids.next_id(),
            iss: ISSUER.to_owned(),
            aud: SSE.to_owned(),
            typ: "sse".to_owned(),
            iat: to_seconds(now),
            exp: (now.timestamp() + STREAM_TOKEN_SECONDS).min(login.exp),
            login: Some(login),
        };
        self.sign(&claims)
    }

    fn sign(&self, claims: &Claims) -> Result<String, TokenProblem> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.encoding)
            .map_err(|_| TokenProblem::Invalid)
    }

    /// Reads an access token.
    pub fn read_access(&self, token: &str) -> Result<Verified, TokenProblem> {
        let claims = self.read(token, API, "access")?;
        if claims.login.is_some() {
            return Err(TokenProblem::Invalid);
        }
        let login = Login { jti: claims.jti, iat: claims.iat, exp: claims.exp };
        Ok(Verified { user: claims.uuid, login, jti: claims.jti })
    }

    /// Reads a stream token. That it is used once only is the caller's to see to.
    pub fn read_stream(&self, token: &str) -> Result<Verified, TokenProblem> {
        let claims = self.read(token, SSE, "sse")?;
        let login = claims.login.ok_or(TokenProblem::Invalid)?;
        Ok(Verified { user: claims.uuid, login, jti: claims.jti })
    }

    fn read(&self, token: &str, audience: &str, typ: &str) -> Result<Claims, TokenProblem> {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_audience(&[audience]);
        rules.set_issuer(&[ISSUER]);
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        // The library reads the machine's clock; ours is a parameter.
        rules.validate_exp = false;
        rules.validate_nbf = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &rules)
            .map_err(|_| TokenProblem::Invalid)?
            .claims;
        if claims.typ != typ {
            return Err(TokenProblem::Invalid);
        }
        if self.clock.now().timestamp() >= claims.exp {
            return Err(TokenProblem::Expired);
        }
        Ok(claims)
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of this century fit 53 bits")]
fn to_seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp_micros() as f64 / 1e6
}

#[expect(clippy::cast_possible_truncation, reason = "a float cast saturates, and a signed token is ours")]
fn from_seconds(seconds: f64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros((seconds * 1e6).round() as i64).unwrap_or(DateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use decnet_core::{ManualClock, SystemIds};

    use super::*;

    fn tokens(key: &str, clock: &ManualClock) -> Tokens {
        Tokens::new(key, 240, Arc::new(clock.clone()), Arc::new(SystemIds))
    }

    #[test]
    fn a_token_holds_for_its_time_and_its_use_only() {
        let start = DateTime::from_timestamp_micros(1_767_225_600_123_456).unwrap();
        let clock = ManualClock::at(start);
        let ours = tokens("0123456789abcdef0123456789abcdef", &clock);
        let theirs = tokens("fedcba9876543210fedcba9876543210", &clock);
        let user = SystemIds.next_id();
        let access = ours.access(user, None).unwrap();
        let held = ours.read_access(&access).unwrap();
        assert_eq!((held.user, held.login.issued_at()), (user, start));
        assert_eq!(theirs.read_access(&access), Err(TokenProblem::Invalid));
        assert_eq!(ours.read_stream(&access), Err(TokenProblem::Invalid));
        let stream = ours.stream(user, held.login).unwrap();
        assert_eq!(ours.read_access(&stream), Err(TokenProblem::Invalid));
        assert_eq!(ours.read_stream(&stream).unwrap().login, held.login);
        clock.advance(TimeDelta::seconds(61));
        assert_eq!(ours.read_stream(&stream), Err(TokenProblem::Expired));
        assert!(ours.read_access(&access).is_ok());
        clock.advance(TimeDelta::minutes(240));
        assert_eq!(ours.read_access(&access), Err(TokenProblem::Expired));
    }

    #[test]
    fn unsigned_and_foreign_tokens_are_refused() {
        let clock = ManualClock::at(DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
        let ours = tokens("0123456789abcdef0123456789abcdef", &clock);
        let good = ours.access(SystemIds.next_id(), None).unwrap();
        let body = good.split('.').nth(1).unwrap();
        // {"alg":"none","typ":"JWT"}
        let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{body}.");
        for bad in ["", ".", "..", "a.b.c", &none, &good[..good.len() - 4]] {
            assert!(ours.read_access(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_after_a_password_change_is_newer_than_it() {
        let clock = ManualClock::at(DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
        let ours = tokens("0123456789abcdef0123456789abcdef", &clock);
        let token = ours.access(SystemIds.next_id(), Some(clock.now())).unwrap();
        assert!(ours.read_access(&token).unwrap().login.issued_at() > clock.now());
    }
}
