//! Host names by style. Drawn from the keyed tree, so a decky's host name tells nothing to who knows its name.

use decnet_core::Seed;
use serde::Serialize;

/// How a kind of machine is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HostStyle {
    /// `SRV-WORD-nn`.
    Generic,
    /// `wordnn.localdomain`.
    Rhel,
    /// `word-nn`.
    Minimal,
    /// `word-word`.
    Rolling,
    /// `DESKTOP-` and seven letters and digits, as Windows names itself.
    Desktop,
}

const WORDS: [&str; 25] = [
    "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo",
    "lima", "mike", "nova", "oscar", "prod", "web", "db", "mail", "proxy", "dev", "stage", "backup",
    "monitor", "files",
];

/// The host name of `style` that `node` draws. `attempt` makes another one for a name that is taken; from the 30th on
/// the names get longer, so that they never run out.
pub fn host_name(style: HostStyle, node: &Seed, attempt: u32) -> String {
    let node = if attempt == 0 { node.clone() } else { node.child(attempt.to_be_bytes()) };
    let word = |label: &str| node.child(label).pick(&WORDS).copied().unwrap_or("nova");
    let wide = attempt >= 30;
    let number = node.child("number").range(if wide { 100..=9999 } else { 10..=99 });
    match style {
        HostStyle::Generic => format!("SRV-{}-{number}", word("word").to_uppercase()),
        HostStyle::Rhel => format!("{}{number}.localdomain", word("word")),
        HostStyle::Minimal => format!("{}-{number}", word("word")),
        HostStyle::Rolling => {
            let tail = if wide { format!("-{number}") } else { String::new() };
            format!("{}-{}{tail}", word("word"), word("second"))
        }
        HostStyle::Desktop => {
            let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
            let code = (0..7u8).filter_map(|i| node.child([i]).pick(letters).copied().map(char::from));
            format!("DESKTOP-{}", code.collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use decnet_core::FleetSecret;

    use super::*;

    #[test]
    fn styles_have_their_shape() {
        let node = FleetSecret::from_number(1).seed();
        let parts = |style| host_name(style, &node, 0);
        assert!(parts(HostStyle::Generic).starts_with("SRV-"));
        assert!(parts(HostStyle::Rhel).ends_with(".localdomain"));
        assert_eq!(parts(HostStyle::Minimal).split('-').count(), 2);
        assert_eq!(parts(HostStyle::Rolling).split('-').count(), 2);
        assert_eq!(parts(HostStyle::Desktop).len(), 15);
    }

    #[test]
    fn names_fit_netbios_and_differ_by_attempt() {
        let root = FleetSecret::from_number(2).seed();
        for i in 0..200u32 {
            assert!(host_name(HostStyle::Generic, &root.child(i.to_be_bytes()), 0).len() <= 15);
        }
        let names: std::collections::BTreeSet<_> =
            (0..20).map(|n| host_name(HostStyle::Generic, &root, n)).collect();
        assert!(names.len() > 15);
    }
}
