//! Files that intruders brought, byte for byte. For administrators: these are live malware.

use std::path::Path;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use decnet_core::DeckyName;
use futures_util::stream;
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::App,
    auth::AdminUser,
    extract::{Check, Params, PathParam},
    problem::{Failure, FieldError, Outcome, Problem},
};

/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// Services that keep files.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keeper {
    /// Files written in a shell, or sent by sftp or scp.
    #[default]
    Ssh,
    /// Messages.
    Smtp,
}

/// The bytes of a captured file.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct CapturedFile(#[expect(dead_code, reason = "the document only: bytes are streamed")] Vec<u8>);

/// Which kind of file.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ArtifactParams {
    /// The service that captured it (`ssh`).
    #[param(inline)]
    service: Option<Keeper>,
}

impl Check for ArtifactParams {
    fn check(&self, _: &mut Vec<FieldError>) {}
}

/// A captured file, as it was. Its name is the field `stored_as` of the line `file_captured`.
#[utoipa::path(
    get, path = "/artifacts/{decky}/{stored_as}", tag = "evidence",
    params(
        ("decky" = String, Path, description = "The decky", pattern = "^[a-z0-9][a-z0-9-]{0,62}$"),
        ("stored_as" = String, Path, description = "The name that the file is kept under",
            pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}[-:][0-9]{2}[-:][0-9]{2}Z_[0-9a-f]{12}_[A-Za-z0-9._-]{1,255}$"),
        ArtifactParams,
    ),
    responses(
        (status = 200, description = "The file", body = CapturedFile, content_type = "application/octet-stream"),
        (status = 404, description = "No such file", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn get_artifact(
    _: AdminUser,
    State(app): State<App>,
    PathParam((decky, stored_as)): PathParam<(String, String)>,
    Params(params): Params<ArtifactParams>,
) -> Outcome<Response> {
    let decky = decky_name(&decky)?;
    if !is_stored_name(&stored_as) {
        let reason =
            "give the name under which a line `file_captured` says that the file is kept (stored_as)";
        return Err(Problem::invalid(vec![FieldError::new("stored_as", reason)]).into());
    }
    let folder = match params.service.unwrap_or_default() {
        Keeper::Ssh => "ssh",
        Keeper::Smtp => "smtp",
    };
    let slot = app.evidence().downloads.clone().try_acquire_owned();
    let slot =
        slot.map_err(|_| Problem::unavailable("too many files are being sent; try again in a moment", 5))?;
    let path = Path::new(decky.as_str()).join(folder).join(&stored_as);
    let opened = app.evidence().open_file(&path).map_err(Failure::internal)?;
    let file = opened.ok_or_else(|| Problem::not_found("there is no such file"))?;
    let length = file.metadata().map_err(Failure::internal)?.len();
    // What is appended while it is sent is not part of it: the length has been promised.
    let file = tokio::fs::File::from_std(file).take(length);
    let chunks = stream::unfold((file, slot), |(mut file, slot)| async move {
        let mut chunk = Vec::with_capacity(CHUNK);
        match (&mut file).take(CHUNK as u64).read_to_end(&mut chunk).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(Bytes::from(chunk)), (file, slot))),
            Err(error) => Some((Err(error), (file, slot))),
        }
    });
    let mut response = Body::from_stream(chunks).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    // The name holds nothing but letters, digits and `._-`.
    let disposition = format!("attachment; filename=\"{stored_as}\"");
    headers.insert(header::CONTENT_DISPOSITION, disposition.parse().map_err(Failure::internal)?);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// A decky's name out of a path; it is not lower-cased, because it is not a name that somebody types.
pub(super) fn decky_name(text: &str) -> Result<DeckyName, Failure> {
    let parsed = DeckyName::parse(text).map_err(|error| error.to_string());
    match parsed {
        Ok(name) if name.as_str() == text => Ok(name),
        Ok(name) => Err(invalid_decky(format!("names are lower case: {name}"))),
        Err(reason) => Err(invalid_decky(reason)),
    }
}

fn invalid_decky(reason: String) -> Failure {
    Problem::invalid(vec![FieldError::new("decky", reason)]).into()
}

/// `<second>_<12 hex digits>_<name>`
fn is_stored_name(text: &str) -> bool {
    let mut parts = text.splitn(3, '_');
    let (Some(second), Some(digest), Some(base)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let is_second = ["%Y-%m-%dT%H-%M-%SZ", "%Y-%m-%dT%H:%M:%SZ"]
        .iter()
        .any(|form| chrono::NaiveDateTime::parse_from_str(second, form).is_ok());
    let is_digest = digest.len() == 12 && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_base = (1..=255).contains(&base.len())
        && base.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    second.len() == 20 && is_second && is_digest && is_base
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_the_capturer_makes_is_taken_and_no_path_is() {
        let at = chrono::DateTime::from_timestamp(1_767_225_659, 0).unwrap();
        let made = decnet_core::shell::stored_name(at, &"ab".repeat(32), Path::new("/tmp/x y/../é.sh"));
        assert!(is_stored_name(&made), "{made}");
        assert!(is_stored_name("2026-01-01T00:00:59Z_abababababab_x"));
        for name in [
            "",
            "..",
            "2026-01-01T00-00-59Z_abababababab_",
            "2026-01-01T00-00-59Z_ABABABABABAB_x",
            "2026-13-01T00-00-59Z_abababababab_x",
            "2026-01-01T00-00-59Z_abababababab_../x",
            "2026-01-01T00-00-59Z_abababababab_x/y",
            "2026-01-01T00-00-59Z_abababababab_x\0",
            "../2026-01-01T00-00-59Z_abababababab_x",
        ] {
            assert!(!is_stored_name(name), "{name:?}");
        }
    }
}
