//! Requests: RESP arrays of bulk strings and inline commands, as the real server reads them.
//!
//! Redis reads a small part of RESP and has its own words for what is wrong with a request, so this reader is
//! ours; replies are checked against the `redis-protocol` crate in tests. A request never holds more than
//! [`REQUEST_MAX`] bytes. Nothing is executed here.

/// Longest inline request.
const INLINE_MAX: usize = 64 * 1024;
/// Longest bulk string; `CONFIG GET proto-max-bulk-len` says the same.
pub const BULK_MAX: usize = 1024 * 1024;
/// Bytes of one request.
const REQUEST_MAX: usize = BULK_MAX + 64 * 1024;
/// Arguments of one request that the server says it takes (since 7.0; before, a mebi). What counts is [`REQUEST_MAX`].
pub const COUNT_MAX: i64 = i32::MAX as i64;
/// The same of older releases.
pub const COUNT_MAX_OLD: i64 = 1024 * 1024;
/// Longest line that holds a length.
const LENGTH_LINE_MAX: usize = 64 * 1024;

/// What stands at the start of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// More is needed.
    Partial,
    /// A request of this many bytes; an empty list is skipped without an answer.
    Request(Vec<Vec<u8>>, usize),
    /// The connection ends with this error.
    Broken(String),
}

/// Reads the request at the start of `input`, of at most `most` arguments. Before authentication the limits are
/// tighter (`strict`).
pub fn parse(input: &[u8], strict: bool, most: i64) -> Parsed {
    match input.first() {
        None => Parsed::Partial,
        Some(b'*') => array(input, strict, most),
        Some(_) => inline(input),
    }
}

/// Where a request is being read.
struct Cursor<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// A line without its ending; `None` when it is not all there.
    fn line(&mut self) -> Option<&'a [u8]> {
        let rest = self.input.get(self.at..)?;
        let end = rest.iter().position(|b| *b == b'\r')?;
        // The byte after CR is taken to be LF without a look, as upstream does.
        rest.get(end + 1)?;
        self.at += end + 2;
        rest.get(..end)
    }

    fn left(&self) -> usize {
        self.input.len().saturating_sub(self.at)
    }
}

fn array(input: &[u8], strict: bool, most: i64) -> Parsed {
    let mut cursor = Cursor { input, at: 1 };
    let Some(line) = cursor.line() else {
        return if input.len() > LENGTH_LINE_MAX {
            broken("too big mbulk count string")
        } else {
            Parsed::Partial
        };
    };
    let count = match number(line) {
        Some(count) if count <= most => count,
        _ => return broken("invalid multibulk length"),
    };
    if strict && count > 10 {
        return broken("unauthenticated multibulk length");
    }
    // Copied only when all is there: a client that dribbles costs a walk over lengths, no more.
    let mut found = Vec::new();
    for _ in 0..count.max(0) {
        let Some(first) = input.get(cursor.at) else { return partial(input) };
        if *first != b'$' {
            return broken(&format!("expected '$', got '{}'", char::from(*first)));
        }
        cursor.at += 1;
        let Some(line) = cursor.line() else {
            return if cursor.left() > LENGTH_LINE_MAX {
                broken("too big bulk count string")
            } else {
                partial(input)
            };
        };
        let length = match number(line).and_then(|length| usize::try_from(length).ok()) {
            Some(length) if length <= BULK_MAX => length,
            _ => return broken("invalid bulk length"),
        };
        if strict && length > 16384 {
            return broken("unauthenticated bulk length");
        }
        if cursor.left() < length + 2 {
            return partial(input);
        }
        found.push(cursor.at..cursor.at + length);
        cursor.at += length + 2;
    }
    let args = found.into_iter().map(|range| input.get(range).unwrap_or_default().to_vec()).collect();
    Parsed::Request(args, cursor.at)
}

fn partial(input: &[u8]) -> Parsed {
    if input.len() > REQUEST_MAX { broken("invalid bulk length") } else { Parsed::Partial }
}

fn broken(what: &str) -> Parsed {
    Parsed::Broken(format!("ERR Protocol error: {what}"))
}

fn inline(input: &[u8]) -> Parsed {
    // The end is looked for as in a C string: behind a NUL there is none. A TLS hello waits here for ever.
    let Some(end) =
        input.iter().position(|b| matches!(b, b'\n' | 0)).filter(|at| input.get(*at) == Some(&b'\n'))
    else {
        return if input.len() > INLINE_MAX { broken("too big inline request") } else { Parsed::Partial };
    };
    let line = input.get(..end).unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match split(line) {
        Some(args) => Parsed::Request(args, end + 1),
        None => broken("unbalanced quotes in request"),
    }
}

/// Words of an inline request, with shell-like quotes.
fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut bytes = line.iter().copied().peekable();
    let mut words = Vec::new();
    loop {
        while bytes.next_if(u8::is_ascii_whitespace).is_some() {}
        if bytes.peek().is_none() {
            return Some(words);
        }
        let mut word = Vec::new();
        while let Some(byte) = bytes.next_if(|b| !b.is_ascii_whitespace() && *b != 0) {
            match byte {
                b'"' => {
                    loop {
                        match bytes.next()? {
                            b'"' => break,
                            b'\\' => word.push(escaped(&mut bytes)?),
                            other => word.push(other),
                        }
                    }
                    if bytes.peek().is_some_and(|b| !b.is_ascii_whitespace()) {
                        return None;
                    }
                }
                b'\'' => {
                    loop {
                        match bytes.next()? {
                            b'\'' => break,
                            b'\\' if bytes.peek() == Some(&b'\'') => word.extend(bytes.next()),
                            other => word.push(other),
                        }
                    }
                    if bytes.peek().is_some_and(|b| !b.is_ascii_whitespace()) {
                        return None;
                    }
                }
                other => word.push(other),
            }
        }
        bytes.next_if_eq(&0);
        words.push(word);
    }
}

fn escaped(bytes: &mut std::iter::Peekable<impl Iterator<Item = u8> + Clone>) -> Option<u8> {
    Some(match bytes.next()? {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        b'x' => {
            let mut ahead = bytes.clone();
            let digits = [ahead.next().unwrap_or(0), ahead.next().unwrap_or(0)];
            match std::str::from_utf8(&digits).ok().filter(|_| digits.iter().all(u8::is_ascii_hexdigit)) {
                Some(text) => {
                    bytes.next();
                    bytes.next();
                    u8::from_str_radix(text, 16).ok()?
                }
                None => b'x',
            }
        }
        other => other,
    })
}

/// A whole number as the server reads it: no sign but minus, no blanks, no leading zeros.
pub fn number(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let canonical = text == b"0" || digits.first() != Some(&b'0');
    if plain && canonical { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(line: &str) -> Option<Vec<String>> {
        Some(
            split(line.as_bytes())?
                .into_iter()
                .map(|word| String::from_utf8_lossy(&word).into_owned())
                .collect(),
        )
    }

    #[test]
    fn inline_words_and_quotes() {
        assert_eq!(words("  set  a \"b \\x41\\n\" 'c\\'d' ").unwrap(), ["set", "a", "b A\n", "c'd"]);
        assert_eq!(words("").unwrap(), Vec::<String>::new());
        for bad in ["a \"b", "a \"b\"c", "'", "\"\\"] {
            assert_eq!(words(bad), None, "{bad}");
        }
    }

    #[test]
    fn errors_in_the_servers_words() {
        let error = |input: &str| match parse(input.as_bytes(), false, COUNT_MAX) {
            Parsed::Broken(text) => text,
            other => panic!("{input:?}: {other:?}"),
        };
        assert_eq!(error("*a\r\n"), "ERR Protocol error: invalid multibulk length");
        assert_eq!(error("*1\r\n:1\r\n"), "ERR Protocol error: expected '$', got ':'");
        assert_eq!(error("*1\r\n$-5\r\n"), "ERR Protocol error: invalid bulk length");
        assert_eq!(error("*1\r\n$536870912\r\n"), "ERR Protocol error: invalid bulk length");
        assert_eq!(error("GET \"abc\r\n"), "ERR Protocol error: unbalanced quotes in request");
        assert_eq!(error(&"a".repeat(70_000)), "ERR Protocol error: too big inline request");
        assert_eq!(
            parse(b"*11\r\n", true, COUNT_MAX),
            Parsed::Broken("ERR Protocol error: unauthenticated multibulk length".into())
        );
        assert_eq!(parse(b"*-1\r\n", false, COUNT_MAX), Parsed::Request(vec![], 5));
    }

    proptest! {
        #[test]
        fn requests_survive_any_cut(args in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..6), cut in 0usize..200) {
            let mut wire = format!("*{}\r\n", args.len()).into_bytes();
            for arg in &args {
                wire.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
                wire.extend_from_slice(arg);
                wire.extend_from_slice(b"\r\n");
            }
            if cut < wire.len() {
                prop_assert_eq!(parse(&wire[..cut], false, COUNT_MAX), Parsed::Partial);
            }
            let length = wire.len();
            wire.extend_from_slice(b"PING\r\n");
            prop_assert_eq!(parse(&wire, false, COUNT_MAX), Parsed::Request(args, length));
        }

        #[test]
        fn any_bytes_are_read_without_panic(input in proptest::collection::vec(any::<u8>(), 0..300), strict: bool) {
            if let Parsed::Request(_, used) = parse(&input, strict, COUNT_MAX) {
                prop_assert!(used <= input.len() && used > 0);
            }
            let _ = parse(&[b"*2\r\n$", &input[..]].concat(), strict, COUNT_MAX);
        }
    }
}
