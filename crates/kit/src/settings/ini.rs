//! The host's INI file (`/etc/decnet/decnet.ini`) as a map from setting to text and line.
//!
//! `[decnet]` and the section named after the mode translate by rule (`kebab-key` is `DECNET_KEBAB_KEY`), the others by the
//! table. Unknown sections are ignored, unknown keys in known sections warn, secrets are refused. Deployment INIs are `fleet`'s.

use std::collections::BTreeMap;

use ini_core::{Item, Parser};

use super::table::{SECTIONS, SETTINGS, Setting, find};

/// One value found in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) text: String,
    pub(super) line: u32,
    pub(super) section: String,
    pub(super) key: String,
    rank: u8,
}

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct Ini {
    pub(super) values: BTreeMap<&'static str, Found>,
    /// Worth telling, not worth stopping for.
    pub(super) warnings: Vec<String>,
    /// Line and reason.
    pub(super) problems: Vec<(u32, String)>,
}

/// Reads the text of an INI file. `mode` is the mode that flags or the environment already settled.
pub(super) fn read(text: &str, mode: Option<&str>) -> Ini {
    let mut ini = Ini::default();
    let mut entries: Vec<(u32, String, String, String)> = Vec::new();
    let mut section: Option<String> = None;
    // A byte-order mark would otherwise become part of the first section's bracket.
    let mut parser = Parser::new(text.trim_start_matches('\u{feff}')).auto_trim(true);
    loop {
        let line = parser.line() + 1;
        match parser.next() {
            None => break,
            Some(Item::SectionEnd | Item::Blank | Item::Comment(_)) => {}
            Some(Item::Section(name)) => section = Some(name.to_ascii_lowercase()),
            Some(Item::Error(bad)) => {
                ini.problems
                    .push((line, format!("{:?} does not close its bracket; write [section]", clip(bad))));
                section = None;
            }
            // The parser knows one comment character; `#` is as common.
            Some(Item::Property(key, _)) if key.starts_with('#') => {}
            Some(Item::Property(key, None)) => {
                ini.problems.push((line, format!("{:?} is neither `key = value` nor a comment", clip(key))));
            }
            Some(Item::Property(key, Some(value))) => match &section {
                None => ini.problems.push((line, format!("{:?} stands before any [section]", clip(key)))),
                Some(section) => {
                    entries.push((line, section.clone(), key.to_ascii_lowercase(), value.to_owned()));
                }
            },
        }
    }
    let own_mode = entries.iter().find(|(_, section, key, _)| section == "decnet" && key == "mode");
    let mode =
        mode.unwrap_or_else(|| own_mode.map_or("master", |(_, _, _, value)| value)).to_ascii_lowercase();
    for (line, section, key, value) in entries {
        place(&mut ini, &mode, line, section, key, value);
    }
    ini
}

fn place(ini: &mut Ini, mode: &str, line: u32, section: String, key: String, value: String) {
    if !SECTIONS.contains(&section.as_str())
        || (matches!(section.as_str(), "master" | "agent") && section != mode)
    {
        return;
    }
    // The nearer a section is to this machine's role, the more it counts.
    let (row, rank) = match section.as_str() {
        "decnet" => (by_rule(&key), 0),
        "master" | "agent" => (by_rule(&key), 2),
        _ => (find(&format!("{section}.{key}")), 1),
    };
    let Some(row) = row else {
        ini.warnings.push(format!("line {line}: [{section}] has no key {:?}; it is ignored", clip(&key)));
        return;
    };
    if row.secret {
        ini.problems.push((
            line,
            format!(
                "{key} is a secret, and secrets are not read from this file; put it into {} and remove the line",
                row.env
            ),
        ));
        return;
    }
    if value.is_empty() {
        return;
    }
    let found = Found { text: value, line, section, key, rank };
    match ini.values.get(row.key) {
        Some(earlier) if earlier.rank > rank => {}
        Some(earlier) if earlier.rank == rank => {
            ini.problems.push((
                line,
                format!("[{}] {} was set already on line {}", found.section, found.key, earlier.line),
            ));
        }
        _ => {
            ini.values.insert(row.key, found);
        }
    }
}

fn by_rule(key: &str) -> Option<&'static Setting> {
    let env = format!("DECNET_{}", key.replace('-', "_").to_ascii_uppercase());
    SETTINGS.iter().find(|s| s.env == env)
}

fn clip(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'a>(ini: &'a Ini, key: &str) -> Option<&'a str> {
        ini.values.get(key).map(|f| f.text.as_str())
    }

    #[test]
    fn sections_map_by_rule_and_by_table() {
        let ini = read(
            "; host\n# also a comment = yes\n[decnet]\nmode = agent\nbatch-size = 7\n\n[API]\nport=9000\n[agent]\nhost-uuid = local\n\
             [master]\nstate-dir = /not/ours\n[bus]\nurl = nats://10.0.0.1:4222\n[unheard-of]\nx = 1\n",
            None,
        );
        assert!(ini.problems.is_empty() && ini.warnings.is_empty(), "{ini:?}");
        assert_eq!(text(&ini, "mode"), Some("agent"));
        assert_eq!(text(&ini, "batch_size"), Some("7"));
        assert_eq!(text(&ini, "api_port"), Some("9000"));
        assert_eq!(text(&ini, "nats_url"), Some("nats://10.0.0.1:4222"));
        assert_eq!(text(&ini, "host"), Some("local"));
        assert_eq!(text(&ini, "state_dir"), None, "the other mode's section is not ours");
        assert_eq!(ini.values["api_port"].line, 8);
    }

    #[test]
    fn the_mode_section_outranks_the_others() {
        let ini = read("[master]\napi-port = 1\n[api]\nport = 2\n[decnet]\napi-port = 3\n", None);
        assert_eq!(text(&ini, "api_port"), Some("1"));
        let ini = read("[decnet]\napi-port = 3\n[api]\nport = 2\n", None);
        assert_eq!(text(&ini, "api_port"), Some("2"));
    }

    #[test]
    fn unknown_keys_warn_secrets_and_garbage_are_refused_with_their_line() {
        let ini = read(
            "stray = 1\n[api\n[api]\nprot = 1\njwt-secret = x\nwhat\n[decnet]\nadmin-password = y\n",
            None,
        );
        assert_eq!(ini.warnings, ["line 4: [api] has no key \"prot\"; it is ignored"]);
        let lines: Vec<u32> = ini.problems.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 6, 5, 8]);
        assert!(ini.values.is_empty());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        for text in [
            "[",
            "]",
            "[]",
            "=",
            "\r\r\n",
            "[a]\n=\n",
            "\u{feff}[decnet]\nmode=master",
            "[ä]\nö=ü\n",
            "[a]\nkey=\u{0}",
        ] {
            let _ = read(text, None);
        }
        assert_eq!(text(&read("\u{feff}[decnet]\r\nmode=master\r\n", None), "mode"), Some("master"));
    }
}
