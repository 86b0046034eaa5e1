//! Typed settings of services and their check (spec 11.22): unknown keys are dropped and named, empty values drop
//! the key, bad values are errors.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Service;

/// Longest value of a setting.
const MAX_VALUE: usize = 64 * 1024;

/// The type of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum SettingKind {
    /// One line of text.
    String,
    /// One line of text that is not shown.
    Password,
    /// A whole number within bounds.
    Int {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// `true` or `false`.
    Bool,
    /// Text of several lines.
    Textarea,
    /// One of a list.
    Enum {
        /// The list.
        options: &'static [&'static str],
    },
    /// Several of a list, separated by commas.
    MultiEnum {
        /// The list.
        options: &'static [&'static str],
    },
}

/// One setting of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its key.
    pub key: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// Its type.
    #[serde(flatten)]
    pub kind: SettingKind,
    /// What holds without it; `None` is drawn from the decky's node of the keyed tree.
    pub default: Option<&'static str>,
    /// True if the value must not be shown.
    pub secret: bool,
    /// One line of help.
    pub help: &'static str,
}

impl Setting {
    pub(super) const fn new(
        key: &'static str,
        label: &'static str,
        kind: SettingKind,
        help: &'static str,
    ) -> Self {
        let secret = matches!(kind, SettingKind::Password);
        Self { key, label, kind, default: None, secret, help }
    }

    pub(super) const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }
}

/// Why a value was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct SettingProblem {
    /// The setting's key.
    pub key: String,
    /// What it must be.
    pub reason: String,
}

/// Settings after the check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckedSettings {
    /// Accepted, in normal form.
    pub settings: BTreeMap<String, String>,
    /// Keys that the service does not have.
    pub dropped: Vec<String>,
    /// Refused values.
    pub problems: Vec<SettingProblem>,
}

/// Checks raw settings against what `service` declares. `-` and `_` in keys are the same.
pub fn check_settings(service: &Service, raw: &BTreeMap<String, String>) -> CheckedSettings {
    let mut checked = CheckedSettings::default();
    for (key, value) in raw {
        let wanted = key.to_ascii_lowercase().replace('-', "_");
        let Some(setting) = service.settings.iter().find(|s| s.key == wanted) else {
            checked.dropped.push(key.clone());
            continue;
        };
        if value.trim().is_empty() {
            continue;
        }
        match check_value(setting.kind, value) {
            Ok(value) => {
                checked.settings.insert(wanted, value);
            }
            Err(reason) => checked.problems.push(SettingProblem { key: wanted, reason }),
        }
    }
    checked
}

fn check_value(kind: SettingKind, value: &str) -> Result<String, String> {
    if value.len() > MAX_VALUE {
        return Err(format!("at most {MAX_VALUE} bytes, this has {}", value.len()));
    }
    let word = value.trim();
    match kind {
        SettingKind::String | SettingKind::Password => {
            if value.chars().any(char::is_control) {
                return Err("one line of text without control characters".to_owned());
            }
            Ok(value.to_owned())
        }
        SettingKind::Textarea => Ok(value.to_owned()),
        SettingKind::Int { min, max } => match word.parse::<i64>() {
            Ok(n) if (min..=max).contains(&n) => Ok(n.to_string()),
            _ => Err(format!("a whole number from {min} to {max}, not {word:?}")),
        },
        SettingKind::Bool => match word.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok("true".to_owned()),
            "0" | "false" | "no" | "off" => Ok("false".to_owned()),
            _ => Err(format!("true or false, not {word:?}")),
        },
        SettingKind::Enum { options } => one_of(options, word).map(str::to_owned),
        SettingKind::MultiEnum { options } => {
            let words = word.split(',').map(str::trim).filter(|w| !w.is_empty());
            let chosen: Result<Vec<&str>, String> = words.map(|w| one_of(options, w)).collect();
            Ok(chosen?.join(","))
        }
    }
}

fn one_of(options: &[&'static str], word: &str) -> Result<&'static str, String> {
    let found = options.iter().find(|o| o.eq_ignore_ascii_case(word));
    found.copied().ok_or_else(|| format!("one of {}, not {word:?}", options.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(slug: &str, pairs: &[(&str, &str)]) -> CheckedSettings {
        let raw = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        check_settings(super::super::service(slug).unwrap(), &raw)
    }

    #[test]
    fn unknown_keys_are_dropped_empty_values_vanish_bad_values_are_errors() {
        let got = check(
            "http",
            &[("fake-app", "WordPress"), ("response_code", "abc"), ("server_header", " "), ("colour", "red")],
        );
        assert_eq!(got.settings, BTreeMap::from([("fake_app".to_owned(), "wordpress".to_owned())]));
        assert_eq!(got.dropped, ["colour"]);
        assert_eq!(got.problems.len(), 1);
        assert_eq!(got.problems[0].to_string(), "response_code: a whole number from 200 to 599, not \"abc\"");
    }

    #[test]
    fn text_of_one_line_stays_one_line() {
        assert_eq!(check("http", &[("server_header", "a\r\nX: y")]).problems.len(), 1);
        assert_eq!(check("ssh", &[("password", " with blanks ")]).settings["password"], " with blanks ");
        assert_eq!(check("ftp", &[("login_mode", "Always")]).settings["login_mode"], "always");
    }

    /// Every default passes its own check, or the decoy would be given what the operator may not give it.
    #[test]
    fn defaults_are_valid() {
        for service in super::super::services() {
            for setting in service.settings {
                if let Some(default) = setting.default {
                    let got = check(service.slug, &[(setting.key, default)]);
                    assert!(got.problems.is_empty(), "{}.{}", service.slug, setting.key);
                }
            }
        }
    }
}
