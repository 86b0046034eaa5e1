//! A machine to pretend to be when nobody planned one: for `run` without a document.
//!
//! Small on purpose; a fleet's personas come from `fleet` in the document. Everything here is invented.

use decnet_core::{Account, HostPersona, Seed};

/// Slug, `PRETTY_NAME`, kernel.
const SYSTEMS: &[(&str, &str, &str)] = &[
    ("debian", "Debian GNU/Linux 12 (bookworm)", "6.1.0-28-amd64"),
    ("ubuntu22", "Ubuntu 22.04.5 LTS", "5.15.0-130-generic"),
    ("ubuntu20", "Ubuntu 20.04.6 LTS", "5.4.0-205-generic"),
    ("rocky9", "Rocky Linux 9.5 (Blue Onyx)", "5.14.0-503.15.1.el9_5.x86_64"),
];
const COMPANIES: &[&str] =
    &["Halvorsen Logistics", "Brightmoor Clinics", "Ostrava Castings", "Lindqvist Paper"];
const ZONES: &[&str] = &["Europe/Berlin", "Europe/London", "America/Chicago", "Europe/Stockholm"];
const GIVEN: &[&str] =
    &["Marta", "Jonas", "Priya", "Owen", "Lucia", "Tomas", "Hanna", "Felix", "Irene", "Samir"];
const FAMILY: &[&str] =
    &["Keller", "Novak", "Okafor", "Lindgren", "Moreau", "Petrov", "Sandoval", "Whitaker", "Iversen", "Rao"];
const WORDS: &[&str] = &["prod", "web", "db", "mail", "proxy", "stage", "backup", "monitor", "files"];
const SEASONS: &[&str] = &["Spring", "Summer", "Autumn", "Winter"];

/// The machine of this node of the keyed tree.
pub fn standalone(seed: &Seed) -> HostPersona {
    let word = |label: &str, words: &'static [&'static str]| {
        seed.child(label).pick(words).copied().unwrap_or_default()
    };
    let (distro, os_pretty, kernel) = seed.child("system").pick(SYSTEMS).copied().unwrap_or((
        "debian",
        "Debian GNU/Linux 12 (bookworm)",
        "",
    ));
    let company = word("company", COMPANIES);
    let domain = format!("{}.example", company.split(' ').next().unwrap_or("corp").to_lowercase());
    let hostname = format!("srv-{}-{}", word("host/word", WORDS), seed.child("host/number").range(10..=99));
    HostPersona {
        accounts: (0..3).filter_map(|n| account(&seed.child(format!("account/{n}")), n, &domain)).collect(),
        hostname,
        domain,
        company: company.to_owned(),
        timezone: word("zone", ZONES).to_owned(),
        distro: distro.to_owned(),
        os_pretty: os_pretty.to_owned(),
        kernel: kernel.to_owned(),
        os_family: "linux".to_owned(),
        boot_offset_s: seed.child("boot").range(3_600..=45 * 86_400),
    }
}

fn account(seed: &Seed, n: u32, domain: &str) -> Option<Account> {
    let given = seed.child("given").pick(GIVEN)?.to_owned();
    let family = seed.child("family").pick(FAMILY)?.to_owned();
    // The number keeps two accounts of one name apart.
    let login = match n {
        0 => format!("{}{}", &given[..1], family).to_lowercase(),
        _ => format!("{given}.{family}").to_lowercase(),
    };
    Some(Account {
        full_name: format!("{given} {family}"),
        password: format!(
            "{}{}{}",
            seed.child("season").pick(SEASONS)?,
            seed.child("year").range(2021..=2025),
            seed.child("mark").pick(&["!", "#", "?", "."])?
        ),
        uid: 1000 + n,
        email: format!("{login}@{domain}"),
        login,
    })
}

#[cfg(test)]
mod tests {
    use decnet_core::FleetSecret;

    use super::*;

    #[test]
    fn one_seed_is_one_machine_and_another_seed_another() {
        let seed = |n| FleetSecret::from_number(n).seed();
        assert_eq!(standalone(&seed(1)), standalone(&seed(1)));
        assert_ne!(standalone(&seed(1)), standalone(&seed(2)));
        assert_eq!(standalone(&seed(1)).accounts.len(), 3);
    }
}
