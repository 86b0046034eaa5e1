//! Query text to terms. Pure; never panics; the same text always gives the same terms.

use super::{MAX_QUERY, MAX_TERMS, Search, SearchError, Term};

impl Search {
    /// Reads a query. An empty text matches everything.
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        let length = text.chars().count();
        if length > MAX_QUERY {
            return Err(SearchError::TooLong(length));
        }
        let terms: Vec<Term> = tokens(text).into_iter().map(Token::into_term).collect();
        if terms.len() > MAX_TERMS {
            return Err(SearchError::TooManyTerms(terms.len()));
        }
        Ok(Self { terms })
    }

    /// The query matches every line.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }
}

/// A word with its quotes taken away.
#[derive(Default)]
struct Token {
    text: String,
    /// Byte offset of the first colon outside quotes.
    colon: Option<usize>,
}

impl Token {
    fn into_term(self) -> Term {
        let Some(colon) = self.colon else { return Term::Word(self.text) };
        let (key, rest) = self.text.split_at(colon);
        let value = rest.strip_prefix(':').unwrap_or(rest);
        // Addresses (fe80::1), times (12:30) and URLs (http://x) are words, not keys.
        if !is_key(key) || value.is_empty() || value.starts_with(':') || value.starts_with("//") {
            return Term::Word(self.text);
        }
        let value = value.to_owned();
        match key {
            "decky" => Term::Decky(value),
            "service" => Term::Service(value),
            "event" => Term::Event(value),
            "attacker" | "attacker-ip" | "attacker_ip" => Term::Attacker(value),
            _ => Term::Field(key.to_owned(), value),
        }
    }
}

fn is_key(key: &str) -> bool {
    key.len() <= 64
        && key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut current: Option<Token> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => current.get_or_insert_default().text.push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                // A pair of quotes with nothing inside is still a word.
                current.get_or_insert_default();
            }
            (_, '\\') => current.get_or_insert_default().text.push(chars.next().unwrap_or('\\')),
            (None, c) if c.is_whitespace() => tokens.extend(current.take()),
            (None, ':') => {
                let token = current.get_or_insert_default();
                token.colon = token.colon.or(Some(token.text.len()));
                token.text.push(':');
            }
            (_, c) => current.get_or_insert_default().text.push(c),
        }
    }
    tokens.extend(current);
    // An empty word would match every line: it says nothing.
    tokens.retain(|token| !token.text.is_empty());
    tokens
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn terms(text: &str) -> Vec<Term> {
        Search::parse(text).unwrap().terms
    }

    #[test]
    fn columns_fields_and_words() {
        assert_eq!(
            terms("decky:web-01 service:ssh event:auth attacker:1.2.3.4 attacker-ip:::1 username:root wget"),
            vec![
                Term::Decky("web-01".into()),
                Term::Service("ssh".into()),
                Term::Event("auth".into()),
                Term::Attacker("1.2.3.4".into()),
                Term::Word("attacker-ip:::1".into()),
                Term::Field("username".into(), "root".into()),
                Term::Word("wget".into()),
            ]
        );
    }

    #[test]
    fn quotes_and_backslashes() {
        assert_eq!(terms(r#"user:"a b" 'x:y' a\ b "p:"q"#).len(), 4);
        assert_eq!(terms(r#"user:"a b""#), vec![Term::Field("user".into(), "a b".into())]);
        assert_eq!(terms(r#""user:a b""#), vec![Term::Word("user:a b".into())]);
        assert_eq!(terms(r"'a\b'"), vec![Term::Word(r"a\b".into())]);
        assert_eq!(terms(r#""open quote"#), vec![Term::Word("open quote".into())]);
        assert_eq!(terms(r#""" '' "#), vec![]);
        assert_eq!(terms(r"end\"), vec![Term::Word(r"end\".into())]);
    }

    #[test]
    fn addresses_times_and_urls_are_words() {
        for text in ["fe80::1", "2001:db8::7", "12:30", "http://evil.example/x", "decky:", ":x"] {
            assert_eq!(terms(text), vec![Term::Word(text.into())]);
        }
    }

    #[test]
    fn limits_are_errors() {
        assert_eq!(Search::parse(&"x".repeat(513)), Err(SearchError::TooLong(513)));
        assert_eq!(Search::parse(&"x ".repeat(33)), Err(SearchError::TooManyTerms(33)));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,600}") {
            if let Ok(search) = Search::parse(&text) {
                prop_assert!(search.terms.len() <= MAX_TERMS);
            }
        }

        #[test]
        fn a_quoted_word_comes_back(word in "[^\"\\\\]{1,40}") {
            let parsed = terms(&format!("\"{word}\""));
            prop_assert_eq!(parsed, vec![Term::Word(word)]);
        }
    }
}
