//! The fleet as the planner sees it: machines in a fixed order, each person once, and what each machine can take part in.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{Machine, Persona, hours::Presence};

/// Colleagues that one person knows well enough to write of.
const KNOWN: usize = 40;
/// Machines that people write of.
const HOSTS: usize = 200;

/// Somebody of the fleet.
#[derive(Debug, Clone)]
pub struct Person {
    /// Who.
    pub persona: Arc<Persona>,
    /// When he is in.
    pub presence: Presence,
    /// Whom he writes of.
    pub colleagues: Vec<Arc<Persona>>,
}

/// A machine and its people, as indices into [`Fleet::people`].
#[derive(Debug, Clone)]
pub struct Place {
    /// The machine.
    pub machine: Machine,
    /// In the order of its residents.
    pub(super) residents: Vec<usize>,
    /// Who has a mailbox here, no address twice.
    pub(super) mailers: Vec<usize>,
    /// The same by address.
    pub(super) by_address: HashMap<String, usize>,
}

/// All machines, in the order of their ids.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    places: Vec<Place>,
    people: Vec<Person>,
    by_id: HashMap<String, usize>,
    hosts: Vec<String>,
    serving: usize,
}

impl Fleet {
    /// A fleet of these machines, in whatever order they come. Of machines with one id the last counts.
    pub fn new(machines: impl IntoIterator<Item = Machine>) -> Self {
        let mut machines: Vec<Machine> = machines.into_iter().collect();
        machines.sort_by(|one, other| one.id.cmp(&other.id));
        machines.reverse();
        machines.dedup_by(|one, other| one.id == other.id);
        machines.reverse();
        let mut fleet = Self::default();
        let mut known = HashMap::new();
        for machine in machines {
            let mut index = |persona: &Arc<Persona>| {
                let key = (persona.email.clone(), persona.name.clone());
                *known.entry(key).or_insert_with(|| {
                    let presence = Presence::of(persona);
                    fleet.people.push(Person {
                        persona: Arc::clone(persona),
                        presence,
                        colleagues: Vec::new(),
                    });
                    fleet.people.len() - 1
                })
            };
            let residents = machine.residents.iter().map(|resident| index(&resident.persona)).collect();
            let mut addresses = HashSet::new();
            let mut by_address = HashMap::new();
            let mut mailers = Vec::new();
            for persona in machine.mail_users.iter().filter(|_| machine.has_mail) {
                let address = persona.email.to_lowercase();
                if addresses.insert(address) {
                    mailers.push(index(persona));
                    by_address.insert(persona.email.clone(), index(persona));
                }
            }
            if fleet.hosts.len() < HOSTS {
                fleet.hosts.push(machine.host.clone());
            }
            fleet.serving += usize::from(super::traffic::serves(&machine));
            fleet.by_id.insert(machine.id.clone(), fleet.places.len());
            fleet.places.push(Place { machine, residents, mailers, by_address });
        }
        fleet.acquaint();
        fleet
    }

    /// The machines.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Everyone on any of the machines.
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// The place of a machine in [`Self::places`].
    pub fn place_of(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// A machine.
    pub fn machine(&self, id: &str) -> Option<&Machine> {
        Some(&self.places.get(self.place_of(id)?)?.machine)
    }

    /// Names of machines that people may write of.
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// Whether a machine has another one to connect to.
    pub(super) fn has_partner(&self, place: &Place) -> bool {
        self.serving > usize::from(super::traffic::serves(&place.machine))
    }

    fn acquaint(&mut self) {
        let all: Vec<Arc<Persona>> = self.people.iter().map(|person| Arc::clone(&person.persona)).collect();
        for (index, person) in self.people.iter_mut().enumerate() {
            let others = all.iter().cycle().skip(index + 1).take(all.len().saturating_sub(1).min(KNOWN));
            person.colleagues = others.filter(|other| other.name != person.persona.name).cloned().collect();
        }
    }
}
