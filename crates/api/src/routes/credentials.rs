//! Captured credentials. A viewer sees that and where a secret was tried, an administrator the secret.

use std::sync::Arc;

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use decnet_db::{Credential, CredentialQuery};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    page::{MAX_LIMIT, PageOf, check_length, check_paging, paging},
    users::audit,
};
use crate::{
    app::App,
    auth::ViewerUser,
    extract::{Check, Params},
    mask::{MASK, mask_fields},
    problem::{FieldError, Outcome},
};

/// A secret tried by one attacker on one service of one decky.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CredentialView {
    /// Row id.
    pub id: Uuid,
    /// Source address.
    pub attacker_ip: String,
    /// The attacker's row.
    pub attacker_uuid: Option<Uuid>,
    /// Host of the decky.
    pub host_uuid: String,
    /// Decky.
    pub decky_name: String,
    /// Service.
    pub service: String,
    /// User name, if the protocol has one.
    pub principal: Option<String>,
    /// Kind of secret.
    pub secret_kind: String,
    /// SHA-256 of the secret (administrators only: a hash of a weak password is as good as the password).
    pub secret_sha256: Option<String>,
    /// Length of the secret in bytes.
    pub secret_len: u64,
    /// The secret in base64 (administrators only).
    pub secret_b64: Option<String>,
    /// The secret as text; masked for viewers.
    pub secret_printable: Option<String>,
    /// True where the secret is not shown to the caller.
    pub masked: bool,
    /// The decoy's latest answer.
    pub outcome: Option<String>,
    /// Fields of the first sighting.
    #[schema(value_type = Object)]
    pub fields: Value,
    /// First attempt.
    pub first_seen: DateTime<Utc>,
    /// Latest attempt.
    pub last_seen: DateTime<Utc>,
    /// Attempts.
    pub attempt_count: u64,
}

impl CredentialView {
    fn of(row: Credential, masked: bool) -> Self {
        let mut fields = match row.fields {
            Value::Object(map) => Value::Object(map),
            other => serde_json::json!({ "value": other }),
        };
        if masked {
            mask_fields(&mut fields);
        }
        let clear = |secret: Option<String>| secret.filter(|_| !masked);
        let text = row.secret_printable;
        Self {
            id: row.id,
            attacker_ip: row.attacker_ip,
            attacker_uuid: row.attacker_uuid,
            host_uuid: row.host_uuid,
            decky_name: row.decky_name,
            service: row.service,
            principal: row.principal,
            secret_kind: row.secret_kind,
            secret_sha256: clear(Some(row.secret_sha256)),
            secret_len: row.secret_len,
            secret_b64: clear(row.secret_b64),
            secret_printable: if masked { text.map(|_| MASK.to_owned()) } else { text },
            masked,
            outcome: row.outcome,
            fields,
            first_seen: row.first_seen,
            last_seen: row.last_seen,
            attempt_count: row.attempt_count,
        }
    }
}

/// A page of credentials.
pub type CredentialPage = PageOf<CredentialView>;

/// Which credentials.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CredentialParams {
    /// Rows of the page (50).
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
    /// Rows to skip.
    #[param(minimum = 0, maximum = 2_147_483_647)]
    offset: Option<u64>,
    /// Part of user name, decky, address, secret or its hash.
    #[param(max_length = 128)]
    search: Option<String>,
    /// Only of this service.
    #[param(max_length = 48)]
    service: Option<String>,
    /// Only from this address.
    #[param(max_length = 45)]
    attacker_ip: Option<String>,
}

impl Check for CredentialParams {
    fn check(&self, errors: &mut Vec<FieldError>) {
        check_paging(self.limit, MAX_LIMIT, self.offset, errors);
        check_length("search", self.search.as_deref(), 128, errors);
        check_length("service", self.service.as_deref(), 48, errors);
        check_length("attacker_ip", self.attacker_ip.as_deref(), 45, errors);
    }
}

/// Captured credentials, latest attempt first.
#[utoipa::path(
    get, path = "/credentials", tag = "credentials", params(CredentialParams),
    responses((status = 200, description = "A page of credentials", body = PageOf<CredentialView>))
)]
pub async fn list_credentials(
    ViewerUser(caller): ViewerUser,
    State(app): State<App>,
    Params(params): Params<CredentialParams>,
) -> Outcome<Json<CredentialPage>> {
    let masked = !caller.is_admin();
    let first_page = params.limit.is_none()
        && params.offset.is_none()
        && params.search.is_none()
        && params.service.is_none()
        && params.attacker_ip.is_none();
    let query = CredentialQuery {
        search: params.search,
        service: params.service,
        attacker_ip: params.attacker_ip.map(canonical),
        paging: paging(params.limit, params.offset),
    };
    let read = async {
        let page = app.db().await?.credentials().page(&query).await?;
        Ok(Arc::new(PageOf::of(page, |row| CredentialView::of(row, masked))))
    };
    let page = if first_page { app.caches().credentials.get(masked, read).await? } else { read.await? };
    if !masked && !page.data.is_empty() {
        audit(&caller, "read-secrets", format_args!("{} credentials", page.data.len()));
    }
    Ok(Json(page.as_ref().clone()))
}

/// An address as the database spells it; anything else matches nothing and stays.
pub(crate) fn canonical(text: String) -> String {
    match text.trim().parse::<std::net::IpAddr>() {
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => text,
    }
}
