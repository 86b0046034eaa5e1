//! What a decky's section says, checked on its own and not expanded yet.

use std::net::Ipv4Addr;

use decnet_core::DeckyName;

use super::{
    MAX_AMOUNT,
    error::{Errors, IniProblem, Quoted},
    lines::{Entry, Section},
    sections::{Keys, MINUTES, minutes, value},
};
use crate::catalogue::{
    Archetype, OsFamily, Port, archetype, listening_ports, port_clashes, require_built, service,
};

/// `[<decky>]`, not expanded yet.
pub(super) struct DeckySection {
    pub(super) section: String,
    pub(super) line: usize,
    /// `None` if it is no name, which is reported already.
    pub(super) name: Option<DeckyName>,
    pub(super) ip: Option<(Ipv4Addr, usize)>,
    pub(super) services: Option<Vec<String>>,
    pub(super) archetype: Option<&'static Archetype>,
    pub(super) amount: u32,
    pub(super) nmap_os: Option<String>,
    pub(super) mutate_interval: Option<u32>,
}

impl DeckySection {
    pub(super) fn read(
        section: &Section,
        customs: &[String],
        errors: &mut Errors,
        warnings: &mut Vec<String>,
    ) -> Self {
        let mut keys = Keys::new(section);
        let (ip, services) = (keys.take("ip"), keys.take("services"));
        let (bundle, amount) = (keys.take("archetype"), keys.take("amount"));
        let nmap_os = keys.take_either("nmap_os", errors);
        let interval = keys.take_either("mutate_interval", errors);
        keys.refuse_rest("ip, services, archetype, amount, nmap_os, mutate_interval", errors);
        let mut fail = |line, problem| errors.push(Some(section.name.clone()), line, problem);

        let name = DeckyName::parse(&section.name).ok();
        if name.is_none() {
            let dotted = section.name.rsplit_once('.').map(|(_, last)| last);
            let problem = match dotted {
                Some(last) => IniProblem::DottedName { service: last.into() },
                None => IniProblem::Name(section.name.as_str().into()),
            };
            fail(section.line, problem);
        }
        let amount_of = |entry: &Entry| entry.value.parse().ok().filter(|n| (1..=MAX_AMOUNT).contains(n));
        let count = amount.and_then(amount_of).unwrap_or(1);
        if let Some(entry) = amount.filter(|e| amount_of(e).is_none()) {
            fail(entry.line, IniProblem::Amount(entry.value.as_str().into()));
        }
        if let (Some(entry), true) = (amount, count > 1 && ip.is_some()) {
            fail(entry.line, IniProblem::AmountWithIp(count));
        }
        let slug = bundle.map(|e| e.value.to_lowercase());
        let chosen = slug.as_deref().and_then(archetype);
        if let (Some(entry), None) = (bundle, chosen) {
            fail(entry.line, IniProblem::Archetype(entry.value.as_str().into()));
        }
        if let (Some(entry), Some(archetype), None) = (bundle, chosen, services)
            && archetype.split_services().0.is_empty()
        {
            let services = archetype.services.join(", ");
            fail(entry.line, IniProblem::ArchetypeNotBuilt { archetype: archetype.slug, services });
        }
        let services = services.map(|entry| {
            let (slugs, problems) = services_of(&entry.value, customs);
            for problem in problems {
                fail(entry.line, problem);
            }
            slugs
        });
        if let Some(entry) = nmap_os.filter(|e| OsFamily::from_word(&e.value).is_none()) {
            let (shown, word) =
                (Quoted::from(section.name.as_str()).bare(), Quoted::from(entry.value.as_str()));
            let known = OsFamily::ALL.map(OsFamily::as_str).join(", ");
            warnings.push(format!(
                "line {} [{shown}]: nmap_os {word} is unknown and read as linux; known are {known}",
                entry.line
            ));
        }
        let family = nmap_os.map(|e| OsFamily::from_word(&e.value).unwrap_or_default());
        let ip_form = ("ip", "an IPv4 address such as 192.168.1.20");
        Self {
            section: section.name.clone(),
            line: section.line,
            name,
            ip: value(section, ip, ip_form, errors, |t| t.parse().ok()).zip(ip.map(|e| e.line)),
            services,
            archetype: chosen,
            amount: count,
            nmap_os: family.map(|f| f.as_str().to_owned()),
            mutate_interval: value(section, interval, MINUTES, errors, minutes),
        }
    }
}

/// The services of `services=`, each once, and what is wrong with them.
fn services_of(text: &str, customs: &[String]) -> (Vec<String>, Vec<IniProblem>) {
    let mut slugs: Vec<String> = Vec::new();
    let mut problems = Vec::new();
    for word in text.split([',', '\n']).map(|w| w.trim().to_lowercase()).filter(|w| !w.is_empty()) {
        if slugs.contains(&word) {
            continue;
        }
        if !customs.contains(&word)
            && let Err(problem) = require_built(&word)
        {
            problems.push(problem.into());
        }
        slugs.push(word);
    }
    if slugs.is_empty() {
        let must = "at least one service, or leave the key out".to_owned();
        problems.push(IniProblem::Value { key: "services", value: text.into(), must });
    }
    let all: Vec<&str> = slugs.iter().map(String::as_str).collect();
    let ports: Vec<(&str, Vec<Port>)> =
        all.iter().filter_map(|slug| Some((*slug, listening_ports(service(slug)?, &all)))).collect();
    problems.extend(port_clashes(&ports).into_iter().map(|(first, second, port)| IniProblem::PortClash {
        first: first.to_owned(),
        second: second.to_owned(),
        port,
    }));
    (slugs, problems)
}
