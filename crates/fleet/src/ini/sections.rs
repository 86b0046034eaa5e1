//! What the sections beside deckies say, checked on their own, and the means to read any section. Deckies are in
//! [`super::decky`]; what sections say together is checked in [`super`] and [`super::deckies`].

use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
};

use decnet_core::DeckyName;
use ipnet::Ipv4Net;

use super::{
    error::{Errors, IniProblem, Quoted},
    lines::{Entry, Section},
};
use crate::{
    catalogue::{check_settings, service},
    spec::CustomServiceSpec,
};

const CUSTOM: &str = "custom-";

/// What a section is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Default,
    General,
    Custom,
    Settings,
    Decky,
}

impl Kind {
    pub(super) fn of(section: &Section, customs: &[String]) -> Self {
        let name = section.name.to_lowercase();
        let last = name.rsplit_once('.').map(|(_, last)| last);
        if section.name == "DEFAULT" {
            Self::Default
        } else if name == "general" {
            Self::General
        } else if name.starts_with(CUSTOM) {
            Self::Custom
        } else if last.is_some_and(|slug| service(slug).is_some() || customs.iter().any(|c| c == slug)) {
            Self::Settings
        } else {
            Self::Decky
        }
    }
}

/// Keys of a section, taken out one by one; what is left over is unknown.
pub(super) struct Keys<'a> {
    section: &'a Section,
    entries: HashMap<String, &'a Entry>,
}

impl<'a> Keys<'a> {
    pub(super) fn new(section: &'a Section) -> Self {
        // The first of a repeated key counts; the repetition was reported already.
        let mut entries = HashMap::new();
        for entry in &section.entries {
            entries.entry(entry.key.clone()).or_insert(entry);
        }
        Self { section, entries }
    }

    pub(super) fn take(&mut self, key: &str) -> Option<&'a Entry> {
        self.entries.remove(key)
    }

    /// A key with two spellings.
    pub(super) fn take_either(&mut self, key: &str, errors: &mut Errors) -> Option<&'a Entry> {
        let dashed = self.entries.remove(&key.replace('_', "-"));
        let plain = self.entries.remove(key);
        if let (Some(a), Some(b)) = (dashed, plain) {
            let (first, second) = if a.line < b.line { (a, b) } else { (b, a) };
            let problem = IniProblem::DuplicateKey { key: second.key.as_str().into(), first: first.line };
            errors.push(Some(self.section.name.clone()), second.line, problem);
        }
        plain.or(dashed)
    }

    pub(super) fn refuse_rest(self, known: &'static str, errors: &mut Errors) {
        for entry in self.entries.values() {
            let problem = IniProblem::UnknownKey { key: entry.key.as_str().into(), known };
            errors.push(Some(self.section.name.clone()), entry.line, problem);
        }
    }
}

/// A value of the right form, or an error and `None`.
pub(super) fn value<T>(
    section: &Section,
    entry: Option<&Entry>,
    (key, must): (&'static str, &str),
    errors: &mut Errors,
    read: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let entry = entry?;
    let found = read(&entry.value);
    if found.is_none() {
        let problem = IniProblem::Value { key, value: entry.value.as_str().into(), must: must.to_owned() };
        errors.push(Some(section.name.clone()), entry.line, problem);
    }
    found
}

pub(super) fn minutes(text: &str) -> Option<u32> {
    text.parse().ok().filter(|n| *n >= 1)
}

pub(super) const MINUTES: (&str, &str) = ("mutate_interval", "a whole number of minutes, at least 1");

/// A subnet with a prefix length or a netmask; host bits are forgiven.
fn subnet(text: &str) -> Option<Ipv4Net> {
    let (ip, size) = text.split_once('/')?;
    let (ip, size) = (ip.trim().parse().ok()?, size.trim());
    let net = match size.parse::<u8>() {
        Ok(prefix) => Ipv4Net::new(ip, prefix).ok()?,
        Err(_) => Ipv4Net::with_netmask(ip, size.parse().ok()?).ok()?,
    };
    (8..=30).contains(&net.prefix_len()).then(|| net.trunc())
}

fn interface(text: &str) -> Option<String> {
    // The kernel's own rule: 1 to 15 bytes, no slash, no blank.
    let fits = (1..=15).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic() && c != '/');
    fits.then(|| text.to_owned())
}

/// `[general]`.
#[derive(Debug, Default)]
pub(super) struct General {
    pub(super) net: Option<Ipv4Net>,
    pub(super) gw: Option<(Ipv4Addr, usize)>,
    pub(super) interface: Option<String>,
    pub(super) mutate_interval: Option<u32>,
}

impl General {
    pub(super) fn read(section: &Section, errors: &mut Errors) -> Self {
        let mut keys = Keys::new(section);
        let (net, gw, link) = (keys.take("net"), keys.take("gw"), keys.take("interface"));
        let interval = keys.take_either("mutate_interval", errors);
        keys.refuse_rest("net, gw, interface, mutate_interval", errors);
        let net_form = ("net", "an IPv4 subnet such as 192.168.1.0/24, from /8 to /30");
        let gw_form = ("gw", "an IPv4 address such as 192.168.1.1");
        let address = value(section, gw, gw_form, errors, |t| t.parse().ok());
        Self {
            net: value(section, net, net_form, errors, subnet),
            gw: address.zip(gw.map(|e| e.line)),
            interface: value(
                section,
                link,
                ("interface", "an interface name such as eth0"),
                errors,
                interface,
            ),
            mutate_interval: value(section, interval, MINUTES, errors, minutes),
        }
    }
}

/// `[custom-<name>]`.
pub(super) struct CustomSection;

impl CustomSection {
    /// The service that a section of this name brings, if it is one.
    pub(super) fn name_of(section: &str) -> Option<String> {
        section.to_lowercase().strip_prefix(CUSTOM).map(str::to_owned)
    }

    pub(super) fn read(section: &Section, errors: &mut Errors) -> Option<CustomServiceSpec> {
        let mut keys = Keys::new(section);
        let (binary, exec, ports) = (keys.take("binary"), keys.take("exec"), keys.take("ports"));
        keys.refuse_rest("binary, exec, ports", errors);
        let name = Self::name_of(&section.name).unwrap_or_default();
        // It becomes part of a container name, with _ written as -.
        if DeckyName::parse(&name.replace('_', "-")).is_err() || service(&name).is_some() {
            errors.push(
                Some(section.name.clone()),
                section.line,
                IniProblem::CustomName(name.as_str().into()),
            );
            return None;
        }
        let ports_form = ("ports", "TCP ports from 1 to 65535, separated by commas");
        let ports = value(section, ports, ports_form, errors, |text| {
            let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
            parts.map(|p| p.parse().ok().filter(|n: &u16| *n > 0)).collect::<Option<Vec<u16>>>()
        });
        let form = ("binary", "an image reference without blanks");
        let image = value(section, binary, form, errors, |text| {
            (!text.is_empty() && text.chars().all(|c| c.is_ascii_graphic())).then(|| text.to_owned())
        });
        if binary.is_none() {
            errors.push(Some(section.name.clone()), section.line, IniProblem::CustomImage);
        }
        Some(CustomServiceSpec {
            name,
            image: image?,
            command: exec.map_or_else(Vec::new, |e| e.value.split_whitespace().map(str::to_owned).collect()),
            ports: ports.unwrap_or_default(),
            line: Some(section.line),
        })
    }
}

/// `[<decky>.<service>]`.
pub(super) struct SettingsSection {
    /// The decky or group.
    pub(super) target: String,
    pub(super) service: String,
    pub(super) settings: BTreeMap<String, String>,
    pub(super) line: usize,
    pub(super) section: String,
}

impl SettingsSection {
    pub(super) fn read(section: &Section, errors: &mut Errors, warnings: &mut Vec<String>) -> Self {
        let name = section.name.to_lowercase();
        let (target, slug) = name.rsplit_once('.').unwrap_or((&name, ""));
        let raw = section.entries.iter().map(|e| (e.key.clone(), e.value.clone())).collect();
        let mut settings = BTreeMap::new();
        let line_of = |key: &str| {
            let same = |e: &&Entry| e.key.replace('-', "_") == key.replace('-', "_");
            section.entries.iter().find(same).map_or(section.line, |e| e.line)
        };
        let shown = Quoted::from(section.name.as_str()).bare();
        if let Some(service) = service(slug) {
            let checked = check_settings(service, &raw);
            for key in checked.dropped {
                let (line, quoted) = (line_of(&key), Quoted::from(key.as_str()));
                warnings
                    .push(format!("line {line} [{shown}]: {slug} has no setting {quoted}, it is ignored"));
            }
            for problem in checked.problems {
                errors.push(Some(section.name.clone()), line_of(&problem.key), problem.into());
            }
            settings = checked.settings;
        } else if !raw.is_empty() {
            warnings.push(format!(
                "line {} [{shown}]: a custom service has no settings, they are ignored",
                section.line
            ));
        }
        Self {
            target: target.to_owned(),
            service: slug.to_owned(),
            settings,
            line: section.line,
            section: section.name.clone(),
        }
    }
}
