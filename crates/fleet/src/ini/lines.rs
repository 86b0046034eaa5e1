//! INI syntax with positions: sections, keys, values, and the line of each.
//!
//! Of the kept crates, `rust-ini` and `configparser` forget the line that a key stood on and stop at the first error;
//! we promise all errors in one go, each with its line, so these hundred lines are ours. The dialect is Python's
//! `configparser` (the files in use were written for it): `=` or `:` between key and value, comment lines begin with `#` or
//! `;`, an indented line continues the value above it, keys are not case-sensitive. Unlike there, a blank line
//! ends a value. What keys mean is the affair of [`super::sections`].

use std::collections::HashMap;

use super::error::{Errors, IniProblem};

/// A section and its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// What stands between the brackets, trimmed.
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) entries: Vec<Entry>,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Lower-case.
    pub(super) key: String,
    /// Trimmed; continuation lines are joined by line feeds.
    pub(super) value: String,
    pub(super) line: usize,
}

/// Reads every section; lines that cannot be read become errors and are skipped.
pub(super) fn read(text: &str, errors: &mut Errors) -> Vec<Section> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut sections: Vec<Section> = Vec::new();
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut keys: HashMap<String, usize> = HashMap::new();
    // Indent of the key whose value may go on; `None` after a blank line, a header or a bad line.
    let mut open: Option<usize> = None;
    for (number, raw) in (1..).zip(lines(text)) {
        let content = raw.trim();
        if content.is_empty() {
            open = None;
            continue;
        }
        if content.starts_with(['#', ';']) {
            continue;
        }
        let indent = raw.chars().take_while(|c| c.is_whitespace()).count();
        if let (Some(start), Some(entry)) = (open, sections.last_mut().and_then(|s| s.entries.last_mut()))
            && indent > start
        {
            entry.value.push('\n');
            entry.value.push_str(content);
            continue;
        }
        open = None;
        let section = sections.last().map(|s| s.name.clone());
        if let Some(rest) = content.strip_prefix('[') {
            let Some(name) = header(rest) else {
                errors.push(section, number, IniProblem::Header(content.into()));
                continue;
            };
            if let Some(first) = names.insert(name.to_lowercase(), number) {
                errors.push(Some(name.to_owned()), number, IniProblem::DuplicateSection { first });
            }
            keys.clear();
            sections.push(Section { name: name.to_owned(), line: number, entries: Vec::new() });
            continue;
        }
        let Some((key, value)) = content.split_once(['=', ':']).filter(|(key, _)| !key.trim().is_empty())
        else {
            errors.push(section, number, IniProblem::Line(content.into()));
            continue;
        };
        let Some(current) = sections.last_mut() else {
            errors.push(None, number, IniProblem::NoSection(content.into()));
            continue;
        };
        let key = key.trim().to_lowercase();
        open = Some(indent);
        if let Some(first) = keys.insert(key.clone(), number) {
            errors.push(section, number, IniProblem::DuplicateKey { key: key.as_str().into(), first });
        }
        current.entries.push(Entry { key, value: value.trim().to_owned(), line: number });
    }
    sections
}

/// The name in `name]`, with nothing but a comment after it.
fn header(rest: &str) -> Option<&str> {
    let (name, after) = rest.rsplit_once(']').map(|(name, after)| (name.trim(), after.trim()))?;
    // A bracket inside a trailing comment belongs to the comment.
    let (name, after) = match name.split_once(']') {
        Some((inner, comment)) => (inner.trim(), comment.trim()),
        None => (name, after),
    };
    let clean = after.is_empty() || after.starts_with(['#', ';']);
    (clean && !name.is_empty() && !name.contains(['[', ']'])).then_some(name)
}

/// Lines ended by LF, CRLF or a lone CR.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_ok(text: &str) -> Vec<Section> {
        let mut errors = Errors::default();
        let sections = read(text, &mut errors);
        assert_eq!(errors.finish(), None);
        sections
    }

    #[test]
    fn lines_are_counted_whatever_ends_them() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["\u{feff}# note", "[A]  ; why", "", "Key = a=b", "k2: v"].join(end);
            let sections = read_ok(&text);
            assert_eq!(sections[0].name, "A");
            assert_eq!(sections[0].line, 2);
            assert_eq!(sections[0].entries[0], Entry { key: "key".into(), value: "a=b".into(), line: 4 });
            assert_eq!(sections[0].entries[1].line, 5, "{end:?}");
        }
    }

    #[test]
    fn indented_lines_continue_a_value_and_indented_keys_do_not() {
        let sections = read_ok("[a]\n  k = one\n     two\n  # between\n     three\n  l = x\n\n     m = y\n");
        let entries: Vec<(&str, &str)> =
            sections[0].entries.iter().map(|e| (e.key.as_str(), e.value.as_str())).collect();
        assert_eq!(entries, [("k", "one\ntwo\nthree"), ("l", "x"), ("m", "y")]);
    }

    #[test]
    fn bad_lines_are_all_named() {
        let mut errors = Errors::default();
        read("early = 1\n[a\n[]\n[b] x\n[c]\nnonsense\n= v\nk=1\nK=2\n[C]\n", &mut errors);
        let lines: Vec<usize> = errors.finish().unwrap().errors.iter().map(|e| e.line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 6, 7, 9, 10]);
    }
}
