//! What a keyboard makes: dashes, quotation marks and dots of a model become those that people type, unless the author is
//! somebody who pastes what a model wrote.

use super::tongue;

/// A dash that no keyboard has.
const fn is_dash(c: char) -> bool {
    matches!(c, '\u{2012}'..='\u{2015}' | '\u{2e3a}' | '\u{2e3b}')
}

/// A text as its author would have typed it. Ranges (`10–12`, `Mon–Fri`) keep a hyphen, other dashes become a comma.
pub fn typed(text: &str, language: &str) -> String {
    let dense = tongue::is_dense(language);
    let keeps_quotes = tongue::primary(language) == "zh";
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{2032}' if !keeps_quotes => plain.push('\''),
            '\u{201c}'..='\u{201f}' if !keeps_quotes => plain.push('"'),
            '\u{2026}' => plain.push_str("..."),
            '\u{a0}' | '\u{2007}' | '\u{2009}' | '\u{200a}' | '\u{202f}' => plain.push(' '),
            '\u{2010}' | '\u{2011}' => plain.push('-'),
            other => plain.push(other),
        }
    }
    let lines: Vec<String> = plain
        .split('\n')
        .map(|line| {
            if line.contains(is_dash) {
                without_dashes(line, comma(language), dense)
            } else {
                line.to_owned()
            }
        })
        .collect();
    lines.join("\n")
}

/// The same for a program, where a comma would be an error.
pub(super) fn typed_code(text: &str) -> String {
    typed(&text.replace(is_dash, "-"), "en")
}

fn comma(language: &str) -> char {
    match tongue::primary(language).as_str() {
        "zh" => '，',
        "ja" => '、',
        _ => ',',
    }
}

fn without_dashes(line: &str, comma: char, dense: bool) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(is_dash) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let after = from.trim_start_matches(is_dash);
        let is_single_en = from.starts_with('\u{2013}') && from.chars().nth(1).is_none_or(|c| !is_dash(c));
        let spaced = out.ends_with(char::is_whitespace) || after.starts_with(char::is_whitespace);
        let tail = after.trim_start_matches(|c| matches!(c, ' ' | '\t') || is_dash(c));
        let next = tail.chars().next();
        let kept = out.trim_end().len();
        let last = out[..kept].chars().next_back();
        rest = tail;
        match (last, next) {
            // The head of an item, which is a hyphen on every keyboard.
            (None, Some(right)) if !is_pause(right) => out.push_str("- "),
            (None, _) => out.push('-'),
            (Some(_), None) => out.truncate(kept),
            (Some(left), Some(right)) => {
                out.truncate(kept);
                let digits = left.is_ascii_digit() && right.is_ascii_digit();
                let compound = is_single_en && !spaced && left.is_alphanumeric() && right.is_alphanumeric();
                if digits || (compound && !dense) {
                    out.push('-');
                } else {
                    if !is_pause(left) && !is_pause(right) {
                        out.push(comma);
                    }
                    if !dense && !is_pause(right) && !matches!(left, '(' | '"') {
                        out.push(' ');
                    }
                }
            }
        }
    }
    out.push_str(rest);
    out
}

const fn is_pause(c: char) -> bool {
    matches!(c, ',' | ';' | ':' | '.' | '!' | '?' | '(' | ')' | '，' | '。' | '、' | '；' | '：')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dashes_become_commas_and_ranges_hyphens() {
        for (from, to) in [
            ("word — word", "word, word"),
            ("word—word", "word, word"),
            ("word  –  word", "word, word"),
            ("9–17", "9-17"),
            ("10 – 12", "10-12"),
            ("2019—2021", "2019-2021"),
            ("Mon–Fri only", "Mon-Fri only"),
            ("— first item", "- first item"),
            ("the end —", "the end"),
            ("a, — b", "a, b"),
            ("a — , b", "a, b"),
            ("so —— then", "so, then"),
            ("he said — \u{201c}no\u{201d}\u{2026}", "he said, \"no\"..."),
            ("it\u{2019}s 5\u{a0}km", "it's 5 km"),
            ("e\u{2011}mail", "e-mail"),
            ("one — two\nthree — four", "one, two\nthree, four"),
        ] {
            assert_eq!(typed(from, "en"), to, "{from:?}");
        }
        assert_eq!(typed("备份——明天", "zh"), "备份，明天");
        assert_eq!(typed("他说\u{201c}好\u{201d}", "zh"), "他说\u{201c}好\u{201d}");
        assert_eq!(typed_code("# a — b\nx=1 # 3–4"), "# a - b\nx=1 # 3-4");
    }

    proptest! {
        #[test]
        fn nothing_typographic_is_left_and_no_double_space_is_made(text in "[a-z0-9 ,.—–…’“\n]{0,60}") {
            let text: String = text.split('\n').map(|line| line.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join("\n");
            let plain = typed(&text, "en");
            prop_assert!(!plain.contains(['—', '–', '…', '’', '“']), "{plain:?}");
            prop_assert!(!plain.contains("  "), "{text:?} -> {plain:?}");
            prop_assert!(!plain.contains(" ,") || text.contains(" ,"), "{text:?} -> {plain:?}");
            prop_assert_eq!(typed(&plain, "en"), plain.clone(), "again changes nothing");
        }
    }
}
