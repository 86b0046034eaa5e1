//! ENVELOPE and BODYSTRUCTURE as Dovecot prints them, and the quoting of strings.

use std::fmt::Write as _;

use mail_parser::{Address, HeaderName, MessageParser};

use super::part::{Part, raw_value};

/// A string or NIL.
pub fn nstring(text: Option<&str>) -> String {
    text.map_or_else(|| "NIL".to_owned(), |text| string(text.as_bytes()))
}

/// A quoted string, or a literal where quoting cannot hold it.
pub fn string(bytes: &[u8]) -> String {
    let plain = bytes.iter().all(|b| (0x20..0x7f).contains(b));
    match std::str::from_utf8(bytes) {
        Ok(text) if plain => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        // Only text that has been through a lossy conversion arrives here, so that the count stays right.
        _ => {
            let text = String::from_utf8_lossy(bytes);
            format!("{{{}}}\r\n{text}", text.len())
        }
    }
}

/// The envelope of a message.
pub fn envelope(raw: &[u8], header: &[u8]) -> String {
    let parsed = MessageParser::default().parse_headers(raw).unwrap_or_default();
    let addresses = |name: &HeaderName<'static>| -> Option<String> {
        let headers = &parsed.parts.first()?.headers;
        address_list(headers.iter().rev().find(|one| one.name == *name)?.value.as_address()?)
    };
    let from = addresses(&HeaderName::From);
    let or_from = |name: HeaderName<'static>| addresses(&name).or_else(|| from.clone());
    let nil = |list: Option<String>| list.unwrap_or_else(|| "NIL".to_owned());
    let value = |name: &str| nstring(raw_value(header, name).as_deref());
    format!(
        "({} {} {} {} {} {} {} {} {} {})",
        value("Date"),
        value("Subject"),
        nil(from.clone()),
        nil(or_from(HeaderName::Sender)),
        nil(or_from(HeaderName::ReplyTo)),
        nil(addresses(&HeaderName::To)),
        nil(addresses(&HeaderName::Cc)),
        nil(addresses(&HeaderName::Bcc)),
        value("In-Reply-To"),
        value("Message-ID")
    )
}

fn address_list(list: &Address<'_>) -> Option<String> {
    let mut out = String::new();
    for one in list.iter() {
        let address = one.address.as_deref().unwrap_or_default();
        let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
        let name = one.name.as_deref().map(encoded_word);
        let _ = write!(
            out,
            "({} NIL {} {})",
            nstring(name.as_deref()),
            string(local.as_bytes()),
            if domain.is_empty() { "\"MISSING_DOMAIN\"".to_owned() } else { string(domain.as_bytes()) }
        );
    }
    (!out.is_empty()).then(|| format!("({out})"))
}

/// A display name as it would stand in a header.
fn encoded_word(text: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        text.to_owned()
    } else {
        format!("=?UTF-8?B?{}?=", STANDARD.encode(text))
    }
}

fn parameters(list: &[(String, String)]) -> String {
    if list.is_empty() {
        return "NIL".to_owned();
    }
    let pairs: Vec<String> = list
        .iter()
        .map(|(name, value)| format!("{} {}", string(name.as_bytes()), string(value.as_bytes())))
        .collect();
    format!("({})", pairs.join(" "))
}

fn lines(raw: &[u8], part: &Part) -> usize {
    Part::slice(raw, &part.body).split(|b| *b == b'\n').count() - 1
}

/// BODY (`extended` false) or BODYSTRUCTURE.
pub fn structure(raw: &[u8], part: &Part, extended: bool) -> String {
    let disposition = part.disposition.as_ref().map_or_else(
        || "NIL".to_owned(),
        |(kind, list)| format!("({} {})", string(kind.as_bytes()), parameters(list)),
    );
    if part.is_multipart() {
        let mut out = String::from("(");
        if part.children.is_empty() {
            out.push_str("(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0)");
        }
        for child in &part.children {
            out.push_str(&structure(raw, child, extended));
        }
        let _ = write!(out, " {}", string(part.kind.1.as_bytes()));
        if extended {
            let _ = write!(out, " {} {disposition} NIL NIL", parameters(&part.parameters));
        }
        out.push(')');
        return out;
    }
    // RFC 2045: text without a charset is us-ascii.
    let charset = [("charset".to_owned(), "us-ascii".to_owned())];
    let list =
        if part.kind.0 == "text" && part.parameters.is_empty() { &charset[..] } else { &part.parameters };
    let mut out = format!(
        "({} {} {} {} {} {} {}",
        string(part.kind.0.as_bytes()),
        string(part.kind.1.as_bytes()),
        parameters(list),
        nstring(part.id.as_deref()),
        nstring(part.description.as_deref()),
        string(part.encoding.as_bytes()),
        part.body.len()
    );
    if part.is_message()
        && let Some(inner) = part.children.first()
    {
        let message = Part::slice(raw, &part.body);
        let _ = write!(
            out,
            " {} {} {}",
            envelope(message, Part::slice(raw, &inner.header)),
            structure(raw, inner, extended),
            lines(raw, part)
        );
    } else if part.kind.0 == "text" {
        let _ = write!(out, " {}", lines(raw, part));
    }
    if extended {
        let _ = write!(out, " NIL {disposition} NIL NIL");
    }
    out.push(')');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = b"From: Alice <alice@x.lan>\r\nTo: \"Bob B\" <bob@x.lan>, carol@x.lan\r\nCc: d@x.lan\r\nSubject: Hello =?utf-8?q?w=C3=B6rld?=\r\nDate: Mon, 23 Nov 2026 10:00:00 +0100\r\nMessage-ID: <1@x.lan>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello there\r\nline two\r\n";
    const NESTED: &[u8] = b"From: bob@x.lan\r\nTo: alice@x.lan\r\nSubject: Re: Hello\r\nDate: Mon, 23 Nov 2026 11:00:00 +0100\r\nMessage-ID: <2@x.lan>\r\nIn-Reply-To: <1@x.lan>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"bb\"\r\n\r\n--bb\r\nContent-Type: multipart/alternative; boundary=cc\r\n\r\n--cc\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nplain\r\n--cc\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>=E4</p>\r\n--cc--\r\n--bb\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"a.pdf\"\r\n\r\nAAAA\r\n--bb--\r\n";

    /// The wanted texts were printed by Dovecot 2.3.19.1 for the same messages.
    #[test]
    fn structures_are_dovecots() {
        let plain = Part::of_message(PLAIN);
        assert_eq!(
            structure(PLAIN, &plain, true),
            r#"("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 23 2 NIL NIL NIL NIL)"#
        );
        let nested = Part::of_message(NESTED);
        assert_eq!(
            structure(NESTED, &nested, true),
            r#"((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0 NIL NIL NIL NIL)("text" "html" ("charset" "utf-8") NIL NIL "quoted-printable" 10 0 NIL NIL NIL NIL) "alternative" ("boundary" "cc") NIL NIL NIL)("application" "pdf" ("name" "a.pdf") NIL NIL "base64" 4 NIL ("attachment" ("filename" "a.pdf")) NIL NIL) "mixed" ("boundary" "bb") NIL NIL NIL)"#
        );
        assert_eq!(
            structure(NESTED, &nested, false),
            r#"((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0)("text" "html" ("charset" "utf-8") NIL NIL "quoted-printable" 10 0) "alternative")("application" "pdf" ("name" "a.pdf") NIL NIL "base64" 4) "mixed")"#
        );
        assert_eq!(Part::slice(NESTED, &nested.find(&[1, 2]).unwrap().body), b"<p>=E4</p>");
        assert_eq!(Part::slice(NESTED, &nested.find(&[2]).unwrap().body), b"AAAA");
        assert!(nested.find(&[9]).is_none());
    }

    #[test]
    fn envelopes_are_dovecots() {
        let plain = Part::of_message(PLAIN);
        assert_eq!(
            envelope(PLAIN, Part::slice(PLAIN, &plain.header)),
            r#"("Mon, 23 Nov 2026 10:00:00 +0100" "Hello =?utf-8?q?w=C3=B6rld?=" (("Alice" NIL "alice" "x.lan")) (("Alice" NIL "alice" "x.lan")) (("Alice" NIL "alice" "x.lan")) (("Bob B" NIL "bob" "x.lan")(NIL NIL "carol" "x.lan")) ((NIL NIL "d" "x.lan")) NIL NIL "<1@x.lan>")"#
        );
    }
}
