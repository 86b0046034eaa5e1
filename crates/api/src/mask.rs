//! Captured secrets as those may see them who may not see secrets: viewers, and everyone on the live stream.
//!
//! It knows the fields that `decnet_logline` writes secrets into, as members of a row and inside the raw line. Text that
//! merely contains a password (a typed command, a mail) is evidence and stays.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// What stands in the place of a secret.
pub const MASK: &str = "********";

/// Fields that hold a secret.
const SECRET_FIELDS: [&str; 5] =
    ["secret_printable", "secret_b64", "password", "passphrase", "authorization"];

/// Whether a field of this name holds a secret.
fn is_secret(name: &str) -> bool {
    SECRET_FIELDS.iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

/// Masks the secret members of a row's fields, at any depth.
pub fn mask_fields(value: &mut Value) {
    match value {
        Value::Object(map) => mask_map(map),
        Value::Array(items) => items.iter_mut().for_each(mask_fields),
        _ => {}
    }
}

fn mask_map(map: &mut Map<String, Value>) {
    for (key, value) in map {
        if is_secret(key) && !value.is_null() {
            *value = Value::from(MASK);
        } else {
            mask_fields(value);
        }
    }
}

/// Masks the values of secret parameters inside an RFC 5424 line.
pub fn mask_line(line: &str) -> Cow<'_, str> {
    let lower = line.to_ascii_lowercase();
    if !SECRET_FIELDS.iter().any(|name| lower.contains(&format!("{name}=\""))) {
        return Cow::Borrowed(line);
    }
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("=\"") {
        let name = before.rsplit([' ', '[']).next().unwrap_or_default();
        let end = end_of_value(after);
        let (value, tail) = after.split_at(end);
        out.push_str(before);
        out.push_str("=\"");
        out.push_str(if is_secret(name) { MASK } else { value });
        rest = tail;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Offset of the quote that ends a parameter's value; the whole text if none does.
fn end_of_value(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_go_and_the_rest_stays() {
        let line = r#"<134>1 2026-01-01T00:00:00Z web ssh - auth [relay@55555 username="ro\"ot=\"" secret_printable="a\"b\\" secret_b64="YSJi" x="secret_printable="] msg"#;
        let masked = mask_line(line);
        assert_eq!(
            masked,
            r#"<134>1 2026-01-01T00:00:00Z web ssh - auth [relay@55555 username="ro\"ot=\"" secret_printable="********" secret_b64="********" x="secret_printable="] msg"#
        );
        let mut fields = json!({"secret_printable": "x", "n": {"Password": "y", "secret_kind": "plaintext"}, "l": [{"secret_b64": null}]});
        mask_fields(&mut fields);
        assert_eq!(
            fields,
            json!({"secret_printable": MASK, "n": {"Password": MASK, "secret_kind": "plaintext"}, "l": [{"secret_b64": null}]})
        );
    }

    proptest! {
        #[test]
        fn no_line_panics_and_no_encoded_secret_survives(junk in "\\PC{0,80}", secret in "[ -~]{6,40}") {
            mask_line(&junk);
            let secret = format!("§{secret}");
            let event = decnet_logline::Event::new("ssh", "auth")
                .field("note", &junk)
                .field("secret_printable", &secret)
                .field("after", "y");
            let time = chrono::DateTime::UNIX_EPOCH;
            let line = event.into_record(time, "web").encode();
            let masked = mask_line(&line);
            let plain = decnet_logline::scan(masked.as_bytes()).unwrap();
            prop_assert_eq!(plain.fields.get("secret_printable"), Some(MASK));
            prop_assert_eq!(plain.fields.get("after"), Some("y"));
        }
    }
}
