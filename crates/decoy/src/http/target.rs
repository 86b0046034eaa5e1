//! Request targets: from the bytes in the request line to a path that can be looked up, as the claimed server reads them.
//!
//! A path that leaves the root never comes out of here, so whoever maps paths to files need not check again
//! for `..`. It deliberately does not look anything up.

use super::server::Family;

/// A target, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Absolute path, percent-decoded, without dot segments or double slashes.
    pub path: String,
    /// The query as sent.
    pub query: Option<String>,
}

/// How a bad target is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 400.
    Bad,
    /// 404.
    Missing,
}

/// Reads a target.
pub fn read(raw: &[u8], family: Family) -> Result<Target, Refusal> {
    let path_on = match raw.windows(3).position(|w| w == b"://").filter(|_| !raw.starts_with(b"/")) {
        Some(at) => {
            let rest = raw.get(at + 3..).unwrap_or_default();
            let slash = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
            rest.get(slash..).unwrap_or_default()
        }
        None => raw,
    };
    let path_on = if family == Family::Nginx {
        path_on.split(|b| *b == b'#').next().unwrap_or_default()
    } else {
        path_on
    };
    let (path, query) = match path_on.iter().position(|b| *b == b'?') {
        Some(at) => (path_on.get(..at), path_on.get(at + 1..)),
        None => (Some(path_on), None),
    };
    let decoded = decode(path.unwrap_or_default(), family)?;
    let mut segments: Vec<&[u8]> = Vec::new();
    let trailing = decoded.ends_with(b"/") || decoded.ends_with(b"/.") || decoded.ends_with(b"/..");
    for segment in decoded.split(|b| *b == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => {
                segments.pop().ok_or(Refusal::Bad)?;
            }
            other => segments.push(other),
        }
    }
    let mut out = String::from("/");
    out.push_str(&String::from_utf8_lossy(&segments.join(&b'/')));
    if trailing && !segments.is_empty() {
        out.push('/');
    }
    Ok(Target { path: out, query: query.map(|q| String::from_utf8_lossy(q).into_owned()) })
}

fn decode(path: &[u8], family: Family) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::with_capacity(path.len());
    let mut at = 0;
    while let Some(byte) = path.get(at) {
        if *byte == b'%' {
            let value = path.get(at + 1..at + 3).and_then(hex_pair).ok_or(Refusal::Bad)?;
            match (value, family) {
                (0, Family::Nginx) => return Err(Refusal::Bad),
                // Apache hides what it cannot map (`AllowEncodedSlashes Off`).
                (0 | b'/', Family::Apache) => return Err(Refusal::Missing),
                _ => out.push(value),
            }
            at += 3;
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    Ok(out)
}

/// Value of two hexadecimal digits.
pub fn hex_pair(digits: &[u8]) -> Option<u8> {
    match digits {
        [high, low] => {
            let nibble = |b: u8| char::from(b).to_digit(16).and_then(|v| u8::try_from(v).ok());
            Some(nibble(*high)? << 4 | nibble(*low)?)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn targets_as_the_real_servers_read_them() {
        use Family::{Apache, Nginx};
        let path = |raw: &str, family| read(raw.as_bytes(), family).map(|target| target.path);
        for family in [Nginx, Apache] {
            assert_eq!(path("/", family).as_deref(), Ok("/"));
            assert_eq!(path("//style.css", family).as_deref(), Ok("/style.css"));
            assert_eq!(path("/%73tyle.css?x=%zz", family).as_deref(), Ok("/style.css"));
            assert_eq!(path("http://foo.bar/style.css", family).as_deref(), Ok("/style.css"));
            assert_eq!(path("/a/../b/./c/", family).as_deref(), Ok("/b/c/"));
            assert_eq!(path("/../../etc/passwd", family), Err(Refusal::Bad));
            assert_eq!(path("/.%2e/.%2e/etc/passwd", family), Err(Refusal::Bad));
            assert_eq!(path("/%zz", family), Err(Refusal::Bad));
            assert_eq!(path("/r?u=http://x/", family).as_deref(), Ok("/r"));
        }
        assert_eq!(path("/%00", Nginx), Err(Refusal::Bad));
        assert_eq!(path("/%00", Apache), Err(Refusal::Missing));
        assert_eq!(path("/a%2fb", Apache), Err(Refusal::Missing));
        assert_eq!(path("/style.css#a", Nginx).as_deref(), Ok("/style.css"));
    }

    proptest! {
        #[test]
        fn no_target_leaves_the_root(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
            for family in [Family::Nginx, Family::Apache] {
                if let Ok(target) = read(&raw, family) {
                    prop_assert!(target.path.starts_with('/'));
                    prop_assert!(target.path.split('/').all(|segment| segment != ".." && segment != "."));
                }
            }
        }
    }
}
