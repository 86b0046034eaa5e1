//! The invented machines: a company's naming scheme, what its machines serve, who has an account where.

use std::{
    collections::{BTreeMap, HashSet},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use decnet_core::Seed;
use rand::{RngExt, seq::SliceRandom};

use crate::{Draw, Machine, Persona, Pool, Resident, scene::Family};

/// Machines for each one that keeps mailboxes.
const PER_MAIL_MACHINE: usize = 20;
/// People with an account on one machine.
const RESIDENTS: std::ops::RangeInclusive<usize> = 2..=6;
/// The first user id of people.
const FIRST_UID: u32 = 1000;

/// A kind of machine: parts of its name, what it serves beside ssh, how many of them a company has.
struct Role {
    names: &'static [&'static str],
    services: &'static [(&'static str, u16)],
    weight: u32,
}

const MAIL: Role = Role {
    names: &["mail", "mx", "smtp", "imap", "post"],
    services: &[("smtp", 25), ("imap", 143), ("pop3", 110)],
    weight: 0,
};

const ROLES: [Role; 14] = [
    Role { names: &["web", "www", "portal"], services: &[("http", 80), ("https", 443)], weight: 14 },
    Role { names: &["app", "svc", "srv"], services: &[("http", 8080)], weight: 14 },
    Role { names: &["db", "sql", "mysql"], services: &[("mysql", 3306)], weight: 7 },
    Role { names: &["pg", "pgsql", "data"], services: &[("postgres", 5432)], weight: 6 },
    Role { names: &["fs", "nas", "files", "share"], services: &[("smb", 445)], weight: 9 },
    Role { names: &["cache", "redis", "queue"], services: &[("redis", 6379)], weight: 6 },
    Role { names: &["build", "ci", "runner"], services: &[("http", 8080)], weight: 7 },
    Role { names: &["git", "repo", "scm"], services: &[("https", 443), ("http", 80)], weight: 5 },
    Role { names: &["jump", "bastion", "admin", "ops"], services: &[], weight: 6 },
    Role { names: &["mon", "metrics", "nms"], services: &[("https", 443)], weight: 4 },
    Role { names: &["log", "elk", "search"], services: &[("elasticsearch", 9200)], weight: 3 },
    Role { names: &["dir", "ldap", "idm"], services: &[("ldap", 389), ("ldaps", 636)], weight: 3 },
    Role { names: &["ns", "infra", "core"], services: &[("dns", 53), ("ntp", 123)], weight: 4 },
    Role { names: &["bak", "backup", "stage", "dev", "test", "wks"], services: &[], weight: 12 },
];

/// How this company names its machines.
struct Scheme {
    separator: &'static str,
    prefix: &'static str,
    width: usize,
    first: u32,
}

/// The machines of a fleet on which the people of the pool work.
pub(super) fn machines(pool: &Pool, count: u32, seed: &Seed) -> Vec<Machine> {
    let mut rng = seed.rng();
    let scheme = Scheme::draw(&mut rng);
    let salt = seed.child("salt").u64();
    let people: Vec<Arc<Persona>> = pool.clone().salted(salt).0.into_iter().map(Arc::new).collect();
    let addresses: HashSet<String> = people.iter().map(|persona| persona.email.to_lowercase()).collect();
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mail_machines = if addresses.len() > 1 { count.div_ceil(PER_MAIL_MACHINE) } else { 0 };
    let domain = domain(&people);
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    let mut deck = Deck { people: &people, left: Vec::new() };
    (0..count)
        .map(|at| {
            let has_mail = at < mail_machines;
            let role = if has_mail { &MAIL } else { role(&mut rng) };
            let name = role.names.get(rng.random_range(0..role.names.len())).copied().unwrap_or("srv");
            let number = numbers.entry(name).or_insert_with(|| rng.random_range(1..=scheme.first));
            let host = scheme.name(name, *number);
            *number += 1 + rng.random_range(0..2);
            let mut services = vec![("ssh".to_owned(), 22)];
            services.extend(role.services.iter().map(|(slug, port)| ((*slug).to_owned(), *port)));
            let family = match rng.random_range(0..10) {
                0..6 => Family::Debian,
                6..9 => Family::Rhel,
                _ => Family::Other,
            };
            Machine {
                id: host.clone(),
                host,
                domain: domain.clone(),
                ip: Some(address(at)),
                services,
                family,
                residents: residents(&mut deck, count, &mut rng),
                has_files: true,
                has_mail,
                salt,
                mail_users: if has_mail { people.clone() } else { Vec::new() },
            }
        })
        .collect()
}

impl Scheme {
    fn draw(rng: &mut Draw) -> Self {
        let pick = |list: &[&'static str], rng: &mut Draw| {
            list.get(rng.random_range(0..list.len())).copied().unwrap_or_default()
        };
        let separator = pick(&["-", "-", ""], rng);
        let prefix =
            pick(&["", "", "", "srv-", "p-", "prd-", "hq-", "dc1-", "lx-", "vm-", "int-", "n1-"], rng);
        Self { separator, prefix, width: rng.random_range(1..=3), first: rng.random_range(1..12) }
    }

    fn name(&self, role: &str, number: u32) -> String {
        // `srv-srv-7` is nobody's idea of a name.
        let prefix = if self.prefix.starts_with(role) { "" } else { self.prefix };
        format!("{prefix}{role}{}{number:0width$}", self.separator, width = self.width)
    }
}

fn role(rng: &mut Draw) -> &'static Role {
    let sum: u32 = ROLES.iter().map(|role| role.weight).sum();
    let mut target = rng.random_range(0..sum);
    for role in &ROLES {
        match target.checked_sub(role.weight) {
            Some(left) => target = left,
            None => return role,
        }
    }
    &ROLES[0]
}

/// People in a random order, again and again: everybody gets an account somewhere before somebody gets a second.
struct Deck<'a> {
    people: &'a [Arc<Persona>],
    left: Vec<usize>,
}

fn residents(deck: &mut Deck<'_>, machines: usize, rng: &mut Draw) -> Vec<Resident> {
    let everybody = deck.people.len();
    // Where there are few machines, more share each.
    let needed = everybody.div_ceil(machines.max(1));
    let many = rng.random_range(RESIDENTS).max(needed).min(*RESIDENTS.end()).min(everybody);
    let mut chosen = Vec::new();
    while chosen.len() < many {
        if deck.left.is_empty() {
            deck.left = (0..everybody).collect();
            deck.left.shuffle(rng);
        }
        let Some(at) = deck.left.iter().rposition(|person| !chosen.contains(person)) else {
            deck.left.clear();
            continue;
        };
        chosen.push(deck.left.remove(at));
    }
    chosen.into_iter().filter_map(|person| resident(deck.people, person)).collect()
}

fn resident(people: &[Arc<Persona>], person: usize) -> Option<Resident> {
    let persona = Arc::clone(people.get(person)?);
    let login = persona.login.clone().unwrap_or_else(|| "user".to_owned());
    let id =
        persona.uid.unwrap_or_else(|| FIRST_UID.saturating_add(u32::try_from(person).unwrap_or_default()));
    Some(Resident { home: format!("/home/{login}"), login, uid: id, gid: id, persona })
}

/// The domain that most of the addresses are in.
fn domain(people: &[Arc<Persona>]) -> String {
    let mut domains: BTreeMap<String, usize> = BTreeMap::new();
    for persona in people {
        if let Some((_, domain)) = persona.email.rsplit_once('@') {
            *domains.entry(domain.to_lowercase()).or_default() += 1;
        }
    }
    domains.into_iter().max_by_key(|(_, count)| *count).map(|(domain, _)| domain).unwrap_or_default()
}

fn address(at: usize) -> IpAddr {
    let at = u32::try_from(at).unwrap_or_default() % (1 << 24);
    IpAddr::V4(Ipv4Addr::from_bits((10 << 24) + at + 10))
}
