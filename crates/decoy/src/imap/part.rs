//! The structure of a message: parts with their raw bytes, headers and parameters.
//!
//! `mail-parser` finds the parts; this keeps what FETCH and SEARCH need of them, with offsets into the message, and
//! bounds depth and number. It deliberately formats nothing.

use std::ops::Range;

use mail_parser::{Header, HeaderName, HeaderValue, Message, MessageParser, MimeHeaders, PartType};

/// Depth of nested parts that are described.
const DEPTH_MAX: usize = 8;
/// Parts of one message that are described.
const PARTS_MAX: usize = 200;

/// A part.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// Type and subtype in lower case.
    pub kind: (String, String),
    /// Parameters of the type.
    pub parameters: Vec<(String, String)>,
    /// `Content-ID` with its brackets.
    pub id: Option<String>,
    /// `Content-Description`.
    pub description: Option<String>,
    /// `Content-Transfer-Encoding`, `7bit` if absent.
    pub encoding: String,
    /// `Content-Disposition` with parameters.
    pub disposition: Option<(String, Vec<(String, String)>)>,
    /// Header block in the message, with its empty line.
    pub header: Range<usize>,
    /// Body in the message.
    pub body: Range<usize>,
    /// Parts of a multipart, or the one message inside `message/rfc822`.
    pub children: Vec<Part>,
}

impl Part {
    /// The structure of a message.
    pub fn of_message(raw: &[u8]) -> Self {
        let mut budget = PARTS_MAX;
        message(raw, 0..raw.len(), 0, &mut budget)
    }

    /// Whether it has parts.
    pub fn is_multipart(&self) -> bool {
        self.kind.0 == "multipart"
    }

    /// Whether its bytes stand for others.
    pub fn is_encoded(&self) -> bool {
        matches!(self.encoding.as_str(), "base64" | "quoted-printable")
    }

    /// Whether it wraps a message.
    pub fn is_message(&self) -> bool {
        self.kind == ("message".to_owned(), "rfc822".to_owned())
    }

    /// The part that a section number names (RFC 3501, 6.4.5).
    pub fn find(&self, path: &[u32]) -> Option<&Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        let at = usize::try_from(*first).ok()?.checked_sub(1)?;
        if self.is_multipart() {
            return self.children.get(at)?.find(rest);
        }
        if self.is_message()
            && let Some(inner) = self.children.first()
        {
            // Numbers go on inside the wrapped message.
            return if inner.is_multipart() {
                inner.find(path)
            } else if at == 0 {
                inner.find(rest)
            } else {
                None
            };
        }
        // A message with one body: its only part is 1.
        (at == 0 && rest.is_empty()).then_some(self)
    }

    /// The bytes of a range of the message.
    pub fn slice<'r>(raw: &'r [u8], range: &Range<usize>) -> &'r [u8] {
        raw.get(range.clone()).unwrap_or_default()
    }
}

fn message(raw: &[u8], within: Range<usize>, depth: usize, budget: &mut usize) -> Part {
    let bytes = raw.get(within.clone()).unwrap_or_default();
    match MessageParser::default().parse(bytes).filter(|parsed| !parsed.parts.is_empty()) {
        Some(parsed) => part(raw, within.start, &parsed, 0, depth, budget),
        None => Part { kind: text_plain(), encoding: "7bit".to_owned(), body: within, ..Part::default() },
    }
}

fn text_plain() -> (String, String) {
    ("text".to_owned(), "plain".to_owned())
}

fn part(raw: &[u8], base: usize, parsed: &Message<'_>, at: usize, depth: usize, budget: &mut usize) -> Part {
    let Some(found) = parsed.parts.get(at) else { return Part::default() };
    *budget = budget.saturating_sub(1);
    let offset = |value: u32| base + usize::try_from(value).unwrap_or(0);
    let header = offset(found.offset_header)..offset(found.offset_body);
    let body = offset(found.offset_body)..offset(found.offset_end).max(offset(found.offset_body));
    let content_type = found.content_type();
    let kind = match (content_type, &found.body) {
        (Some(kind), _) => {
            (kind.c_type.to_lowercase(), kind.c_subtype.as_deref().unwrap_or("plain").to_lowercase())
        }
        (None, PartType::Multipart(_)) => ("multipart".to_owned(), "mixed".to_owned()),
        (None, PartType::Message(_)) => ("message".to_owned(), "rfc822".to_owned()),
        (None, _) => text_plain(),
    };
    let parameters = |value: Option<&mail_parser::ContentType<'_>>| -> Vec<(String, String)> {
        let attributes = value.and_then(|value| value.attributes()).unwrap_or_default();
        attributes
            .iter()
            .map(|attribute| (attribute.name.to_lowercase(), attribute.value.to_string()))
            .collect()
    };
    let mut out = Part {
        parameters: parameters(content_type),
        id: found.content_id().map(|id| format!("<{}>", id.trim_matches(['<', '>']))),
        description: found.content_description().map(str::to_owned),
        encoding: found.content_transfer_encoding().map_or_else(|| "7bit".to_owned(), str::to_lowercase),
        disposition: found
            .content_disposition()
            .map(|value| (value.c_type.to_lowercase(), parameters(Some(value)))),
        kind,
        header,
        body,
        children: Vec::new(),
    };
    if depth >= DEPTH_MAX || *budget == 0 {
        return out;
    }
    match &found.body {
        PartType::Multipart(children) => {
            "multipart".clone_into(&mut out.kind.0);
            for child in children {
                if *budget == 0 {
                    break;
                }
                out.children.push(part(
                    raw,
                    base,
                    parsed,
                    usize::try_from(*child).unwrap_or(usize::MAX),
                    depth + 1,
                    budget,
                ));
            }
        }
        PartType::Message(_) => out.children.push(message(raw, out.body.clone(), depth + 1, budget)),
        _ => {}
    }
    out
}

/// Header fields of a block: name as sent and the whole field with its line ends.
pub fn fields(block: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut out = Vec::new();
    let mut start = 0;
    while start < block.len() {
        let mut end = start;
        // A field goes on while lines start with blanks.
        loop {
            end = match block.get(end..).and_then(|rest| rest.iter().position(|b| *b == b'\n')) {
                Some(at) => end + at + 1,
                None => block.len(),
            };
            if !matches!(block.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let field = block.get(start..end).unwrap_or_default();
        if let Some(colon) = field.iter().position(|b| *b == b':') {
            out.push((field.get(..colon).unwrap_or_default().trim_ascii(), field));
        }
        start = end;
    }
    out
}

/// Value of a header field as sent, unfolded.
pub fn raw_value(block: &[u8], name: &str) -> Option<String> {
    let (_, field) =
        fields(block).into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))?;
    let value = field.get(field.iter().position(|b| *b == b':')? + 1..)?;
    let text = String::from_utf8_lossy(value);
    Some(text.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned())
}

/// Decoded text of a header, for searching.
pub fn decoded(headers: &[Header<'_>], name: &HeaderName<'_>) -> String {
    let mut out = String::new();
    for header in headers.iter().filter(|header| header.name == *name) {
        match &header.value {
            HeaderValue::Text(text) => out.push_str(text),
            HeaderValue::TextList(list) => out.push_str(&list.join(" ")),
            HeaderValue::Address(address) => {
                for one in address.iter() {
                    for word in [one.name.as_deref(), one.address.as_deref()].into_iter().flatten() {
                        out.push_str(word);
                        out.push(' ');
                    }
                }
            }
            _ => {}
        }
        out.push(' ');
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_message_has_a_bounded_structure(raw in proptest::collection::vec(any::<u8>(), 0..600)) {
            let part = Part::of_message(&raw);
            prop_assert!(part.body.end <= raw.len());
            let _ = fields(&raw);
            let nested = [b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n", &raw[..], b"\r\n--a\r\nContent-Type: message/rfc822\r\n\r\n", &raw[..], b"\r\n--a--\r\n"].concat();
            let part = Part::of_message(&nested);
            prop_assert!(part.children.iter().all(|child| child.body.end <= nested.len()));
        }
    }

    #[test]
    fn bottomless_nesting_ends() {
        let mut raw = Vec::new();
        for depth in 0..500 {
            raw.extend_from_slice(
                format!("Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n").as_bytes(),
            );
        }
        let mut part = &Part::of_message(&raw);
        let mut depth = 0;
        while let Some(child) = part.children.first() {
            part = child;
            depth += 1;
        }
        assert!(depth <= DEPTH_MAX);
    }
}
