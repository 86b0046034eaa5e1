//! The deployment INI (spec 3.2): from bytes to a [`FleetSpec`], or every error in one go, each with section and line.
//!
//! ```text
//! [general]   net= gw= interface= mutate_interval=
//! [web]       ip= services=a,b archetype= amount=1..100 nmap_os= mutate_interval=
//! [web.ssh]   key=value ...                      settings of one service
//! [custom-x]  binary=<image> exec=<command line> ports=8080,9090
//! ```
//! Checks what can be checked without knowing the host; what needs the LAN is checked again by the plan.

mod deckies;
mod decky;
mod error;
mod lines;
mod sections;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, net::Ipv4Addr};

pub use error::{IniError, IniErrors, IniProblem, Quoted};

use crate::{
    addressing::{check_anywhere, check_fixed},
    spec::FleetSpec,
};
use deckies::Deckies;
use decky::DeckySection;
use error::Errors;
use sections::{CustomSection, General, Kind, SettingsSection};

/// Largest INI that is read.
pub const MAX_BYTES: usize = 512 * 1024;

/// Most deckies of one section.
pub const MAX_AMOUNT: u32 = 100;

/// The deployment that an INI describes, or everything that is wrong with it.
pub fn parse(bytes: &[u8]) -> Result<FleetSpec, IniErrors> {
    let mut errors = Errors::default();
    let spec = match text_of(bytes) {
        Ok(text) => read(text, &mut errors),
        Err((line, problem)) => {
            errors.push(None, line, problem);
            FleetSpec::default()
        }
    };
    match errors.finish() {
        Some(errors) => Err(errors),
        None => Ok(spec),
    }
}

fn text_of(bytes: &[u8]) -> Result<&str, (usize, IniProblem)> {
    if bytes.len() > MAX_BYTES {
        return Err((1, IniProblem::TooLarge(bytes.len())));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.split(|b| *b == b'\n').count();
        (line, IniProblem::NotUtf8(error.valid_up_to()))
    })
}

fn read(text: &str, errors: &mut Errors) -> FleetSpec {
    let sections = lines::read(text, errors);
    let customs: Vec<String> = sections.iter().filter_map(|s| CustomSection::name_of(&s.name)).collect();
    let mut spec = FleetSpec::default();
    let mut general = General::default();
    let mut deckies = Vec::new();
    let mut settings = Vec::new();
    for section in &sections {
        match Kind::of(section, &customs) {
            Kind::Default => {
                errors.push(Some(section.name.clone()), section.line, IniProblem::DefaultSection);
            }
            Kind::General => general = General::read(section, errors),
            Kind::Custom => spec.custom_services.extend(CustomSection::read(section, errors)),
            Kind::Settings => settings.push(SettingsSection::read(section, errors, &mut spec.warnings)),
            Kind::Decky => deckies.push(DeckySection::read(section, &customs, errors, &mut spec.warnings)),
        }
    }
    check_addresses(&general, &deckies, errors);
    let mut made = Deckies::default();
    for decky in &deckies {
        made.expand(decky, errors);
    }
    if sections.iter().all(|s| Kind::of(s, &customs) != Kind::Decky) {
        errors.push(None, 1, IniProblem::NoDeckies);
    }
    spec.deckies = made.with_settings(&settings, &mut spec.warnings);
    spec.subnet = general.net;
    spec.gateway = general.gw.map(|(ip, _)| ip);
    spec.interface = general.interface;
    spec.mutate_interval = general.mutate_interval.map(Some);
    spec
}

/// Named addresses: of the subnet, nobody's by definition, each once.
fn check_addresses(general: &General, deckies: &[DeckySection], errors: &mut Errors) {
    let gateway = general.gw.map(|(ip, _)| ip);
    if let (Some(subnet), Some((gw, line))) = (general.net, general.gw)
        && let Err(problem) = check_fixed(gw, subnet, None)
    {
        errors.push(Some("general".to_owned()), line, problem.into());
    }
    let mut first: HashMap<Ipv4Addr, usize> = HashMap::new();
    for decky in deckies {
        let Some((ip, line)) = decky.ip else { continue };
        let checked = match general.net {
            Some(subnet) => check_fixed(ip, subnet, gateway),
            None => check_anywhere(ip),
        };
        if let Err(problem) = checked {
            errors.push(Some(decky.section.clone()), line, problem.into());
        }
        if let Some(first) = first.get(&ip) {
            errors.push(
                Some(decky.section.clone()),
                line,
                IniProblem::DuplicateAddress { ip, first: *first },
            );
        } else {
            first.insert(ip, line);
        }
    }
}
