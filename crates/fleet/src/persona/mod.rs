//! The invented company behind a fleet, and the machine and people that one decky shows.
//!
//! One company, domain and place per fleet, drawn from the fleet secret; machines and passwords per decky, drawn from
//! the decky's own node. No two deckies share a password: a planted one that is used elsewhere tells where it was read.
//! Domains end in suffixes that nobody can register (`.lan`, `.internal`, `.local`), so nobody real is ever meant.

mod data;
mod people;

use std::collections::{BTreeMap, HashSet};

use decnet_core::{FleetSecret, HostPersona, Seed};

pub use people::Person;

use crate::catalogue::{Distro, HostStyle, OsFamily, face};

/// The company that a fleet belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Company {
    /// Its name.
    pub name: String,
    /// Its DNS domain.
    pub domain: String,
    /// IANA time zone of its site: that of invented people, not of machines' clocks.
    pub timezone: String,
    /// Everyone who works there.
    pub staff: Vec<Person>,
}

/// The zone of every machine's clock, as in most server rooms: its logs, also those that life writes, are in it, wherever its
/// people are.
const MACHINE_ZONE: &str = "Etc/UTC";
/// How many people a company has.
const STAFF: usize = 40;

impl Company {
    /// The company that `secret` draws.
    pub fn of(secret: &FleetSecret) -> Self {
        let node = secret.seed().child("company");
        let pick =
            |label: &str, list: &[&'static str]| node.child(label).pick(list).copied().unwrap_or_default();
        let (head, tail) = (pick("head", data::BRAND_HEADS), pick("tail", data::BRAND_TAILS));
        let trade = pick("trade", data::TRADES);
        let brand = format!("{head}{tail}");
        let zone = pick("zone", data::ZONES);
        let domain = zone.replace("{}", &brand.to_lowercase());
        let staff = people::staff(&node.child("staff"), &domain, STAFF);
        Self {
            name: format!("{brand} {trade}"),
            domain,
            timezone: pick("place", data::TIMEZONES).to_owned(),
            staff,
        }
    }

    /// The same company with other people, where there are any.
    #[must_use]
    pub fn with_staff(mut self, staff: &[Person]) -> Self {
        if staff.is_empty() {
            return self;
        }
        let mut domains: BTreeMap<&str, usize> = BTreeMap::new();
        for person in staff {
            if let Some((_, domain)) = person.email.rsplit_once('@') {
                *domains.entry(domain).or_default() += 1;
            }
        }
        if let Some((domain, _)) = domains.into_iter().max_by_key(|(_, count)| *count) {
            domain.clone_into(&mut self.domain);
        }
        self.staff = staff.to_vec();
        self
    }
}

/// What a persona depends on beside the decky's node.
pub(crate) struct Machine<'a> {
    pub(crate) hostname: &'a str,
    pub(crate) distro: &'static Distro,
    pub(crate) family: OsFamily,
    pub(crate) style: HostStyle,
    /// The operator's own password for the administrator, from the settings of the login service.
    pub(crate) root_password: Option<&'a str>,
}

/// The machine that `node` draws. Passwords are kept different from those in `passwords`, which grows.
pub(crate) fn persona(
    company: &Company,
    machine: &Machine<'_>,
    node: &Seed,
    passwords: &mut HashSet<String>,
) -> HostPersona {
    let node = node.child("persona");
    let (os_pretty, kernel) = face(machine.distro, machine.family, machine.style, &node.child("face"));
    let short = machine.hostname.split('.').next().unwrap_or(machine.hostname);
    HostPersona {
        hostname: short.to_owned(),
        domain: company.domain.clone(),
        company: company.name.clone(),
        timezone: MACHINE_ZONE.to_owned(),
        distro: machine.distro.slug.to_owned(),
        os_pretty: os_pretty.to_owned(),
        kernel: kernel.to_owned(),
        os_family: machine.family.as_str().to_owned(),
        boot_offset_s: node.child("boot").range(3600..=45 * 86_400),
        accounts: people::accounts(company, machine, &node.child("accounts"), passwords),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::distro;

    fn machine() -> Machine<'static> {
        Machine {
            hostname: "web17.localdomain",
            distro: distro("rocky9").unwrap(),
            family: OsFamily::Linux,
            style: HostStyle::Rhel,
            root_password: None,
        }
    }

    #[test]
    fn a_secret_draws_one_company_and_another_secret_another() {
        let company = Company::of(&FleetSecret::from_number(1));
        assert_eq!(company, Company::of(&FleetSecret::from_number(1)));
        let others: HashSet<String> =
            (2..40).map(|n| Company::of(&FleetSecret::from_number(n)).name).collect();
        assert!(others.len() > 30, "only {} different names of 38", others.len());
        assert_eq!(company.staff.len(), STAFF);
        let logins: HashSet<&str> = company.staff.iter().map(|p| p.login.as_str()).collect();
        assert_eq!(logins.len(), STAFF);
    }

    #[test]
    fn nobody_real_is_meant() {
        for n in 0..50 {
            let domain = Company::of(&FleetSecret::from_number(n)).domain;
            let last = domain.rsplit('.').next().unwrap();
            assert!(["lan", "internal", "local"].contains(&last), "{domain}");
        }
    }

    #[test]
    fn passwords_never_repeat_within_a_fleet() {
        let secret = FleetSecret::from_number(5);
        let company = Company::of(&secret);
        let mut passwords = HashSet::new();
        let mut count = 0;
        for n in 0..100u32 {
            let persona =
                persona(&company, &machine(), &secret.seed().child(n.to_be_bytes()), &mut passwords);
            assert_eq!(persona.accounts[0].login, "root");
            assert!(persona.accounts.len() >= 4);
            assert!((3600..=45 * 86_400).contains(&persona.boot_offset_s));
            count += persona.accounts.len();
        }
        assert_eq!(passwords.len(), count);
    }

    #[test]
    fn the_operators_own_people_are_the_staff_and_their_domain_the_companys() {
        let person = |login: &str, domain: &str| Person {
            full_name: format!("{login} Park"),
            login: login.to_owned(),
            email: format!("{login}@{domain}"),
        };
        let people =
            [person("ada", "corp.example"), person("tom", "corp.example"), person("ann", "x.example")];
        let secret = FleetSecret::from_number(7);
        let company = Company::of(&secret).with_staff(&people);
        assert_eq!(company.domain, "corp.example");
        let got = persona(&company, &machine(), &secret.seed(), &mut HashSet::new());
        let logins: HashSet<&str> = got.accounts.iter().map(|a| a.login.as_str()).collect();
        assert!(["ada", "tom", "ann"].iter().filter(|login| logins.contains(*login)).count() >= 2);
        assert_eq!(got.domain, "corp.example");
        assert_eq!(Company::of(&secret).with_staff(&[]), Company::of(&secret));
    }

    #[test]
    fn the_operators_own_password_wins() {
        let secret = FleetSecret::from_number(6);
        let machine = Machine { root_password: Some("letmein"), ..machine() };
        let got = persona(&Company::of(&secret), &machine, &secret.seed(), &mut HashSet::new());
        assert_eq!(got.accounts[0].password, "letmein");
        assert_eq!(got.hostname, "web17");
    }
}
