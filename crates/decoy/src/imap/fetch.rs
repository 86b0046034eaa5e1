//! FETCH: data items of messages in Dovecot's form, sections and partial ranges included.

use std::num::NonZeroU32;

use base64::{Engine, engine::general_purpose::STANDARD};
use imap_codec::imap_types::{
    core::AString,
    fetch::{MacroOrMessageDataItemNames, MessageDataItemName, Section},
};

use super::{
    describe::{envelope, structure},
    part::{Part, fields},
};
use crate::mail::mailbox::Message;

/// What one message gave.
pub struct Fetched {
    /// The items, without the outer parentheses.
    pub items: Vec<Vec<u8>>,
    /// Content was read, so that the message is now seen unless it was only peeked at.
    pub seen: bool,
    /// Content was read in any way.
    pub read: bool,
}

/// Items with macros expanded; `UID` first when the command is UID FETCH.
pub fn items<'n>(names: &'n MacroOrMessageDataItemNames<'n>, uid: bool) -> Vec<MessageDataItemName<'n>> {
    let mut list: Vec<MessageDataItemName<'n>> = match names {
        MacroOrMessageDataItemNames::Macro(shorthand) => shorthand.expand(),
        MacroOrMessageDataItemNames::MessageDataItemNames(list) => list.clone(),
    };
    if uid && !list.contains(&MessageDataItemName::Uid) {
        list.insert(0, MessageDataItemName::Uid);
    }
    list
}

/// Whether an item is about more than what is known of every message.
pub fn needs_bytes(names: &[MessageDataItemName<'_>]) -> bool {
    names.iter().any(|name| {
        !matches!(
            name,
            MessageDataItemName::Flags
                | MessageDataItemName::Uid
                | MessageDataItemName::InternalDate
                | MessageDataItemName::Rfc822Size
        )
    })
}

/// Fetches items of a message whose bytes are `raw`; `None` for an item that is not served.
pub fn fetch(
    message: &Message,
    raw: &[u8],
    names: &[MessageDataItemName<'_>],
    recent: bool,
) -> Option<Fetched> {
    // Parsing is only worth it for items that look inside.
    let mut parsed: Option<Part> = None;
    let mut part = || parsed.get_or_insert_with(|| Part::of_message(raw)).clone();
    let mut out = Fetched { items: Vec::new(), seen: false, read: false };
    for name in names {
        let item = match name {
            MessageDataItemName::Flags => format!("FLAGS ({})", message.flag_list(recent)).into_bytes(),
            MessageDataItemName::Uid => format!("UID {}", message.uid).into_bytes(),
            MessageDataItemName::InternalDate => {
                format!("INTERNALDATE \"{}\"", message.at.format("%d-%b-%Y %H:%M:%S +0000")).into_bytes()
            }
            MessageDataItemName::Rfc822Size => format!("RFC822.SIZE {}", message.size).into_bytes(),
            MessageDataItemName::Envelope => {
                format!("ENVELOPE {}", envelope(raw, Part::slice(raw, &part().header))).into_bytes()
            }
            MessageDataItemName::Body => format!("BODY {}", structure(raw, &part(), false)).into_bytes(),
            MessageDataItemName::BodyStructure => {
                format!("BODYSTRUCTURE {}", structure(raw, &part(), true)).into_bytes()
            }
            MessageDataItemName::Rfc822 => {
                (out.seen, out.read) = (true, true);
                literal("RFC822", raw)
            }
            MessageDataItemName::Rfc822Header => literal("RFC822.HEADER", Part::slice(raw, &part().header)),
            MessageDataItemName::Rfc822Text => {
                (out.seen, out.read) = (true, true);
                literal("RFC822.TEXT", Part::slice(raw, &part().body))
            }
            MessageDataItemName::BodyExt { section, partial, peek } => {
                out.seen |= !peek;
                out.read |= reads_content(section.as_ref());
                let (label, bytes) = section_bytes(raw, &part(), section.as_ref());
                body_item(&label, &bytes, *partial)
            }
            MessageDataItemName::Binary { section, partial, peek } => {
                (out.seen, out.read) = (out.seen || !peek, true);
                let (label, bytes) = binary(raw, &part(), section)?;
                let numbers: Vec<u32> = section.iter().map(|number| number.get()).collect();
                let decoded = !numbers.is_empty() && part().find(&numbers).is_some_and(Part::is_encoded);
                binary_item(&label, &bytes, *partial, decoded)
            }
            MessageDataItemName::BinarySize { section } => {
                let (label, bytes) = binary(raw, &part(), section)?;
                format!("BINARY.SIZE[{label}] {}", bytes.len()).into_bytes()
            }
            #[expect(
                unreachable_patterns,
                reason = "which items there are depends on features that others may set"
            )]
            _ => return None,
        };
        out.items.push(item);
    }
    Some(out)
}

fn reads_content(section: Option<&Section<'_>>) -> bool {
    !matches!(
        section,
        Some(
            Section::Header(_) | Section::HeaderFields(..) | Section::HeaderFieldsNot(..) | Section::Mime(_)
        )
    )
}

fn literal(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = format!("{name} {{{}}}\r\n", bytes.len()).into_bytes();
    out.extend_from_slice(bytes);
    out
}

fn body_item(label: &str, bytes: &[u8], partial: Option<(u32, NonZeroU32)>) -> Vec<u8> {
    let Some((start, count)) = partial else { return literal(&format!("BODY[{label}]"), bytes) };
    let from = usize::try_from(start).unwrap_or(usize::MAX).min(bytes.len());
    let to = from.saturating_add(usize::try_from(count.get()).unwrap_or(usize::MAX)).min(bytes.len());
    literal(&format!("BODY[{label}]<{start}>"), bytes.get(from..to).unwrap_or_default())
}

/// Label and decoded content of a part (RFC 3516); `None` if its encoding is not known.
fn binary(raw: &[u8], whole: &Part, section: &[NonZeroU32]) -> Option<(String, Vec<u8>)> {
    let numbers: Vec<u32> = section.iter().map(|number| number.get()).collect();
    let label = numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
    if numbers.is_empty() {
        return Some((label, raw.to_vec()));
    }
    let Some(part) = whole.find(&numbers) else { return Some((label, Vec::new())) };
    let body = Part::slice(raw, &part.body);
    let bytes = match part.encoding.as_str() {
        "7bit" | "8bit" | "binary" => body.to_vec(),
        "base64" => {
            let text: Vec<u8> = body.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
            STANDARD.decode(text).unwrap_or_default()
        }
        "quoted-printable" => quoted_printable(body),
        _ => return None,
    };
    Some((label, bytes))
}

fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'=' {
            out.push(*first);
        } else if let Some(after) = tail.strip_prefix(b"\r\n").or_else(|| tail.strip_prefix(b"\n")) {
            rest = after;
        } else if let Some(byte) = tail.get(..2).and_then(|digits| hex::decode(digits).ok()?.first().copied())
        {
            out.push(byte);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            out.push(b'=');
        }
    }
    out
}

/// What was decoded may hold anything and is announced with a tilde (RFC 3516, 7).
fn binary_item(label: &str, bytes: &[u8], partial: Option<(u32, NonZeroU32)>, decoded: bool) -> Vec<u8> {
    let item = body_item(label, bytes, partial);
    let item = item.get("BODY".len()..).unwrap_or_default();
    let open = item.iter().position(|b| *b == b'{').unwrap_or(0);
    let (head, literal) = item.split_at(open);
    let mark: &[u8] = if decoded { b"~" } else { b"" };
    [b"BINARY", head, mark, literal].concat()
}

/// Label and bytes of a section.
fn section_bytes(raw: &[u8], whole: &Part, section: Option<&Section<'_>>) -> (String, Vec<u8>) {
    let Some(section) = section else { return (String::new(), raw.to_vec()) };
    let path = |part: &imap_codec::imap_types::fetch::Part| -> Vec<u32> {
        part.0.as_ref().iter().map(|number| number.get()).collect()
    };
    let label = |numbers: &[u32], tail: &str| {
        let mut words: Vec<String> = numbers.iter().map(u32::to_string).collect();
        if !tail.is_empty() {
            words.push(tail.to_owned());
        }
        words.join(".")
    };
    // HEADER and TEXT of a numbered part speak of the message that it wraps.
    let inner = |numbers: &[u32]| -> Option<&Part> {
        if numbers.is_empty() {
            Some(whole)
        } else {
            whole.find(numbers).filter(|part| part.is_message())?.children.first()
        }
    };
    match section {
        Section::Part(part) => {
            let numbers = path(part);
            let bytes = whole.find(&numbers).map(|part| Part::slice(raw, &part.body).to_vec());
            (label(&numbers, ""), bytes.unwrap_or_default())
        }
        Section::Mime(part) => {
            let numbers = path(part);
            let bytes = whole.find(&numbers).map(|part| Part::slice(raw, &part.header).to_vec());
            (label(&numbers, "MIME"), bytes.unwrap_or_default())
        }
        Section::Header(part) => {
            let numbers = part.as_ref().map(path).unwrap_or_default();
            let bytes = inner(&numbers).map(|part| Part::slice(raw, &part.header).to_vec());
            (label(&numbers, "HEADER"), bytes.unwrap_or_default())
        }
        Section::Text(part) => {
            let numbers = part.as_ref().map(path).unwrap_or_default();
            let bytes = inner(&numbers).map(|part| Part::slice(raw, &part.body).to_vec());
            (label(&numbers, "TEXT"), bytes.unwrap_or_default())
        }
        Section::HeaderFields(part, names) | Section::HeaderFieldsNot(part, names) => {
            let wanted = matches!(section, Section::HeaderFields(..));
            let numbers = part.as_ref().map(path).unwrap_or_default();
            let listed: Vec<String> =
                names.as_ref().iter().map(|name| astring(name).to_uppercase()).collect();
            let tail = format!(
                "{} ({})",
                if wanted { "HEADER.FIELDS" } else { "HEADER.FIELDS.NOT" },
                listed.join(" ")
            );
            let mut bytes = Vec::new();
            if let Some(part) = inner(&numbers) {
                for (name, field) in fields(Part::slice(raw, &part.header)) {
                    if listed.iter().any(|one| one.as_bytes().eq_ignore_ascii_case(name)) == wanted {
                        bytes.extend_from_slice(field);
                    }
                }
                bytes.extend_from_slice(b"\r\n");
            }
            (label(&numbers, &tail), bytes)
        }
    }
}

/// An astring as text.
pub fn astring(text: &AString<'_>) -> String {
    String::from_utf8_lossy(text.as_ref()).into_owned()
}
