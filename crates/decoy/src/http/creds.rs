//! Credentials in requests: `Authorization`, forms (urlencoded, multipart), JSON bodies, query strings.
//!
//! Field names and precedence are those of the reference system, so that its users find the same principals.
//! Nothing here judges whether a credential is right. The NTLM reader takes only what is needed to keep the
//! response together with who sent it.

use base64::{Engine, engine::general_purpose::STANDARD};
use decnet_logline::{Secret, SecretKind};

use super::target::hex_pair;

/// Keys of a principal, best first.
const PRINCIPALS: [&str; 11] = [
    "username",
    "user",
    "email",
    "login",
    "userid",
    "account",
    "log",
    "user_login",
    "uname",
    "pma_username",
    "j_username",
];
/// Keys of a secret, best first.
const SECRETS: [&str; 9] = [
    "password",
    "pass",
    "pwd",
    "passwd",
    "passwort",
    "mot_de_passe",
    "user_password",
    "pma_password",
    "j_password",
];
/// Fields of a form that are looked at.
const FIELDS_MAX: usize = 200;

/// A credential and how it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The secret itself.
    pub secret: Secret,
    /// `basic`, `bearer`, `digest`, `ntlm`, `form`, `multipart`, `json`, `query`.
    pub method: &'static str,
    /// What belongs to it, such as the nonce of a digest.
    pub extra: Vec<(&'static str, String)>,
}

/// The credential of an `Authorization` or `Proxy-Authorization` value.
pub fn of_authorization(value: &[u8]) -> Option<Captured> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let (scheme, rest) = text.split_once([' ', '\t'])?;
    let rest = rest.trim();
    match scheme.to_ascii_lowercase().as_str() {
        "basic" => {
            let bytes = STANDARD.decode(rest).ok()?;
            let colon = bytes.iter().position(|b| *b == b':')?;
            let name = String::from_utf8_lossy(bytes.get(..colon)?).into_owned();
            let password = bytes.get(colon + 1..)?.to_vec();
            Some(Captured { secret: Secret::plaintext(name, password), method: "basic", extra: Vec::new() })
        }
        "bearer" | "token" if !rest.is_empty() => Some(Captured {
            secret: Secret { principal: None, kind: SecretKind::HttpBearer, bytes: rest.as_bytes().to_vec() },
            method: "bearer",
            extra: Vec::new(),
        }),
        "digest" => digest(rest),
        "ntlm" | "negotiate" => ntlm(&STANDARD.decode(rest).ok()?),
        _ => None,
    }
}

fn digest(rest: &str) -> Option<Captured> {
    let pairs = parameters(rest);
    let get = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let response = get("response")?;
    let mut extra = Vec::new();
    for (key, name) in [
        ("realm", "digest_realm"),
        ("uri", "digest_uri"),
        ("algorithm", "digest_algorithm"),
        ("qop", "digest_qop"),
        ("nc", "digest_nc"),
        ("cnonce", "digest_cnonce"),
    ] {
        extra.extend(get(key).map(|value| (name, value)));
    }
    extra.extend(get("nonce").map(|nonce| ("challenge_hex", hex::encode(nonce))));
    Some(Captured {
        secret: Secret {
            principal: get("username").filter(|name| !name.is_empty()),
            kind: SecretKind::HttpDigestMd5,
            bytes: response.into_bytes(),
        },
        method: "digest",
        extra,
    })
}

/// `key=value` or `key="value"`, comma-separated; a backslash quotes the next character.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    while chars.peek().is_some() && out.len() < FIELDS_MAX {
        let key: String = std::iter::from_fn(|| chars.next_if(|c| *c != '=' && *c != ',')).collect();
        let mut value = String::new();
        if chars.next_if_eq(&'=').is_some() {
            if chars.next_if_eq(&'"').is_some() {
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    value.extend(if c == '\\' { chars.next() } else { Some(c) });
                }
            }
            value.extend(std::iter::from_fn(|| chars.next_if(|c| *c != ',')));
        }
        chars.next_if_eq(&',');
        out.push((key.trim().to_ascii_lowercase(), value.trim_end().to_owned()));
    }
    out
}

/// The NT response of an NTLMSSP type 3 message somewhere in `blob`.
fn ntlm(blob: &[u8]) -> Option<Captured> {
    let start = blob.windows(8).position(|w| w == b"NTLMSSP\0")?;
    let msg = blob.get(start..).filter(|msg| msg.len() >= 64)?;
    let u16_at = |at: usize| Some(u16::from_le_bytes(msg.get(at..at + 2)?.try_into().ok()?));
    let u32_at = |at: usize| Some(u32::from_le_bytes(msg.get(at..at + 4)?.try_into().ok()?));
    if u32_at(8)? != 3 {
        return None;
    }
    let field = |at: usize| -> Vec<u8> {
        let slice = || {
            let length = usize::from(u16_at(at)?);
            let offset = usize::try_from(u32_at(at + 4)?).ok()?;
            msg.get(offset..offset.checked_add(length)?)
        };
        slice().unwrap_or_default().to_vec()
    };
    let wide = u32_at(60)? & 1 == 1;
    let text = |bytes: &[u8]| {
        if wide {
            let units: Vec<u16> =
                bytes.chunks_exact(2).filter_map(|p| Some(u16::from_le_bytes(p.try_into().ok()?))).collect();
            String::from_utf16_lossy(&units)
        } else {
            String::from_utf8_lossy(bytes).into_owned()
        }
    };
    let (response, domain, user) = (field(20), text(&field(28)), text(&field(36)));
    if response.is_empty() {
        return None;
    }
    let kind = if response.len() == 24 { SecretKind::NtlmsspV1 } else { SecretKind::NtlmsspV2 };
    let principal = match (user.is_empty(), domain.is_empty()) {
        (true, _) => None,
        (false, true) => Some(user),
        (false, false) => Some(format!("{domain}\\{user}")),
    };
    let extra = vec![("ntlm_lm_hex", hex::encode(field(12))), ("ntlm_workstation", text(&field(44)))];
    Some(Captured { secret: Secret { principal, kind, bytes: response }, method: "ntlm", extra })
}

/// The credential of a body.
pub fn of_body(content_type: Option<&str>, body: &[u8]) -> Option<Captured> {
    let content_type = content_type.unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "application/x-www-form-urlencoded" => of_pairs(&urlencoded(body), "form"),
        "multipart/form-data" => {
            let pairs = parameters(&content_type.replace(';', ","));
            let boundary = pairs.iter().find(|(key, _)| key == "boundary")?;
            of_pairs(&multipart(body, boundary.1.as_bytes()), "multipart")
        }
        json if json == "application/json" || json.ends_with("+json") => {
            let value: serde_json::Value = serde_json::from_slice(body).ok()?;
            of_json(&value, 3)
        }
        // Scripts often forget the type.
        "" | "text/plain" => match body.trim_ascii_start().first() {
            Some(b'{') => of_json(&serde_json::from_slice(body).ok()?, 3),
            _ => of_pairs(&urlencoded(body), "form"),
        },
        _ => None,
    }
}

/// The credential of a query string.
pub fn of_query(query: &str) -> Option<Captured> {
    of_pairs(&urlencoded(query.as_bytes()), "query")
}

fn of_json(value: &serde_json::Value, depth: u8) -> Option<Captured> {
    let object = value.as_object()?;
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => Some(text.clone().into_bytes()),
        serde_json::Value::Number(number) => Some(number.to_string().into_bytes()),
        _ => None,
    };
    let pairs: Vec<(String, Vec<u8>)> =
        object.iter().take(FIELDS_MAX).filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect();
    // Frameworks wrap what a form holds: {"user":{"login":…,"password":…}}.
    of_pairs(&pairs, "json").or_else(|| {
        object.values().take(FIELDS_MAX).filter(|_| depth > 0).find_map(|inner| of_json(inner, depth - 1))
    })
}

fn of_pairs(pairs: &[(String, Vec<u8>)], method: &'static str) -> Option<Captured> {
    let first = |names: &[&str]| {
        names.iter().find_map(|name| {
            pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        })
    };
    let secret = first(&SECRETS)?.clone();
    let principal = first(&PRINCIPALS)
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .filter(|name| !name.is_empty());
    Some(Captured {
        secret: Secret { principal, kind: SecretKind::Plaintext, bytes: secret },
        method,
        extra: Vec::new(),
    })
}

/// Pairs of an urlencoded text.
pub fn urlencoded(text: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    for pair in text.split(|b| *b == b'&').take(FIELDS_MAX) {
        let (key, value) = match pair.iter().position(|b| *b == b'=') {
            Some(at) => (pair.get(..at).unwrap_or_default(), pair.get(at + 1..).unwrap_or_default()),
            None => (pair, &[][..]),
        };
        out.push((String::from_utf8_lossy(&form_decode(key)).into_owned(), form_decode(value)));
    }
    out
}

fn form_decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let escaped = if *byte == b'%' { text.get(at + 1..at + 3).and_then(hex_pair) } else { None };
        out.push(match (byte, escaped) {
            (_, Some(value)) => value,
            (b'+', None) => b' ',
            (other, None) => *other,
        });
        at += if escaped.is_some() { 3 } else { 1 };
    }
    out
}

fn multipart(body: &[u8], boundary: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    if boundary.is_empty() || boundary.len() > 256 {
        return out;
    }
    let delimiter = [b"--", boundary].concat();
    let mut rest = body;
    while let Some(at) = find(rest, &delimiter).filter(|_| out.len() < FIELDS_MAX) {
        rest = rest.get(at + delimiter.len()..).unwrap_or_default();
        let part = rest.get(..find(rest, &delimiter).unwrap_or(rest.len())).unwrap_or_default();
        let Some(split) = find(part, b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(part.get(..split).unwrap_or_default()).into_owned();
        let value = part.get(split + 4..).unwrap_or_default();
        let value = value.strip_suffix(b"\r\n").unwrap_or(value);
        let name = head
            .lines()
            .find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))
            .and_then(|line| {
                parameters(&line.replace(';', ","))
                    .into_iter()
                    .find(|(key, _)| key == "name")
                    .map(|(_, name)| name)
            });
        out.extend(name.map(|name| (name, value.to_vec())));
    }
    out
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len().max(1)).position(|w| w == needle)
}

#[cfg(test)]
#[path = "creds_tests.rs"]
mod tests;
