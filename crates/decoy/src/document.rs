//! Where a decoy's document comes from: a file, the environment, or flags alone. Flags override the rest.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

use decnet_core::{DeckyName, DecoyConfig, FleetSecret, Seed, ServiceEntry, secret};

use crate::persona;

/// Name of the variable that carries the document itself, or the path of its file.
pub const VARIABLE: &str = "DECNET_DECOY_CONFIG";

/// What the command line says about the document.
#[derive(Debug, Default)]
pub struct Wishes {
    /// File with the document.
    pub file: Option<PathBuf>,
    /// Value of [`VARIABLE`].
    pub variable: Option<String>,
    /// Slugs to serve, in place of the document's.
    pub services: Vec<String>,
    /// Addresses to listen on.
    pub bind: Vec<IpAddr>,
    /// Added to each standard port.
    pub port_base: Option<u16>,
    /// Name in the lines.
    pub decky: Option<String>,
    /// 64 hexadecimal digits to draw the machine from.
    pub secret: Option<String>,
    /// Artifact folder.
    pub artifacts: Option<PathBuf>,
    /// Folder that stands for `/`.
    pub root: Option<PathBuf>,
}

/// What is wrong with the document or the flags.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The file cannot be read.
    #[error("cannot read the document {path} ({source}); give --config an existing file")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is not a document.
    #[error("the document of {from} is not valid: {source}")]
    Form {
        /// Where it came from.
        from: String,
        /// Line, column and reason.
        source: serde_json::Error,
    },
    /// The name is not a decky name.
    #[error("--decky: {0}")]
    Name(#[from] decnet_core::NameError),
    /// The secret is not one.
    #[error("--secret: {0}")]
    Secret(#[from] decnet_core::SecretError),
}

/// The document that these wishes make.
pub fn assemble(wishes: Wishes) -> Result<DecoyConfig, DocumentError> {
    let mut config = match (&wishes.file, &wishes.variable) {
        (Some(path), _) => read(path)?,
        (None, Some(text)) if text.trim_start().starts_with('{') => parse(VARIABLE, text)?,
        (None, Some(path)) if !path.is_empty() => read(Path::new(path))?,
        _ => invent(wishes.secret.as_deref(), wishes.decky.as_deref())?,
    };
    if let Some(name) = &wishes.decky {
        config.decky = DeckyName::parse(name)?;
    }
    if !wishes.services.is_empty() {
        let (bind, port_base) = config
            .services
            .first()
            .map_or((everywhere(), 20_000), |entry| (entry.bind.clone(), entry.port_base));
        let old = std::mem::take(&mut config.services);
        config.services = wishes
            .services
            .iter()
            .map(|slug| {
                old.iter().find(|entry| entry.slug == *slug).cloned().unwrap_or_else(|| ServiceEntry {
                    slug: slug.clone(),
                    bind: bind.clone(),
                    port_base,
                    settings: std::collections::BTreeMap::new(),
                })
            })
            .collect();
    }
    for entry in &mut config.services {
        if !wishes.bind.is_empty() {
            entry.bind.clone_from(&wishes.bind);
        }
        if entry.bind.is_empty() {
            entry.bind = everywhere();
        }
        if let Some(base) = wishes.port_base {
            entry.port_base = base;
        }
    }
    config.artifacts = wishes.artifacts.or(config.artifacts);
    config.root = wishes.root.or(config.root);
    Ok(config)
}

fn everywhere() -> Vec<IpAddr> {
    vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()]
}

fn read(path: &Path) -> Result<DecoyConfig, DocumentError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| DocumentError::Read { path: path.to_owned(), source })?;
    parse(&path.display().to_string(), &text)
}

fn parse(from: &str, text: &str) -> Result<DecoyConfig, DocumentError> {
    serde_json::from_str(text).map_err(|source| DocumentError::Form { from: from.to_owned(), source })
}

fn invent(given: Option<&str>, decky: Option<&str>) -> Result<DecoyConfig, DocumentError> {
    let root = match given {
        Some(text) => FleetSecret::from_hex(text)?.seed(),
        None => FleetSecret::from_bytes(secret::entropy()).seed(),
    };
    let decky = DeckyName::parse(decky.unwrap_or("standalone"))?;
    let seed: Seed = root.child("standalone").child(decky.as_str());
    let persona = persona::standalone(&seed.child("persona"));
    Ok(DecoyConfig { decky, persona, seed, services: Vec::new(), artifacts: None, root: None, shell: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_override_the_document_and_keep_its_settings() {
        let config = assemble(Wishes {
            services: vec!["ssh".to_owned()],
            secret: Some("ab".repeat(32)),
            bind: vec![Ipv4Addr::LOCALHOST.into()],
            ..Wishes::default()
        })
        .unwrap();
        assert_eq!(config.services[0].port_base, 20_000);
        let mut planned = config;
        planned.services[0].settings.insert("key".to_owned(), "value".to_owned());
        let again = assemble(Wishes {
            variable: Some(serde_json::to_string(&planned).unwrap()),
            services: vec!["ssh".to_owned(), "http".to_owned()],
            port_base: Some(30_000),
            decky: Some("web-01".to_owned()),
            ..Wishes::default()
        })
        .unwrap();
        assert_eq!(again.decky.as_str(), "web-01");
        assert_eq!(again.seed, planned.seed);
        assert_eq!(again.services[0].settings, planned.services[0].settings);
        assert_eq!(again.services[1].bind, planned.services[0].bind);
        assert!(again.services.iter().all(|entry| entry.port_base == 30_000));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place() {
        let error = parse("F.json", "{\n \"deky\": 1}").unwrap_err().to_string();
        assert!(error.contains("F.json"), "{error}");
        let source = serde_json::from_str::<DecoyConfig>("{\n \"deky\": 1}").unwrap_err();
        assert!(source.to_string().contains("line 2"), "{source}");
    }
}
