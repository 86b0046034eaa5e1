//! A deployment from command-line flags or their API counterpart (spec 3.3): `decky-01` and so on.

use decnet_core::DeckyName;

use crate::{
    catalogue::{archetype, known_archetypes, known_distros},
    spec::{DeckySpec, DistroChoice, FleetSpec, MAX_DECKIES, ServiceChoice},
};

/// What flags say about the deckies. Network flags are fields of the resulting [`FleetSpec`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlagOptions {
    /// How many deckies.
    pub deckies: usize,
    /// What all of them serve.
    pub services: Vec<String>,
    /// One to three random services each, where neither services nor an archetype are named.
    pub randomize_services: bool,
    /// Distributions, cycled over the deckies.
    pub distros: Vec<String>,
    /// A random distribution each, where none is named.
    pub randomize_distros: bool,
    /// The bundle that all of them are made after.
    pub archetype: Option<String>,
}

/// Why flags make no deployment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// None or too many.
    #[error("--deckies {0}: from 1 to {MAX_DECKIES}")]
    Count(usize),
    /// Nothing says what to serve.
    #[error("nothing says what the deckies serve: give --services, --archetype or --randomize-services")]
    NoServices,
    /// No such archetype.
    #[error("--archetype {0:?} is unknown: known are {known}", known = known_archetypes())]
    Archetype(String),
    /// No such distribution.
    #[error("--distro {0:?} is unknown: known are {known}", known = known_distros())]
    Distro(String),
}

/// The deployment that flags describe, or everything that is wrong with them.
pub fn from_flags(options: &FlagOptions) -> Result<FleetSpec, Vec<FlagError>> {
    let mut errors = Vec::new();
    if !(1..=MAX_DECKIES).contains(&options.deckies) {
        errors.push(FlagError::Count(options.deckies));
    }
    if options.services.is_empty() && options.archetype.is_none() && !options.randomize_services {
        errors.push(FlagError::NoServices);
    }
    if let Some(slug) = options.archetype.as_ref().filter(|slug| archetype(slug).is_none()) {
        errors.push(FlagError::Archetype(slug.clone()));
    }
    let unknown = options.distros.iter().filter(|slug| crate::catalogue::distro(slug).is_none());
    errors.extend(unknown.map(|slug| FlagError::Distro(slug.clone())));
    if !errors.is_empty() {
        return Err(errors);
    }
    let decky = |index: usize| {
        let name = DeckyName::parse(&format!("decky-{:02}", index + 1)).ok()?;
        let mut spec = DeckySpec::new(name);
        if !options.services.is_empty() {
            spec.services = ServiceChoice::Listed(options.services.clone());
        }
        spec.archetype.clone_from(&options.archetype);
        spec.distro = match options.distros.len() {
            0 if options.randomize_distros => DistroChoice::Random,
            0 => DistroChoice::Rotate,
            n => DistroChoice::Fixed(options.distros.get(index % n)?.clone()),
        };
        Some(spec)
    };
    Ok(FleetSpec { deckies: (0..options.deckies).filter_map(decky).collect(), ..FleetSpec::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(deckies: usize) -> FlagOptions {
        FlagOptions { deckies, services: vec!["ssh".to_owned()], ..FlagOptions::default() }
    }

    #[test]
    fn names_count_from_one_and_distributions_cycle() {
        let spec = from_flags(&FlagOptions { distros: vec!["debian".into(), "alpine".into()], ..options(3) })
            .unwrap();
        let names: Vec<&str> = spec.deckies.iter().map(|d| d.name.as_str()).collect();
        assert_eq!(names, ["decky-01", "decky-02", "decky-03"]);
        assert_eq!(spec.deckies[2].distro, DistroChoice::Fixed("debian".into()));
        assert_eq!(from_flags(&options(120)).unwrap().deckies[119].name.as_str(), "decky-120");
    }

    #[test]
    fn all_errors_in_one_go() {
        let wrong = FlagOptions {
            archetype: Some("toaster".into()),
            distros: vec!["beos".into(), "debian".into()],
            ..FlagOptions::default()
        };
        let errors = from_flags(&wrong).unwrap_err();
        assert_eq!(errors.len(), 3);
        assert_eq!(errors[0], FlagError::Count(0));
        let none = FlagOptions { deckies: 1, ..FlagOptions::default() };
        assert_eq!(from_flags(&none).unwrap_err(), [FlagError::NoServices]);
    }
}
