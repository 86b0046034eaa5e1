//! LIST and LSUB with the extended forms of RFC 5258, 5819 and 6154, which the grammar of `imap-codec` does not know:
//! selection options, several patterns, and RETURN with STATUS.

use chrono::{DateTime, Utc};
use imap_codec::imap_types::status::StatusDataItemName;

use super::{
    boxes::{shown, status_items},
    persona::TOOK,
    session::{Session, Step},
};
use crate::mail::{mailbox::Mailbox, world::World};

/// Depth of parentheses.
const DEPTH_MAX: usize = 4;
/// Names are short; an endless pattern is nobody's wish.
const PATTERN_MAX: usize = 512;
/// Patterns of one command.
const PATTERNS_MAX: usize = 20;

/// What is listed and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one for each option of the command")]
pub struct Request {
    /// LSUB.
    pub lsub: bool,
    /// Put before each pattern.
    pub reference: String,
    /// Names with `*` and `%`.
    pub patterns: Vec<String>,
    /// Any option was given, so that only what is asked for is told.
    extended: bool,
    only_subscribed: bool,
    only_special: bool,
    subscribed: bool,
    children: bool,
    special: bool,
    status: Option<Vec<StatusDataItemName>>,
}

/// A word or a list of them.
enum Value {
    Text(String),
    List(Vec<Value>),
}

impl Request {
    /// The plain form.
    pub fn plain(lsub: bool, reference: String, pattern: String) -> Self {
        Self { lsub, reference, patterns: vec![pattern], ..Self::default() }
    }

    /// Reads the arguments of an extended LIST; what is wrong in Dovecot's words.
    pub fn parse(arguments: &[u8]) -> Result<Self, String> {
        const BAD: &str = "Invalid arguments";
        let mut values = Vec::new();
        let mut rest = arguments;
        while !rest.is_empty() {
            let (value, after) = value(rest, 0).ok_or_else(|| BAD.to_owned())?;
            values.push(value);
            rest = after;
        }
        let mut values = values.into_iter().peekable();
        let mut request = Self::default();
        if let Some(Value::List(options)) = values.next_if(|value| matches!(value, Value::List(_))) {
            request.extended = true;
            let others = options.iter().any(|option| option.text() != "RECURSIVEMATCH");
            if !others && !options.is_empty() {
                return Err("RECURSIVEMATCH must not be the only selection".to_owned());
            }
            for option in options {
                match option.text().as_str() {
                    "SUBSCRIBED" => (request.only_subscribed, request.subscribed) = (true, true),
                    "SPECIAL-USE" => (request.only_special, request.special) = (true, true),
                    "REMOTE" | "RECURSIVEMATCH" => {}
                    _ => return Err("Unknown select options".to_owned()),
                }
            }
        }
        let Some(Value::Text(reference)) = values.next() else { return Err(BAD.to_owned()) };
        request.reference = reference;
        request.patterns = match values.next().ok_or("Invalid pattern")? {
            Value::Text(pattern) => vec![pattern],
            Value::List(patterns) => {
                request.extended = true;
                let text = |value| if let Value::Text(text) = value { Some(text) } else { None };
                patterns.into_iter().take(PATTERNS_MAX).filter_map(text).collect()
            }
        };
        match (values.next(), values.next()) {
            (None, _) => {}
            (Some(word), Some(Value::List(options))) if word.text() == "RETURN" => {
                if values.next().is_some() {
                    return Err("Extra arguments".to_owned());
                }
                request.returning(options)?;
            }
            _ => return Err(BAD.to_owned()),
        }
        Ok(request)
    }

    fn returning(&mut self, options: Vec<Value>) -> Result<(), String> {
        self.extended = true;
        let mut options = options.into_iter();
        while let Some(option) = options.next() {
            match option.text().as_str() {
                "SUBSCRIBED" => self.subscribed = true,
                "CHILDREN" => self.children = true,
                "SPECIAL-USE" => self.special = true,
                "STATUS" => {
                    let Some(Value::List(items)) = options.next() else {
                        return Err("Invalid arguments".to_owned());
                    };
                    let known = |item: &Value| {
                        let name = item.text();
                        status_item(&name).ok_or_else(|| format!("Invalid status item {name}"))
                    };
                    self.status = Some(items.iter().map(known).collect::<Result<_, _>>()?);
                }
                _ => return Err("Unknown return options".to_owned()),
            }
        }
        Ok(())
    }
}

impl Value {
    /// A word in capitals; nothing for a list.
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.to_uppercase(),
            Self::List(_) => String::new(),
        }
    }
}

fn status_item(name: &str) -> Option<StatusDataItemName> {
    Some(match name {
        "MESSAGES" => StatusDataItemName::Messages,
        "RECENT" => StatusDataItemName::Recent,
        "UIDNEXT" => StatusDataItemName::UidNext,
        "UIDVALIDITY" => StatusDataItemName::UidValidity,
        "UNSEEN" => StatusDataItemName::Unseen,
        "SIZE" => StatusDataItemName::Size,
        _ => return None,
    })
}

/// The first value and what follows it and its space.
fn value(text: &[u8], depth: usize) -> Option<(Value, &[u8])> {
    let (first, tail) = text.split_first()?;
    let (value, rest) = match first {
        b'(' if depth < DEPTH_MAX => {
            let mut list = Vec::new();
            let mut rest = tail;
            loop {
                if let Some(after) = rest.strip_prefix(b")") {
                    break (Value::List(list), after);
                }
                let (one, after) = value(rest, depth + 1)?;
                list.push(one);
                rest = after;
            }
        }
        b'"' => {
            let mut word = Vec::new();
            let mut at = 0;
            loop {
                match tail.get(at)? {
                    b'"' => break,
                    b'\\' => {
                        word.push(*tail.get(at + 1)?);
                        at += 2;
                    }
                    byte => {
                        word.push(*byte);
                        at += 1;
                    }
                }
            }
            (Value::Text(String::from_utf8_lossy(&word).into_owned()), tail.get(at + 1..)?)
        }
        b'{' => {
            let end = tail.iter().position(|b| *b == b'}')?;
            let digits = std::str::from_utf8(tail.get(..end)?).ok()?.trim_end_matches('+');
            let body = tail.get(end + 1..)?.strip_prefix(b"\r\n")?;
            let (word, rest) = body.split_at_checked(digits.parse().ok()?)?;
            (Value::Text(String::from_utf8_lossy(word).into_owned()), rest)
        }
        b' ' | b')' | b'(' => return None,
        _ => {
            let end = text.iter().position(|b| b" ()\"".contains(b)).unwrap_or(text.len());
            (Value::Text(String::from_utf8_lossy(text.get(..end)?).into_owned()), text.get(end..)?)
        }
    };
    match rest.split_first() {
        None => Some((value, rest)),
        Some((b' ', after)) => Some((value, after)),
        Some((b')', _)) if depth > 0 => Some((value, rest)),
        _ => None,
    }
}

/// Answers a request.
pub fn list(
    session: &Session,
    world: &mut World,
    tag: &str,
    request: &Request,
    now: DateTime<Utc>,
    step: &mut Step,
) {
    let (word, done) = if request.lsub { ("LSUB", "Lsub") } else { ("LIST", "List") };
    let reference = if request.reference == "INBOX" { "" } else { request.reference.as_str() };
    if request.patterns.iter().all(String::is_empty) && !request.lsub {
        if !request.extended {
            step.line("* LIST (\\Noselect) \".\" \"\"");
        }
        step.line(format!("{tag} OK List completed {TOOK}"));
        return;
    }
    let wanted: Vec<String> = request
        .patterns
        .iter()
        .map(|pattern| format!("{reference}{pattern}").chars().take(PATTERN_MAX).collect())
        .collect();
    let hit = |name: &str| {
        wanted.iter().any(|wanted| {
            if name == "INBOX" {
                matches(wanted.to_uppercase().as_bytes(), name.as_bytes())
            } else {
                matches(wanted.as_bytes(), name.as_bytes())
            }
        })
    };
    let login = session.user.as_deref().unwrap_or_default();
    if let Some(account) = world.account(login, now) {
        let chosen = |mailbox: &Mailbox| {
            (mailbox.subscribed || !(request.lsub || request.only_subscribed))
                && (mailbox.special_use.is_some() || !request.only_special)
        };
        // Dovecot lists INBOX last.
        let mut names: Vec<(&str, &Mailbox)> =
            account.iter().filter(|(name, mailbox)| hit(name) && chosen(mailbox)).collect();
        names.sort_by_key(|(name, _)| *name == "INBOX");
        for (name, mailbox) in names {
            let mut flags: Vec<&str> = Vec::new();
            if request.subscribed && mailbox.subscribed {
                flags.push("\\Subscribed");
            }
            if request.children || !request.extended && !request.lsub {
                flags.push(if account.has_children(name) { "\\HasChildren" } else { "\\HasNoChildren" });
            }
            if request.special || !request.extended {
                flags.extend(mailbox.special_use);
            }
            step.line(format!("* {word} ({}) \".\" {}", flags.join(" "), shown(name)));
            if let Some(items) = &request.status {
                step.line(format!("* STATUS {} ({})", shown(name), status_items(mailbox, items)));
            }
        }
    }
    step.line(format!("{tag} OK {done} completed {TOOK}"));
}

/// `*` matches anything, `%` anything but a separator.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // `reach[j]`: the pattern so far matches the first j bytes of the name.
    let mut reach = vec![false; name.len() + 1];
    if let Some(first) = reach.first_mut() {
        *first = true;
    }
    for symbol in pattern {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            let here = reach.get(at).copied().unwrap_or(false);
            let before = at.checked_sub(1).and_then(|before| name.get(before)).copied();
            let hit = match symbol {
                b'*' => here || (at > 0 && next.get(at - 1).copied().unwrap_or(false)),
                b'%' => {
                    here || (at > 0 && next.get(at - 1).copied().unwrap_or(false) && before != Some(b'.'))
                }
                literal => at > 0 && reach.get(at - 1).copied().unwrap_or(false) && before == Some(*literal),
            };
            if let Some(slot) = next.get_mut(at) {
                *slot = hit;
            }
        }
        reach = next;
    }
    reach.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_arguments_are_read_or_refused() {
        let read = |text: &str| Request::parse(text.as_bytes());
        let request =
            read("(SUBSCRIBED REMOTE) \"\" (INBOX \"a \\\"b\" {2}\r\nxy) RETURN (STATUS (UIDNEXT))").unwrap();
        assert_eq!(request.patterns, ["INBOX", "a \"b", "xy"]);
        assert!(request.only_subscribed && request.status == Some(vec![StatusDataItemName::UidNext]));
        for (text, why) in [
            ("", "Invalid arguments"),
            ("\"\"", "Invalid pattern"),
            ("(RECURSIVEMATCH) \"\" x", "RECURSIVEMATCH must not be the only selection"),
            ("(", "Invalid arguments"),
            ("\"\" \"x", "Invalid arguments"),
            ("\"\" {9}\r\nx", "Invalid arguments"),
            ("\"\" x RETURN (", "Invalid arguments"),
            ("\"\" x RETURN (CHILDREN) y", "Extra arguments"),
            ("((((((x)))))) \"\" x", "Invalid arguments"),
            ("(X) \"\" x", "Unknown select options"),
            ("\"\" x RETURN (X)", "Unknown return options"),
            ("\"\" x RETURN (STATUS)", "Invalid arguments"),
            ("\"\" x RETURN (STATUS (X))", "Invalid status item X"),
        ] {
            assert_eq!(read(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn list_patterns() {
        for (pattern, name, want) in [
            ("*", "A.B", true),
            ("%", "A.B", false),
            ("%", "A", true),
            ("A.%", "A.B", true),
            ("A*", "A.B", true),
            ("", "A", false),
            ("%.%", "A.B", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), want, "{pattern} {name}");
        }
    }
}
