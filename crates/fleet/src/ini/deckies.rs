//! From sections to deckies: groups expanded, names unique, settings given to whom they belong.

use std::collections::HashMap;

use decnet_core::DeckyName;

use super::{
    decky::DeckySection,
    error::{Errors, IniProblem, Quoted},
    sections::SettingsSection,
};
use crate::spec::{DeckySpec, MAX_DECKIES, ServiceChoice};

/// The deckies made so far.
#[derive(Debug, Default)]
pub(super) struct Deckies {
    made: Vec<DeckySpec>,
    /// Line of the section that made a name, and whether as a member of a group.
    lines: HashMap<DeckyName, (usize, bool)>,
    full: bool,
}

impl Deckies {
    /// Makes `name`, or `name-01` to `name-NN` of a group.
    pub(super) fn expand(&mut self, section: &DeckySection, errors: &mut Errors) {
        let Some(name) = &section.name else { return };
        if section.amount == 1 {
            self.add(section, name.clone(), None, errors);
            return;
        }
        for number in 1..=section.amount {
            let text = format!("{name}-{number:02}");
            let Ok(member) = DeckyName::parse(&text) else {
                let problem = IniProblem::Name(text.as_str().into());
                errors.push(Some(section.section.clone()), section.line, problem);
                return;
            };
            self.add(section, member, Some(name.clone()), errors);
        }
    }

    fn add(
        &mut self,
        section: &DeckySection,
        name: DeckyName,
        group: Option<DeckyName>,
        errors: &mut Errors,
    ) {
        let mut fail = |problem| errors.push(Some(section.section.clone()), section.line, problem);
        if self.made.len() >= MAX_DECKIES {
            if !std::mem::replace(&mut self.full, true) {
                fail(IniProblem::TooMany);
            }
            return;
        }
        if let Some((first, grouped)) = self.lines.get(&name) {
            // The same section twice was reported as that.
            if group.is_some() || *grouped {
                fail(IniProblem::DuplicateName { name: name.to_string(), first: *first });
            }
            return;
        }
        self.lines.insert(name.clone(), (section.line, group.is_some()));
        self.made.push(DeckySpec {
            group,
            ip: section.ip.map(|(ip, _)| ip),
            services: section.services.clone().map_or(ServiceChoice::Open, ServiceChoice::Listed),
            archetype: section.archetype.map(|a| a.slug.to_owned()),
            nmap_os: section.nmap_os.clone(),
            mutate_interval: section.mutate_interval,
            line: Some(section.line),
            ..DeckySpec::new(name)
        });
    }

    /// The deckies with their settings: those of the group first, those of the decky itself over them.
    pub(super) fn with_settings(
        mut self,
        settings: &[SettingsSection],
        warnings: &mut Vec<String>,
    ) -> Vec<DeckySpec> {
        let by_group = |section: &SettingsSection, decky: &DeckySpec| {
            decky.group.as_ref().is_some_and(|group| group.as_str() == section.target)
        };
        let by_name = |section: &SettingsSection, decky: &DeckySpec| decky.name.as_str() == section.target;
        for section in settings {
            if !self.made.iter().any(|d| by_group(section, d) || by_name(section, d)) {
                let shown = Quoted::from(section.section.as_str()).bare();
                warnings
                    .push(format!("line {} [{shown}]: no decky of that name, it is ignored", section.line));
            }
        }
        let mut apply = |belongs: &dyn Fn(&SettingsSection, &DeckySpec) -> bool| {
            for section in settings {
                for decky in self.made.iter_mut().filter(|d| belongs(section, d)) {
                    let all = decky.service_config.entry(section.service.clone()).or_default();
                    all.extend(section.settings.iter().map(|(k, v)| (k.clone(), v.clone())));
                }
            }
        };
        apply(&by_group);
        apply(&by_name);
        for decky in &mut self.made {
            decky.service_config.retain(|_, settings| !settings.is_empty());
        }
        self.made
    }
}
