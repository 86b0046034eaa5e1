//! The words of LOGIN as Dovecot's login process reads them: laxer than the standard's grammar, with its own complaints.
//!
//! A password with `%`, `*` or a backslash needs no quotes here, and a try that is refused as malformed is still
//! evidence; so this is not left to the codec. Nothing is checked against an account.

/// The arguments of a line, or what Dovecot says about them. A list is `None`.
pub fn words(mut rest: &[u8]) -> Result<Vec<Option<Vec<u8>>>, &'static str> {
    let mut found = Vec::new();
    loop {
        let Some((first, tail)) = rest.split_first() else { return Ok(found) };
        match first {
            b' ' => rest = tail,
            b'"' => {
                let (word, after) = quoted(tail)?;
                found.push(Some(word));
                rest = after;
            }
            b'{' => {
                let (word, after) = literal(tail)?;
                found.push(Some(word));
                rest = after;
            }
            b'(' => {
                let end = tail.iter().position(|b| *b == b')').ok_or("Missing ')'")?;
                found.push(None);
                rest = tail.get(end + 1..).unwrap_or_default();
            }
            _ => {
                let end = rest.iter().position(|b| *b == b' ').unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                for byte in word {
                    match byte {
                        b')' => return Err("Unexpected ')'"),
                        b'\r' => return Err("CR sent without LF"),
                        b'"' | b'{' | b'(' | 0x7f | 0..0x20 => return Err("Invalid characters in atom"),
                        0x80.. => return Err("8bit data in atom"),
                        _ => {}
                    }
                }
                found.push(Some(word.to_vec()));
                rest = after;
            }
        }
    }
}

type Word<'a> = (Vec<u8>, &'a [u8]);

/// Up to the closing quote; a backslash protects any byte.
fn quoted(text: &[u8]) -> Result<Word<'_>, &'static str> {
    let mut word = Vec::new();
    let mut bytes = text.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Ok((word, text.get(at + 1..).unwrap_or_default())),
            0 => return Err("NULs not allowed in strings"),
            b'\r' | b'\n' => break,
            b'\\' => word.extend(bytes.next().map(|(_, byte)| *byte)),
            other => word.push(*other),
        }
    }
    Err("Missing '\"'")
}

/// `3}` CRLF and three bytes, with or without a plus.
fn literal(text: &[u8]) -> Result<Word<'_>, &'static str> {
    const BAD: &str = "Invalid literal size";
    let end = text.iter().position(|b| *b == b'}').ok_or(BAD)?;
    let (digits, after) = text.split_at(end);
    let digits = digits.strip_suffix(b"+").unwrap_or(digits);
    let length: usize = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or(BAD)?;
    let body = after.get(1..).and_then(|rest| rest.strip_prefix(b"\r\n")).ok_or(BAD)?;
    let (word, after) = body.split_at_checked(length).ok_or(BAD)?;
    Ok((word.to_vec(), after))
}

/// Whether the login process takes this as a tag.
pub fn is_tag(tag: &[u8]) -> bool {
    !tag.is_empty() && tag.iter().all(|b| b.is_ascii_graphic() && !b"(){%*\"\\]+".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Dovecot 2.3.19.1 answered on a loopback port.
    #[test]
    fn what_is_taken_and_what_is_said() {
        let read = |text: &[u8]| {
            words(text).map(|found| {
                found
                    .into_iter()
                    .map(|word| {
                        word.map_or("list".to_owned(), |word| String::from_utf8_lossy(&word).into_owned())
                    })
                    .collect::<Vec<_>>()
            })
        };
        for (line, expected) in [
            (&b"a b"[..], vec!["a", "b"]),
            (b" a  b ", vec!["a", "b"]),
            (b"a%b *", vec!["a%b", "*"]),
            (b"a\\b c]", vec!["a\\b", "c]"]),
            (b"\"a\\xb\" \"\"", vec!["axb", ""]),
            (b"\"a\"b", vec!["a", "b"]),
            (b"{1}\r\na {1+}\r\nb", vec!["a", "b"]),
            (b"\"a\" (c)", vec!["a", "list"]),
        ] {
            assert_eq!(read(line), Ok(expected.into_iter().map(str::to_owned).collect()));
        }
        for (line, said) in [
            (&b"\"a b"[..], "Missing '\"'"),
            (b"a)b c", "Unexpected ')'"),
            (b"a (b", "Missing ')'"),
            (b"\"pa]ss\"w\\o\" c", "Invalid characters in atom"),
            (b"a{b c", "Invalid characters in atom"),
            (b"a \x01b", "Invalid characters in atom"),
            (b"\xffa c", "8bit data in atom"),
            (b"\"a\0b\" c", "NULs not allowed in strings"),
            (b"{-1}", "Invalid literal size"),
            (b"{abc}", "Invalid literal size"),
            (b"a\rb c", "CR sent without LF"),
        ] {
            assert_eq!(read(line), Err(said), "{:?}", String::from_utf8_lossy(line));
        }
        for (tag, good) in
            [("a1", true), ("a.b", true), ("a(b", false), ("*", false), ("", false), ("a]b", false)]
        {
            assert_eq!(is_tag(tag.as_bytes()), good, "{tag}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read(line in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80)) {
            let _ = words(&line);
        }
    }
}
