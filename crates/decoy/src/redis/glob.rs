//! Patterns of KEYS, SCAN, CONFIG GET and PSUBSCRIBE: `*`, `?`, `[a-z]`, `[^x]`, backslash.
//!
//! Iterative with one point of return, so that a hostile pattern costs at most pattern times text.

/// Whether `text` matches `pattern`.
pub fn matches(pattern: &[u8], text: &[u8], fold: bool) -> bool {
    let same = |a: u8, b: u8| if fold { a.eq_ignore_ascii_case(&b) } else { a == b };
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match (pattern.get(p), text.get(t)) {
            (Some(b'*'), _) => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            (None, None) => return true,
            (Some(b'?'), Some(_)) => Some(1),
            (Some(b'['), Some(byte)) => {
                class(pattern.get(p + 1..).unwrap_or_default(), *byte, fold).map(|used| used + 1)
            }
            (Some(b'\\'), Some(byte)) => match pattern.get(p + 1) {
                Some(quoted) => same(*quoted, *byte).then_some(2),
                None => same(b'\\', *byte).then_some(1),
            },
            (Some(literal), Some(byte)) => same(*literal, *byte).then_some(1),
            _ => None,
        };
        match (step, retry) {
            (Some(used), _) => {
                p += used;
                t += 1;
            }
            (None, Some((after, from))) if from < text.len() => {
                retry = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

/// Length of the class after `[` if it holds the byte.
fn class(pattern: &[u8], byte: u8, fold: bool) -> Option<usize> {
    let low = |b: u8| if fold { b.to_ascii_lowercase() } else { b };
    let negated = pattern.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    loop {
        match (pattern.get(at), pattern.get(at + 1), pattern.get(at + 2)) {
            (Some(b'\\'), Some(quoted), _) => {
                found |= low(*quoted) == low(byte);
                at += 2;
            }
            (Some(b']'), _, _) => return (found != negated).then_some(at + 1),
            // An unclosed class ends with the pattern.
            (None, _, _) => return (found != negated).then_some(at),
            (Some(from), Some(b'-'), Some(to)) => {
                let (from, to) = (low(*from).min(low(*to)), low(*from).max(low(*to)));
                found |= (from..=to).contains(&low(byte));
                at += 3;
            }
            (Some(other), _, _) => {
                found |= low(*other) == low(byte);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_of_the_manual() {
        for (pattern, text, want) in [
            ("*", "", true),
            ("h?llo", "hello", true),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[a-b]llo", "hbllo", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("session:*", "session:1", true),
            ("*a*b*c", "xxaxxbxxd", false),
            ("[", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes(), false), want, "{pattern} {text}");
        }
        assert!(matches(b"MAX*", b"maxmemory", true));
        // Exponential for a naive matcher.
        assert!(!matches(b"a*a*a*a*a*a*a*a*a*a*a*a*a*b", &[b'a'; 4000], false));
    }

    proptest! {
        #[test]
        fn any_pattern_ends(pattern in proptest::collection::vec(any::<u8>(), 0..30), text in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = matches(&pattern, &text, true);
            let escaped: Vec<u8> = text.iter().flat_map(|b| [b'\\', *b]).collect();
            prop_assert!(matches(&escaped, &text, false));
        }
    }
}
