//! Login names: one for each persona, the same on every machine.

use std::collections::HashSet;

use super::{Persona, Pool, parse::is_login};

/// What the system takes.
const LONGEST: usize = 32;

impl Pool {
    /// A pool of these people. Whoever has no login name is given one: his name without spaces if that is plain letters and
    /// digits, else of his address, else `user`. Names that are taken get a number.
    pub fn new(mut personas: Vec<Persona>) -> Self {
        let mut taken = HashSet::new();
        // Whoever was given one keeps it, wherever he stands in the list.
        for persona in &mut personas {
            if let Some(login) = persona.login.take() {
                persona.login = taken.insert(login.clone()).then_some(login);
            }
        }
        for persona in &mut personas {
            if persona.login.is_none() {
                persona.login = Some(free(&wanted(persona), &mut taken));
            }
        }
        Self(personas)
    }

    /// The same people as employees of the fleet of this number.
    #[must_use]
    pub fn salted(mut self, salt: u64) -> Self {
        for persona in &mut self.0 {
            persona.salt = salt;
        }
        self
    }
}

/// The login that a persona would have in a pool of his own.
fn wanted(persona: &Persona) -> String {
    let name: String = persona.name.chars().filter(|c| !c.is_whitespace()).collect();
    let name = name.to_lowercase();
    if name.chars().all(|c| c.is_ascii_alphanumeric()) && is_login(&cut(&name, LONGEST)) {
        return cut(&name, LONGEST);
    }
    let local = persona.email.rsplit_once('@').map_or("", |(local, _)| local).to_lowercase();
    let local: String =
        local.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_' || *c == '-').collect();
    let local = cut(&local, LONGEST);
    if is_login(&local) { local } else { "user".to_owned() }
}

fn free(wanted: &str, taken: &mut HashSet<String>) -> String {
    let numbered = (2u64..).map(|number| {
        let number = number.to_string();
        cut(wanted, LONGEST.saturating_sub(number.len())) + &number
    });
    let found = std::iter::once(wanted.to_owned()).chain(numbered).find(|login| !taken.contains(login));
    let found = found.unwrap_or_else(|| wanted.to_owned());
    taken.insert(found.clone());
    found
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}
