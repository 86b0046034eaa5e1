//! What an operator wrote about a subscription, checked as a whole: every mistake is told, with the field it is in.
//!
//! Whether a host's address may be called is only known when it is resolved; that is `outbound`'s.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use crate::{KnownTopic, Pattern, Selection, SimpleEvent, merge};

/// Longest name, in characters.
pub const MAX_NAME: usize = 64;
/// Longest address, in bytes.
const MAX_URL: usize = 2048;
/// Shortest and longest secret, in characters.
pub const SECRET_LENGTH: std::ops::RangeInclusive<usize> = 16..=256;
/// Most patterns.
pub const MAX_PATTERNS: usize = 32;
/// Most address ranges.
const MAX_CIDRS: usize = 16;

/// A subscription as written.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where to post.
    pub url: &'a str,
    /// Simple choices.
    pub simple_events: &'a [String],
    /// Patterns.
    pub topic_patterns: &'a [String],
    /// Address ranges that it may call although they are not public.
    pub allow_cidrs: &'a [String],
}

/// A mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field, as the API names it.
    pub field: &'static str,
    /// What would have been right.
    pub reason: String,
}

/// A checked subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where to post.
    pub url: Url,
    /// Simple choices.
    pub simple_events: Vec<SimpleEvent>,
    /// Patterns.
    pub topic_patterns: Vec<Pattern>,
    /// Address ranges.
    pub allow_cidrs: Vec<IpNet>,
    /// What it gets.
    pub selection: Selection,
}

impl Draft<'_> {
    /// Checks everything against the table of topics.
    pub fn check(&self, table: &[KnownTopic]) -> Result<Target, Vec<Fault>> {
        let mut faults = Faults(Vec::new());
        faults.keep("name", check_name(self.name));
        let allow_cidrs: Vec<IpNet> = cidrs(self.allow_cidrs, &mut faults);
        let url = faults.keep("url", check_url(self.url, &allow_cidrs));
        let simple_events: Vec<SimpleEvent> = self
            .simple_events
            .iter()
            .filter_map(|name| {
                let unknown = || format!("{name:?} is no choice; there are {}", SimpleEvent::names());
                faults.keep("simple_events", SimpleEvent::parse(name).ok_or_else(unknown))
            })
            .collect();
        let topic_patterns: Vec<Pattern> = self
            .topic_patterns
            .iter()
            .filter_map(|text| faults.keep("topic_patterns", Pattern::parse(text).map_err(|e| e.to_string())))
            .collect();
        if self.simple_events.is_empty() && self.topic_patterns.is_empty() {
            faults.add("topic_patterns", "give at least one of topic_patterns and simple_events".to_owned());
        }
        let patterns = merge(&simple_events, &topic_patterns);
        if patterns.len() > MAX_PATTERNS {
            faults.add("topic_patterns", format!("{} patterns are more than {MAX_PATTERNS}", patterns.len()));
        }
        let selection = Selection::resolve(&patterns, table);
        for pattern in selection.vain() {
            let reason = format!(
                "{:?} matches none of the {} public topics (see docs/topics.md); orders, commands and raw lines are never sent",
                pattern.as_str(),
                table.len()
            );
            faults.add("topic_patterns", reason);
        }
        if faults.0.is_empty() && selection.choices.is_empty() {
            let reason = "the topics that match are beats and notices, which are not kept for webhooks: choose at least one of class \"stream\" (see docs/topics.md)";
            faults.add("topic_patterns", reason.to_owned());
        }
        match url {
            Some(url) if faults.0.is_empty() => {
                Ok(Target { url, simple_events, topic_patterns, allow_cidrs, selection })
            }
            _ => Err(faults.0),
        }
    }
}

impl Target {
    /// What the operator should know although nothing is wrong.
    pub fn warnings(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        if self.url.scheme() == "http" {
            warnings.push("insecure_url");
        }
        if self.selection.not_streamed().next().is_some() {
            warnings.push("pattern_not_streamed");
        }
        warnings
    }
}

/// Checks a secret that an operator chose.
pub fn check_secret(secret: &str) -> Result<(), Fault> {
    let fault = |reason: &str| Err(Fault { field: "secret", reason: reason.to_owned() });
    if !SECRET_LENGTH.contains(&secret.chars().count()) {
        return fault("use 16 to 256 characters, or leave it out to get a random one");
    }
    if secret.chars().any(char::is_control) {
        return fault("use no control characters");
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), String> {
    if !(1..=MAX_NAME).contains(&name.chars().count()) {
        return Err(format!("use 1 to {MAX_NAME} characters"));
    }
    if name.chars().any(char::is_control) || name.trim() != name {
        return Err("use no control characters, and no white space at the ends".to_owned());
    }
    Ok(())
}

fn check_url(text: &str, allow: &[IpNet]) -> Result<Url, String> {
    if text.len() > MAX_URL {
        return Err(format!("use at most {MAX_URL} bytes"));
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("use no white space and no control characters".to_owned());
    }
    let url = Url::parse(text)
        .map_err(|error| format!("{error}; give an address such as https://siem.example/hooks/decnet"))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err("give an address that begins with https://, or http:// within allow_cidrs".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "put no user name or password into the address; the signature proves who posts".to_owned()
        );
    }
    if url.fragment().is_some() {
        return Err("leave out the fragment (#…); it is never sent".to_owned());
    }
    // Where the host is a name, its addresses are only known when it is called.
    let literal: Option<IpAddr> = match url.host() {
        Some(Host::Ipv4(ip)) => Some(ip.into()),
        Some(Host::Ipv6(ip)) => Some(ip.into()),
        Some(Host::Domain(_)) => None,
        None => return Err("name the receiver's host".to_owned()),
    };
    if url.scheme() == "http" {
        let covered = match literal {
            Some(ip) => allow.iter().any(|net| net.contains(&ip)),
            None => !allow.is_empty(),
        };
        if !covered {
            return Err(
                "use https://; plain http:// is for receivers whose address is in allow_cidrs (events tell who was caught)"
                    .to_owned(),
            );
        }
    }
    Ok(url)
}

fn cidrs(texts: &[String], faults: &mut Faults) -> Vec<IpNet> {
    if texts.len() > MAX_CIDRS {
        faults.add("allow_cidrs", format!("{} ranges are more than {MAX_CIDRS}", texts.len()));
    }
    let parsed = texts.iter().filter_map(|text| {
        let read = text
            .parse::<IpNet>()
            .or_else(|error| text.parse::<IpAddr>().map(IpNet::from).map_err(|_| error))
            .map(|net| net.trunc())
            .map_err(|_| format!("{text:?} is no address range; write 10.0.0.0/8, 192.0.2.7 or fd00::/8"));
        faults.keep("allow_cidrs", read)
    });
    parsed.collect()
}

struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, field: &'static str, reason: String) {
        self.0.push(Fault { field, reason });
    }

    fn keep<T>(&mut self, field: &'static str, checked: Result<T, String>) -> Option<T> {
        checked.map_err(|reason| self.add(field, reason)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[KnownTopic] = &[
        KnownTopic { public: "attacker.observed", streamed: true },
        KnownTopic { public: "system.{worker}.health", streamed: false },
    ];

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn check(
        name: &str,
        url: &str,
        simple: &[&str],
        patterns: &[&str],
        cidrs: &[&str],
    ) -> Result<Target, Vec<&'static str>> {
        let (simple_events, topic_patterns, allow_cidrs) = (owned(simple), owned(patterns), owned(cidrs));
        Draft {
            name,
            url,
            simple_events: &simple_events,
            topic_patterns: &topic_patterns,
            allow_cidrs: &allow_cidrs,
        }
        .check(TABLE)
        .map_err(|faults| faults.iter().map(|fault| fault.field).collect())
    }

    #[test]
    fn every_mistake_is_told_with_its_field() {
        let all = check("", "ftp://x", &["Nothing"], &["a..b"], &["10.0.0.0/99"]).unwrap_err();
        assert_eq!(all, ["name", "allow_cidrs", "url", "simple_events", "topic_patterns"]);
        let long = "x".repeat(65);
        for (name, url, patterns, cidrs, field) in [
            (long.as_str(), "https://siem.example/", &["attacker.>"][..], &[][..], "name"),
            ("a\u{1b}", "https://siem.example/", &["attacker.>"], &[], "name"),
            ("a", "https://u:p@siem.example/", &["attacker.>"], &[], "url"),
            ("a", "https://siem.example/#x", &["attacker.>"], &[], "url"),
            ("a", "http://siem.example/", &["attacker.>"], &[], "url"),
            ("a", "http://192.0.2.1/", &["attacker.>"], &["198.51.100.0/24"], "url"),
            ("a", "file:///etc/passwd", &["attacker.>"], &[], "url"),
            ("a", "https://", &["attacker.>"], &[], "url"),
            ("a", "https://siem.example/", &[], &[], "topic_patterns"),
            ("a", "https://siem.example/", &["cmd.>"], &[], "topic_patterns"),
            ("a", "https://siem.example/", &["system.>"], &[], "topic_patterns"),
            ("a", "https://siem.example/", &["attacker.>"], &["10.0.0.0/33"], "allow_cidrs"),
        ] {
            assert_eq!(check(name, url, &[], patterns, cidrs).unwrap_err(), [field], "{name} {url}");
        }
    }

    #[test]
    fn a_good_draft_is_read_and_warns_where_it_should() {
        let plain = check("siem", "https://siem.example/hook", &["AttackerDetail"], &[], &[]).unwrap();
        assert!(plain.warnings().is_empty() && plain.selection.choices.len() == 1);
        let inside =
            check("siem", "http://192.0.2.7:8080/x", &["SystemStatus"], &["attacker.*"], &["192.0.2.7"])
                .unwrap();
        assert_eq!(inside.warnings(), ["insecure_url", "pattern_not_streamed"]);
        assert_eq!(inside.allow_cidrs, ["192.0.2.7/32".parse::<IpNet>().unwrap()]);
    }

    #[test]
    fn secrets_have_their_length() {
        for bad in ["", "fifteen letters", &"x".repeat(257), "sixteen letters\n"] {
            assert_eq!(check_secret(bad).unwrap_err().field, "secret", "{bad:?}");
        }
        for good in ["sixteen letters!", &"é".repeat(256)] {
            check_secret(good).unwrap();
        }
    }
}
