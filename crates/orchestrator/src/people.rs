//! Who lives in the fleet: the personas of the operator's pool, else the company's own people, drawn from the fleet secret; and
//! which of them has which account on a machine, by login name.

use std::{collections::HashMap, sync::Arc};

use chrono::Weekday;
use decnet_core::{FleetSecret, Seed};
use decnet_fleet::persona::{Company, Person};
use decnet_realism::{
    Persona, Pool, Resident,
    persona::{Latency, Os, Tone},
};

/// Jobs at a company, and how many of a hundred people have each.
const ROLES: [(&str, u64); 18] = [
    ("Systems Administrator", 10),
    ("Software Developer", 12),
    ("Network Engineer", 6),
    ("IT Support Specialist", 7),
    ("Database Administrator", 4),
    ("DevOps Engineer", 5),
    ("Accountant", 8),
    ("Financial Controller", 3),
    ("Purchasing Officer", 4),
    ("Sales Representative", 9),
    ("Account Manager", 5),
    ("Marketing Coordinator", 4),
    ("HR Generalist", 4),
    ("Recruiter", 2),
    ("Office Manager", 5),
    ("Executive Assistant", 3),
    ("Project Manager", 5),
    ("Quality Engineer", 4),
];

/// How people write, and how soon they answer.
const TONES: [Tone; 5] = [Tone::Direct, Tone::Casual, Tone::Formal, Tone::Technical, Tone::Direct];
const LATENCIES: [Latency; 4] = [Latency::Normal, Latency::Fast, Latency::Normal, Latency::Slow];

/// An account of a machine (passwd(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) login: String,
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: String,
}

/// People of an `/etc/passwd`: ordinary accounts with a home below `/home`.
pub(crate) fn accounts(passwd: &str) -> Vec<Account> {
    let account = |line: &str| {
        let mut parts = line.split(':');
        let login = parts.next()?.to_owned();
        let mut parts = parts.skip(1);
        let (uid, gid) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let name = parts.next()?.split(',').next()?.to_owned();
        let home = parts.next()?.trim_end_matches('/').to_owned();
        let ordinary = (1000..65_534).contains(&uid) && home.starts_with("/home/") && !home.contains("..");
        ordinary.then_some(Account { login, name, uid, gid, home })
    };
    passwd.lines().filter_map(account).collect()
}

/// Everyone who may live somewhere.
#[derive(Debug, Clone)]
pub(crate) struct Roster {
    people: Vec<Arc<Persona>>,
    by_login: HashMap<String, Arc<Persona>>,
    domain: String,
    /// Whoever has an account is somebody: there is no pool that says who is.
    invents: Option<Inventor>,
}

/// What drawn people are drawn from.
#[derive(Debug, Clone)]
struct Inventor {
    node: Seed,
    zone: chrono_tz::Tz,
    salt: u64,
}

/// What makes the habits of this fleet its own (`Persona::salt`).
pub(crate) fn salt(node: &Seed) -> u64 {
    node.child("salt").u64()
}

impl Roster {
    /// The people of a pool, or those of the company that the secret draws.
    pub(crate) fn new(secret: &FleetSecret, node: &Seed, pool: &Pool) -> Self {
        let company = Company::of(secret);
        let salt = salt(node);
        if pool.0.is_empty() {
            let inventor = Inventor {
                node: node.child("people"),
                zone: company.timezone.parse().unwrap_or_default(),
                salt,
            };
            let people = company.staff.iter().map(|person| Arc::new(inventor.persona(person))).collect();
            return Self::of(people, company.domain, Some(inventor));
        }
        let staff: Vec<Person> = pool
            .0
            .iter()
            .map(|persona| Person {
                full_name: persona.name.clone(),
                login: persona.login.clone().unwrap_or_default(),
                email: persona.email.clone(),
            })
            .collect();
        let people = pool.clone().salted(salt).0.into_iter().map(Arc::new).collect();
        Self::of(people, company.with_staff(&staff).domain, None)
    }

    fn of(people: Vec<Arc<Persona>>, domain: String, invents: Option<Inventor>) -> Self {
        let by_login =
            people.iter().filter_map(|persona| Some((persona.login.clone()?, Arc::clone(persona)))).collect();
        Self { people, by_login, domain, invents }
    }

    /// The domain of the company's mail.
    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// Everyone with a mailbox.
    pub(crate) fn mail_users(&self) -> &[Arc<Persona>] {
        &self.people
    }

    /// The accounts that belong to somebody.
    pub(crate) fn residents(&self, accounts: &[Account]) -> Vec<Resident> {
        let resident = |account: &Account| {
            let persona = match (self.by_login.get(&account.login), &self.invents) {
                (Some(persona), _) => Arc::clone(persona),
                (None, Some(inventor)) => Arc::new(inventor.persona(&Person {
                    full_name: if account.name.is_empty() {
                        account.login.clone()
                    } else {
                        account.name.clone()
                    },
                    login: account.login.clone(),
                    email: format!("{}@{}", account.login, self.domain),
                })),
                (None, None) => return None,
            };
            Some(Resident {
                persona,
                login: account.login.clone(),
                uid: account.uid,
                gid: account.gid,
                home: account.home.clone(),
            })
        };
        accounts.iter().filter_map(resident).collect()
    }
}

impl Inventor {
    /// Somebody with a job, habits and hours, the same each time he is asked for.
    fn persona(&self, person: &Person) -> Persona {
        let node = self.node.child(&person.login);
        // Offices open between seven and half past nine; one in twelve works late.
        let begin = 7 * 60 + 15 * node.child("begin").range(0..=10);
        let begin = if node.child("late").chance(0.08) { 13 * 60 + 30 } else { begin };
        let end = (begin + 8 * 60 + 15 * node.child("length").range(0..=5)).min(23 * 60 + 45);
        let mut work_days = vec![Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri];
        if node.child("part time").chance(0.1) {
            work_days.remove(usize::try_from(node.child("free").range(0..=4)).unwrap_or(4));
        }
        Persona {
            name: person.full_name.clone(),
            email: person.email.clone(),
            role: role(&node).to_owned(),
            tone: node.child("tone").pick(&TONES).copied().unwrap_or_default(),
            tone_custom: None,
            mannerisms: Vec::new(),
            language: "en".to_owned(),
            signature: None,
            active_hours: format!("{:02}:{:02}-{:02}:{:02}", begin / 60, begin % 60, end / 60, end % 60),
            reply_latency: node.child("latency").pick(&LATENCIES).copied().unwrap_or_default(),
            uses_llms_heavily: false,
            login: Some(person.login.clone()),
            uid: None,
            timezone: Some(self.zone),
            work_days,
            os: Os::Linux,
            salt: self.salt,
        }
    }
}

fn role(node: &Seed) -> &'static str {
    let sum: u64 = ROLES.iter().map(|(_, weight)| weight).sum();
    let mut target = node.child("role").range(0..=sum - 1);
    for (role, weight) in ROLES {
        match target.checked_sub(weight) {
            Some(left) => target = left,
            None => return role,
        }
    }
    ROLES[0].0
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nada:x:1000:1001:Ada Park,,,:/home/ada:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\nbroken\nup:x:1001:1001::/home/../root:/bin/sh\n";

    #[test]
    fn only_people_with_a_home_are_people() {
        let people = accounts(PASSWD);
        assert_eq!(people.len(), 1);
        assert_eq!((people[0].name.as_str(), people[0].uid, people[0].gid), ("Ada Park", 1000, 1001));
    }

    #[test]
    fn without_a_pool_everyone_is_somebody_and_the_same_each_time() {
        let secret = FleetSecret::from_number(5);
        let node = secret.seed().child("life");
        let roster = Roster::new(&secret, &node, &Pool::default());
        assert_eq!(roster.mail_users().len(), Company::of(&secret).staff.len());
        let mut hours = std::collections::BTreeSet::new();
        for persona in roster.mail_users() {
            assert!(persona.email.ends_with(&format!("@{}", roster.domain())), "{}", persona.email);
            assert!(!persona.hours().is_always(), "{}", persona.active_hours);
            hours.insert(persona.active_hours.clone());
        }
        assert!(hours.len() > 8, "{hours:?}");
        let residents = roster.residents(&accounts(PASSWD));
        assert_eq!(residents[0].persona.name, "Ada Park");
        assert_eq!(residents, Roster::new(&secret, &node, &Pool::default()).residents(&accounts(PASSWD)));
    }

    #[test]
    fn with_a_pool_only_its_people_live() {
        let secret = FleetSecret::from_number(5);
        let text = r#"[{"name":"Ada Lund","email":"al@corp.example","role":"Ops","login":"ada"},
                       {"name":"Tom Berg","email":"tb@corp.example","role":"Ops","login":"tberg"}]"#;
        let pool =
            Pool::new(decnet_realism::persona::parse::lenient(text.as_bytes(), "de").unwrap().personas);
        let roster = Roster::new(&secret, &secret.seed(), &pool);
        let passwd = format!("{PASSWD}zoe:x:1003:1003:Zoe:/home/zoe:/bin/sh\n");
        let residents = roster.residents(&accounts(&passwd));
        assert_eq!(residents.len(), 1);
        assert_eq!((residents[0].persona.name.as_str(), residents[0].login.as_str()), ("Ada Lund", "ada"));
        assert_eq!((roster.domain(), roster.mail_users().len()), ("corp.example", 2));
    }
}
