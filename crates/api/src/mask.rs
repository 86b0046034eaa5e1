//! Captured secrets as those may see them who may not see secrets: viewers, and everyone on the live stream.
//!
//! It knows the fields that decoys write secrets into and those that a secret was read from, as members of a row and inside
//! the raw line. Text that merely contains a password (a typed command, a mail) is evidence and stays.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// What stands in the place of a secret.
pub const MASK: &str = "********";
/// The same as the free text of a line.
const HIDDEN_TEXT: &str = " ********";

/// Fields that hold a secret.
const SECRETS: [&str; 5] = ["secret_printable", "secret_b64", "password", "passphrase", "authorization"];

/// Fields that hold what the secret was taken from: a form, a header, a protocol's arguments. They are masked in lines
/// that captured a secret, and only there.
const CARRIERS: [&str; 8] = ["body", "headers", "args", "raw", "query", "raw_target", "request", "cmd"];

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

fn is_hidden(name: &str, captured: bool) -> bool {
    is_one_of(&SECRETS, name) || (captured && is_one_of(&CARRIERS, name))
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
    let captured = map.keys().any(|key| is_one_of(&SECRETS, key));
    for (key, value) in map {
        if is_hidden(key, captured) && !value.is_null() {
            *value = Value::from(MASK);
        } else {
            mask_fields(value);
        }
    }
}

/// Masks the values of secret parameters inside an RFC 5424 line, and its free text when it captured a secret.
pub fn mask_line(line: &str) -> Cow<'_, str> {
    let lower = line.to_ascii_lowercase();
    if !SECRETS.iter().any(|name| lower.contains(&format!("{name}=\""))) {
        return Cow::Borrowed(line);
    }
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("=\"") {
        let name = before.rsplit([' ', '[']).next().unwrap_or_default();
        let (value, tail) = after.split_at(end_of_value(after));
        out.push_str(before);
        out.push_str("=\"");
        out.push_str(if is_hidden(name, true) { MASK } else { value });
        rest = tail;
        // The quote and bracket that end the element; what follows is free text.
        if let Some(text) = tail.strip_prefix("\"]") {
            out.push_str("\"]");
            out.push_str(if text.trim().is_empty() { text } else { HIDDEN_TEXT });
            return Cow::Owned(out);
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Whether a row's fields say that a secret was captured.
pub fn captured_secret(fields: &Value) -> bool {
    fields.as_object().is_some_and(|map| map.keys().any(|key| is_one_of(&SECRETS, key)))
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
        let line = r#"<134>1 2026-01-01T00:00:00Z web ssh - auth [relay@55555 username="ro\"ot=\"" secret_printable="a\"b\\" secret_b64="YSJi" x="secret_printable=" body="p=a"] login of root with ="a"#;
        let masked = mask_line(line);
        assert_eq!(
            masked,
            r#"<134>1 2026-01-01T00:00:00Z web ssh - auth [relay@55555 username="ro\"ot=\"" secret_printable="********" secret_b64="********" x="secret_printable=" body="********"] ********"#
        );
        let plain = r#"<134>1 - web http - request [relay@55555 body="a=b" headers="[]"] GET /"#;
        assert_eq!(mask_line(plain), plain, "nothing was captured");
        let mut fields = json!({"secret_printable": "x", "body": "p=x", "n": {"Password": "y", "secret_kind": "plaintext"}, "l": [{"secret_b64": null}]});
        mask_fields(&mut fields);
        assert_eq!(
            fields,
            json!({"secret_printable": MASK, "body": MASK, "n": {"Password": MASK, "secret_kind": "plaintext"}, "l": [{"secret_b64": null}]})
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
                .field("headers", format!("[[\"Authorization\",\"Basic {secret}\"]]"))
                .field("after", "y")
                .msg(format!("login with {secret}"));
            let time = chrono::DateTime::UNIX_EPOCH;
            let line = event.into_record(time, "web").encode();
            let masked = mask_line(&line);
            let plain = decnet_logline::scan(masked.as_bytes()).unwrap();
            prop_assert_eq!(plain.fields.get("secret_printable"), Some(MASK));
            prop_assert_eq!(plain.fields.get("after"), Some("y"));
            prop_assert!(!masked.contains(&secret), "{}", masked);
        }
    }
}
