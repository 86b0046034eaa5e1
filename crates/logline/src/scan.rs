//! The one reader of log lines: total over any bytes, bounded, and exact about where a bad line goes wrong.

use chrono::{DateTime, Utc};

use crate::{
    MAX_SCAN, SD_ID,
    record::{Fields, Record, Severity},
    text::is_hostile,
};

/// Fields of one line; beyond that the line is not ours.
const MAX_FIELDS: usize = 512;

/// Why a line is no record, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {offset}")]
pub struct ScanError {
    /// Byte within the line.
    pub offset: usize,
    /// What was expected there.
    pub reason: &'static str,
}

/// Reads one line; a line end at its end is ignored.
pub fn scan(line: &[u8]) -> Result<Record, ScanError> {
    if line.len() > MAX_SCAN {
        return Err(ScanError { offset: MAX_SCAN, reason: "line longer than 256 KiB" });
    }
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line)
        .map_err(|e| ScanError { offset: e.valid_up_to(), reason: "bytes that are not UTF-8" })?;
    if let Some((offset, _)) = text.char_indices().find(|(_, c)| is_hostile(*c)) {
        return Err(ScanError { offset, reason: "a control character" });
    }
    let mut cursor = Cursor { text, at: 0 };
    let severity = cursor.pri()?;
    cursor.expect("1 ", "version 1 and a blank")?;
    let timestamp = cursor.timestamp()?;
    let hostname = cursor.token(255, "HOSTNAME and a blank")?.to_owned();
    let app_name = cursor.token(48, "APP-NAME and a blank")?.to_owned();
    cursor.token(128, "PROCID and a blank")?;
    let msgid = cursor.token(32, "MSGID and a blank")?.to_owned();
    let fields = cursor.structured_data()?;
    let msg = match cursor.rest() {
        "" => None,
        rest => Some(rest.strip_prefix(' ').ok_or(cursor.error("a blank before the message"))?.to_owned()),
    };
    Ok(Record { severity, timestamp, hostname, app_name, msgid, fields, msg })
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn error(&self, reason: &'static str) -> ScanError {
        ScanError { offset: self.at, reason }
    }

    fn eat(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.at += prefix.len();
        }
        found
    }

    fn expect(&mut self, prefix: &str, reason: &'static str) -> Result<(), ScanError> {
        if self.eat(prefix) { Ok(()) } else { Err(self.error(reason)) }
    }

    /// Everything up to `end` (not included, but passed).
    fn until(&mut self, end: char, reason: &'static str) -> Result<&'a str, ScanError> {
        let (head, _) = self.rest().split_once(end).ok_or(self.error(reason))?;
        self.at += head.len() + end.len_utf8();
        Ok(head)
    }

    fn pri(&mut self) -> Result<Severity, ScanError> {
        let start = self.error("<PRI>, a number from 0 to 191 in angle brackets");
        if !self.eat("<") {
            return Err(start);
        }
        let digits = self.until('>', start.reason)?;
        let decimal = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        match digits.parse::<u8>() {
            Ok(pri) if decimal && pri <= 191 => Ok(Severity::of_pri(pri)),
            _ => Err(start),
        }
    }

    fn timestamp(&mut self) -> Result<DateTime<Utc>, ScanError> {
        let start = self.error("an RFC 3339 time and a blank");
        let text = self.until(' ', start.reason)?;
        DateTime::parse_from_rfc3339(text).map(|t| t.to_utc()).map_err(|_| start)
    }

    fn token(&mut self, max: usize, reason: &'static str) -> Result<&'a str, ScanError> {
        let start = self.error(reason);
        let token = self.until(' ', reason)?;
        let good = (1..=max).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic());
        if good { Ok(token) } else { Err(start) }
    }

    /// `-` or one or more elements; only the fields of [`SD_ID`] are kept.
    fn structured_data(&mut self) -> Result<Fields, ScanError> {
        let mut fields = Fields::new();
        if self.eat("-") {
            return Ok(fields);
        }
        let mut elements = 0;
        while self.eat("[") {
            elements += 1;
            let id_end = self.rest().find([' ', ']']).ok_or(self.error("the end of an element"))?;
            let id = self.rest().get(..id_end).unwrap_or("");
            let ours = id == SD_ID;
            if id.is_empty() || !id.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(self.error("an SD-ID"));
            }
            self.at += id_end;
            while self.eat(" ") {
                let (name, value) = self.param()?;
                if ours {
                    fields.push_scanned(name, value);
                }
                if fields.len() > MAX_FIELDS {
                    return Err(self.error("at most 512 fields"));
                }
            }
            self.expect("]", "`]` or a blank and a field")?;
        }
        if elements == 0 { Err(self.error("`-` or structured data")) } else { Ok(fields) }
    }

    fn param(&mut self) -> Result<(String, String), ScanError> {
        let start = self.error("a field name and `=`");
        let name = self.until('=', start.reason)?;
        let good = |b: u8| b.is_ascii_graphic() && !matches!(b, b']' | b'"');
        if !(1..=32).contains(&name.len()) || !name.bytes().all(good) {
            return Err(start);
        }
        self.expect("\"", "a quoted value")?;
        let mut value = String::new();
        let mut escaped = false;
        for (i, c) in self.rest().char_indices() {
            match c {
                // RFC 5424 6.3.3: a backslash before anything but these three is itself.
                '\\' | '"' | ']' if escaped => value.push(c),
                '\\' => {
                    escaped = true;
                    continue;
                }
                '"' => {
                    self.at += i + 1;
                    return Ok((name.to_owned(), value));
                }
                ']' => {
                    self.at += i;
                    return Err(self.error("`]` escaped by a backslash"));
                }
                _ => {
                    if escaped {
                        value.push('\\');
                    }
                    value.push(c);
                }
            }
            escaped = false;
        }
        Err(self.error("the closing quote of a value"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"<134>1 2026-03-23T09:14:07.482913+00:00 web-01 http - request [relay@55555 src_ip="203.0.113.9" body="a\"b\\c\]d\u000A" n="1"] seen"#;

    #[test]
    fn a_line_of_ours_reads_back() {
        let record = scan(LINE.as_bytes()).unwrap();
        assert_eq!(record.hostname, "web-01");
        assert_eq!(record.fields.get("body"), Some("a\"b\\c]d\\u000A"));
        assert_eq!(record.msg.as_deref(), Some("seen"));
        assert_eq!(record.severity, Severity::Info);
        assert_eq!(scan(record.encode().as_bytes()).unwrap(), record);
    }

    #[test]
    fn bad_lines_name_the_place() {
        let cases: [(&[u8], usize); 9] = [
            (b"", 0),
            (b"<200>1 - - - - - -", 0),
            (b"<134>2 ", 5),
            (b"<134>1 yesterday web ssh - x -", 7),
            (b"<134>1 2026-03-23T09:14:07Z web ssh - x [relay@55555 a=\"b", 57),
            (b"<134>1 2026-03-23T09:14:07Z web ssh - x [relay@55555 a=\"b]\"]", 57),
            (b"<134>1 2026-03-23T09:14:07Z web ssh - x [relay@55555 a=b]", 55),
            (b"<134>1 2026-03-23T09:14:07Z web ssh - x -oops", 41),
            (b"<134>1 2026-03-23T09:14:07Z web ssh - x - \x1b", 42),
        ];
        for (line, offset) in cases {
            let error = scan(line).unwrap_err();
            assert!(error.offset.abs_diff(offset) <= 1, "{:?}: {error}", String::from_utf8_lossy(line));
        }
        assert_eq!(scan(b"ab\xff").unwrap_err().offset, 2);
        assert_eq!(scan(&vec![b'a'; MAX_SCAN + 1]).unwrap_err().offset, MAX_SCAN);
    }

    #[test]
    fn no_fields_and_foreign_elements() {
        let record =
            scan(b"<131>1 2026-03-23T09:14:07Z web ssh 12 x [other@1 a=\"1\"][relay@55555 b=\"2\"]\r\n")
                .unwrap();
        assert_eq!(record.fields.iter().collect::<Vec<_>>(), [("b", "2")]);
        assert_eq!(record.severity, Severity::Error);
        assert!(scan(b"<134>1 2026-03-23T09:14:07Z web ssh - x -").unwrap().fields.is_empty());
    }
}
