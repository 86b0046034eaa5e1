//! One layer of settings as a figment provider, and what figment remembers of each value: its text and its place.
//!
//! Values stay text here; types and checks are the loader's.

use std::{collections::BTreeMap, path::Path};

use figment::{
    Figment, Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};
use serde::Serialize;

use super::{ini::Ini, table::SETTINGS};

/// Which layer a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// The command line.
    Flag,
    /// The environment.
    Env,
    /// The INI file.
    File,
    /// The table.
    Default,
    /// Nowhere: the setting has no value.
    Unset,
}

pub(super) fn file_layer(path: &Path, ini: &Ini) -> Values {
    let mut layer = Values::new(Layer::File);
    for (key, found) in &ini.values {
        let place = format!("{} line {} ([{}] {})", path.display(), found.line, found.section, found.key);
        layer.put(key, &found.text, place);
    }
    layer
}

pub(super) fn default_layer(state_dir: &str) -> Values {
    let mut layer = Values::new(Layer::Default);
    for row in SETTINGS {
        let text = row.default.replace("{state_dir}", state_dir.trim_end_matches('/'));
        layer.put(row.key, &text, "default".to_owned());
    }
    layer
}

/// One layer as a figment provider: every value stays text, because `007` is a fine password and no number.
pub(super) struct Values {
    layer: Layer,
    pub(super) values: BTreeMap<&'static str, (String, String)>,
}

impl Values {
    pub(super) fn new(layer: Layer) -> Self {
        Self { layer, values: BTreeMap::new() }
    }

    /// An empty text counts as not given.
    pub(super) fn put(&mut self, key: &'static str, text: &str, place: String) {
        if !text.is_empty() {
            self.values.insert(key, (text.to_owned(), place));
        }
    }
}

impl Provider for Values {
    fn metadata(&self) -> Metadata {
        let places: BTreeMap<&'static str, String> =
            self.values.iter().map(|(key, (_, place))| (*key, place.clone())).collect();
        let name = match self.layer {
            Layer::Flag => "flag",
            Layer::Env => "env",
            Layer::File => "file",
            Layer::Default | Layer::Unset => "default",
        };
        Metadata::named(name).interpolater(move |_, keys| {
            keys.first().and_then(|k| places.get(k)).cloned().unwrap_or_default()
        })
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let dict: Dict = self
            .values
            .iter()
            .map(|(key, (text, _))| ((*key).to_owned(), Value::from(text.as_str())))
            .collect();
        Ok(Profile::Default.collect(dict))
    }
}

pub(super) fn text_of(figment: &Figment, key: &str) -> Option<String> {
    figment.find_value(key).ok().and_then(|v| v.as_str().map(str::to_owned))
}

pub(super) fn origin_of(figment: &Figment, key: &str) -> (Layer, String) {
    let Some(metadata) = figment.find_metadata(key) else { return (Layer::Unset, "not set".to_owned()) };
    let layer = match metadata.name.as_ref() {
        "flag" => Layer::Flag,
        "env" => Layer::Env,
        "file" => Layer::File,
        _ => Layer::Default,
    };
    (layer, metadata.interpolate(&Profile::Default, &[key]))
}
