//! The layers: flags over environment over INI file over default, each value with its origin, every mistake told in one go.
//!
//! Reads the environment and one file, writes nothing. What the values mean is the workers' business.

use std::{collections::BTreeMap, fmt, io, path::PathBuf};

use figment::Figment;
use serde::Serialize;

use super::{
    Address, Layer, SettingValue, Settings,
    ini::{self, Ini},
    layer::{Values, default_layer, file_layer, origin_of, text_of},
    table::{SETTINGS, Setting, find},
};

/// Where the INI file is looked for.
pub const DEFAULT_FILE: &str = "/etc/decnet/decnet.ini";
/// The variable that names another INI file.
pub const FILE_VARIABLE: &str = "DECNET_CONFIG";

/// What the settings are made from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    flags: Vec<(String, String, String)>,
    env: BTreeMap<String, String>,
    file: Option<PathBuf>,
}

/// One line of `decnet config check`.
#[derive(Debug, Clone, Serialize)]
pub struct Effective {
    /// The setting.
    pub key: &'static str,
    /// Its environment variable.
    pub env: &'static str,
    /// Its value, hidden where it is a secret.
    pub value: Option<String>,
    /// The layer that decided.
    pub layer: Layer,
    /// That layer's place in words: the flag, the variable, the file with its line.
    pub origin: String,
    /// What the setting does.
    pub help: &'static str,
}

/// Settings with their report.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The typed values.
    pub settings: Settings,
    /// One entry a setting, in the table's order, secrets hidden.
    pub effective: Vec<Effective>,
    /// Worth telling the operator, not worth stopping for.
    pub warnings: Vec<String>,
}

/// One thing wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The setting, or the INI file where the mistake belongs to none.
    pub key: String,
    /// The value that was refused, hidden where it is a secret.
    pub value: Option<String>,
    /// Where it came from.
    pub origin: String,
    /// What would have been right.
    pub reason: String,
}

/// Everything that is wrong with the settings, at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SettingsError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        write!(f, "{count} wrong setting{}", if count == 1 { "" } else { "s" })?;
        for p in &self.problems {
            match &p.value {
                Some(value) => write!(f, "\n  {} = {value:?} ({}): {}", p.key, p.origin, p.reason)?,
                None => write!(f, "\n  {} ({}): {}", p.key, p.origin, p.reason)?,
            }
        }
        Ok(())
    }
}

impl Sources {
    /// The process's own environment, and the file that it names.
    pub fn process() -> Self {
        let env = std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.to_string_lossy().into_owned())))
            .filter(|(k, _)| k.starts_with("DECNET_"));
        Self { env: env.collect(), ..Self::default() }
    }

    /// Nothing but these variables, and no file unless one of them names it: for tests and embedded use.
    pub fn variables<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut env: BTreeMap<String, String> =
            pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        env.entry(FILE_VARIABLE.to_owned()).or_insert_with(|| "/dev/null".to_owned());
        Self { env, ..Self::default() }
    }

    /// Adds a value from the command line; `flag` is how the operator wrote it, `name` a key or variable of the table.
    #[must_use]
    pub fn flag(mut self, flag: &str, name: &str, value: impl Into<String>) -> Self {
        self.flags.push((flag.to_owned(), name.to_owned(), value.into()));
        self
    }

    /// Reads this INI file, which then must exist.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Layers everything and checks every value.
    pub fn load(&self) -> Result<Loaded, SettingsError> {
        let mut problems = Vec::new();
        let mut warnings = Vec::new();
        let (flags, mode) = self.flag_layer(&mut problems);
        let env = self.env_layer();
        let mode = mode.or_else(|| env.values.get("mode").map(|(text, _)| text.clone()));
        let (path, ini) = self.read_file(mode.as_deref(), &mut problems);
        for (line, reason) in &ini.problems {
            let origin = format!("{} line {line}", path.display());
            problems.push(Problem {
                key: "INI file".to_owned(),
                value: None,
                origin,
                reason: reason.clone(),
            });
        }
        warnings.extend(ini.warnings.iter().map(|w| format!("{} {w}", path.display())));
        let file = file_layer(&path, &ini);
        // The defaults name the state folder, so that one is settled first.
        let above = Figment::new().merge(file).merge(env).merge(flags);
        let state_dir = text_of(&above, "state_dir");
        let state_dir =
            state_dir.as_deref().or_else(|| find("state_dir").map(|s| s.default)).unwrap_or_default();
        let figment = Figment::from(default_layer(state_dir)).merge(above);

        let mut picker = Picker { figment: &figment, problems: &mut problems };
        let settings = Settings::pick(&mut picker);
        let effective: Vec<_> = SETTINGS.iter().map(|row| effective(&figment, row)).collect();
        for entry in &effective {
            let text = text_of(&figment, entry.key).unwrap_or_default();
            if entry.layer == Layer::File && Address::new(text).carries_secret() {
                warnings.push(format!(
                    "{}: the password of {} stands in the file; set {} in the service's environment instead",
                    entry.origin, entry.key, entry.env
                ));
            }
        }
        match settings {
            Some(settings) if problems.is_empty() => Ok(Loaded { settings, effective, warnings }),
            _ => Err(SettingsError { problems }),
        }
    }

    fn flag_layer(&self, problems: &mut Vec<Problem>) -> (Values, Option<String>) {
        let mut layer = Values::new(Layer::Flag);
        for (flag, name, value) in &self.flags {
            let mut refuse = |reason: String| {
                problems.push(Problem {
                    key: name.clone(),
                    value: None,
                    origin: format!("flag {flag}"),
                    reason,
                });
            };
            match find(name) {
                None => refuse("there is no such setting; `decnet config check` lists them".to_owned()),
                Some(row) if row.secret => {
                    refuse(format!("a secret on the command line is seen by every user; use {}", row.env));
                }
                Some(row) => layer.put(row.key, value, format!("flag {flag}")),
            }
        }
        let mode = layer.values.get("mode").map(|(text, _)| text.clone());
        (layer, mode)
    }

    fn env_layer(&self) -> Values {
        let mut layer = Values::new(Layer::Env);
        for row in SETTINGS {
            if let Some(value) = self.env.get(row.env) {
                layer.put(row.key, value, format!("environment {}", row.env));
            }
        }
        layer
    }

    fn read_file(&self, mode: Option<&str>, problems: &mut Vec<Problem>) -> (PathBuf, Ini) {
        let named = self.env.get(FILE_VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from);
        let must_exist = self.file.is_some();
        let path = self.file.clone().or(named).unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
        let refusal = match std::fs::read_to_string(&path) {
            Ok(text) => return (path, ini::read(&text, mode)),
            Err(e) if e.kind() == io::ErrorKind::NotFound && !must_exist => return (path, Ini::default()),
            Err(e) => e,
        };
        problems.push(Problem {
            key: "INI file".to_owned(),
            value: None,
            origin: path.display().to_string(),
            reason: format!(
                "cannot be read ({refusal}); name a readable file with --settings or {FILE_VARIABLE}"
            ),
        });
        (path, Ini::default())
    }
}

fn shown(row: &Setting, text: &str) -> String {
    if row.secret { "(hidden)".to_owned() } else { Address::new(text).to_string() }
}

fn effective(figment: &Figment, row: &'static Setting) -> Effective {
    let (layer, origin) = origin_of(figment, row.key);
    let value = text_of(figment, row.key).map(|text| shown(row, &text));
    Effective { key: row.key, env: row.env, value, layer, origin, help: row.help.trim() }
}

/// Takes typed values out of the layers and collects what is wrong.
pub(super) struct Picker<'a> {
    figment: &'a Figment,
    problems: &'a mut Vec<Problem>,
}

impl Picker<'_> {
    pub(super) fn take<T: SettingValue>(&mut self, key: &'static str) -> Option<T> {
        let row = find(key)?;
        let Some(text) = text_of(self.figment, key) else {
            let absent = T::absent();
            if absent.is_none() {
                self.problems.push(Problem {
                    key: key.to_owned(),
                    value: None,
                    origin: "not set".to_owned(),
                    reason: format!("it needs a value; set {}", row.env),
                });
            }
            return absent;
        };
        match T::read(&text) {
            Ok(value) => Some(value),
            Err(reason) => {
                let (_, origin) = origin_of(self.figment, key);
                let value = Some(shown(row, &text));
                self.problems.push(Problem { key: key.to_owned(), value, origin, reason });
                None
            }
        }
    }
}
