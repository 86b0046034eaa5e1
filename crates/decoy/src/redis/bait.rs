//! What the machine's own applications keep in Redis: sessions, users, a job queue, caches, counters and settings
//! with credentials in them.
//!
//! All of it is keyed, so no two deckies share a secret or a session. Sessions live for a keyed period that is
//! counted on the wall clock: they end and are followed by others, and a restart finds the same ones. A counter
//! that nobody touched grows with time.

use std::collections::BTreeMap;

use decnet_core::{HostPersona, Seed};

use super::{
    shared::deque,
    store::{Entry, Store, Value},
};

/// Alphabet of passwords and tokens.
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Something that comes again.
#[derive(Debug)]
struct Session {
    seed: Seed,
    period_ms: i64,
    phase_ms: i64,
    login: String,
    current: Option<i64>,
}

/// A number that grows.
#[derive(Debug)]
struct Counter {
    key: Vec<u8>,
    base: i64,
    per_hour: i64,
    last: Option<i64>,
}

/// The machine's own data.
#[derive(Debug, Default)]
pub struct Bait {
    prefix: String,
    sessions: Vec<Session>,
    counters: Vec<Counter>,
}

/// A keyed word of letters and digits.
pub fn token(seed: &Seed, length: usize) -> String {
    (0..length)
        .filter_map(|at| seed.child(at.to_string()).pick(LETTERS))
        .map(|byte| char::from(*byte))
        .collect()
}

impl Bait {
    /// Fills an empty keyspace.
    pub fn plant(seed: &Seed, persona: &HostPersona, store: &mut Store, now: i64) -> Self {
        let seed = seed.child("bait");
        let text = |label: &str, items: &[&'static str]| {
            seed.child(label).pick(items).copied().unwrap_or_default().to_owned()
        };
        let app = text(
            "app",
            &["shop", "portal", "crm", "erp", "booking", "ticket", "billing", "intranet", "wiki", "fleet"],
        );
        let prefix = text("prefix style", &["{app}:", "{app}:prod:", "prod:{app}:", "{app}_", ""])
            .replace("{app}", &app);
        let mut put = |key: String, value: Value, expires: Option<i64>| {
            store.put(0, key.as_bytes(), Entry { value, expires, foreign: false });
        };
        let string = |value: String| Value::Str(value.into_bytes());
        let pairs = |pairs: Vec<(&str, String)>| {
            Value::Hash(
                pairs.into_iter().map(|(key, value)| (key.as_bytes().to_vec(), value.into_bytes())).collect(),
            )
        };
        let secret = |label: &str, length| token(&seed.child("secret").child(label), length);
        let domain = &persona.domain;

        let db_host = text("db host", &["db01", "pg-main", "sql1", "database", "postgres", "mysql-a"]);
        let (scheme, port) = seed
            .child("db")
            .pick(&[("postgresql", 5432), ("mysql", 3306), ("postgres", 5432)])
            .copied()
            .unwrap_or(("postgresql", 5432));
        put(
            format!("{prefix}config:database"),
            string(format!("{scheme}://{app}:{}@{db_host}.{domain}:{port}/{app}", secret("db", 14))),
            None,
        );
        put(
            format!("{prefix}config:smtp"),
            pairs(vec![
                ("host", format!("mail.{domain}")),
                ("port", "587".to_owned()),
                ("user", format!("{app}@{domain}")),
                ("password", secret("smtp", 12)),
                ("tls", "starttls".to_owned()),
            ]),
            None,
        );
        put(
            format!("{prefix}{}", text("api", &["config:api_key", "secrets:api", "settings:token"])),
            string(secret("api", 40)),
            None,
        );
        if seed.child("backup").chance(0.6) {
            let user = persona.accounts.first().map_or("backup", |account| account.login.as_str());
            put(
                format!("{prefix}backup:last"),
                string(format!(
                    "{{\"host\":\"nas.{domain}\",\"user\":\"{user}\",\"path\":\"/volume1/{app}\",\"status\":\"ok\"}}"
                )),
                None,
            );
        }
        for (at, account) in persona.accounts.iter().enumerate().take(24) {
            let seed = seed.child("user").child(&account.login);
            let hash = format!("$2b$12${}", token(&seed.child("hash"), 53));
            let role = if at == 0 {
                "admin"
            } else {
                seed.pick(&["user", "user", "editor", "accounting", "support"]).copied().unwrap_or("user")
            };
            put(
                format!("{prefix}user:{}", 1001 + at),
                pairs(vec![
                    ("login", account.login.clone()),
                    ("name", account.full_name.clone()),
                    ("email", account.email.clone()),
                    ("password_hash", hash),
                    ("role", role.to_owned()),
                ]),
                None,
            );
        }
        let queue = text("queue", &["queue:mail", "queues:default", "jobs:pending", "celery"]);
        let count = seed.child("queue length").range(2..=9);
        let jobs = (0..count).map(|at| {
            let seed = seed.child("job").child(at.to_string());
            let kind = seed
                .pick(&["send_invoice", "resize_image", "sync_contacts", "export_report", "notify_user"])
                .copied()
                .unwrap_or_default();
            format!(
                "{{\"id\":\"{}\",\"job\":\"{kind}\",\"attempts\":{}}}",
                hex::encode(seed.child("id").bytes::<8>()),
                seed.child("attempts").range(0..=3)
            )
            .into_bytes()
        });
        put(format!("{prefix}{queue}"), Value::List(deque(jobs)), None);
        let features = ["new_checkout", "dark_mode", "two_factor", "export_v2", "beta_search", "maintenance"];
        let on: Vec<Vec<u8>> = features
            .iter()
            .filter(|name| seed.child("feature").child(name).chance(0.5))
            .map(|name| name.as_bytes().to_vec())
            .collect();
        if !on.is_empty() {
            put(format!("{prefix}features"), Value::Set(on), None);
        }
        let mut pages: Vec<(f64, Vec<u8>)> = ["/", "/login", "/search", "/account", "/help", "/export"]
            .iter()
            .map(|page| {
                (
                    f64::from(u32::try_from(seed.child("page").child(page).range(3..=9000)).unwrap_or(3)),
                    page.as_bytes().to_vec(),
                )
            })
            .collect();
        pages.sort_by(|a, b| a.0.total_cmp(&b.0));
        put(format!("{prefix}stats:pages"), Value::Zset(pages), None);

        let counters =
            [("stats:requests", 40_000..=900_000, 90..=2600), ("stats:logins", 300..=9000, 1..=20)]
                .into_iter()
                .map(|(name, base, rate)| Counter {
                    key: format!("{prefix}{name}").into_bytes(),
                    base: i64::try_from(seed.child(name).range(base)).unwrap_or(0),
                    per_hour: i64::try_from(seed.child(name).child("rate").range(rate)).unwrap_or(1),
                    last: None,
                })
                .collect();
        let sessions = (0..seed.child("sessions").range(3..=14))
            .map(|at| {
                let seed = seed.child("session").child(at.to_string());
                let period_ms = i64::try_from(seed.child("period").range(6 * 3_600_000..=7 * 86_400_000))
                    .unwrap_or(86_400_000);
                Session {
                    phase_ms: i64::try_from(
                        seed.child("phase").range(0..=u64::try_from(period_ms).unwrap_or(1)),
                    )
                    .unwrap_or(0),
                    login: seed
                        .child("login")
                        .pick(&persona.accounts)
                        .map_or_else(|| "guest".to_owned(), |account| account.login.clone()),
                    period_ms,
                    seed,
                    current: None,
                }
            })
            .collect();
        let mut bait = Self { prefix, sessions, counters };
        bait.keep(store, now);
        bait
    }

    /// Brings sessions and counters up to date.
    pub fn keep(&mut self, store: &mut Store, now: i64) {
        for session in &mut self.sessions {
            let index = (now - session.phase_ms).div_euclid(session.period_ms);
            if session.current == Some(index) {
                continue;
            }
            session.current = Some(index);
            let seed = session.seed.child(index.to_string());
            let ends = session.phase_ms + (index + 1) * session.period_ms;
            let key = format!("{}session:{}", self.prefix, hex::encode(seed.child("id").bytes::<16>()));
            let value = format!(
                "{{\"user\":\"{}\",\"csrf\":\"{}\",\"started\":{}}}",
                session.login,
                token(&seed.child("csrf"), 24),
                (ends - session.period_ms) / 1000
            );
            store.put(
                0,
                key.as_bytes(),
                Entry { value: Value::Str(value.into_bytes()), expires: Some(ends), foreign: false },
            );
        }
        for counter in &mut self.counters {
            let value = counter.base + (now / 1000).wrapping_mul(counter.per_hour) / 3600 % 100_000_000;
            if counter.last == Some(value) {
                continue;
            }
            // Whoever deleted or changed it keeps their way.
            let untouched =
                counter.last.is_none() || store.get(0, &counter.key).is_some_and(|entry| !entry.foreign);
            if untouched {
                store.put(
                    0,
                    &counter.key,
                    Entry {
                        value: Value::Str(value.to_string().into_bytes()),
                        expires: None,
                        foreign: false,
                    },
                );
                counter.last = Some(value);
            }
        }
    }

    /// The machine's own connections, by label.
    pub fn connections(seed: &Seed) -> BTreeMap<String, u64> {
        let seed = seed.child("bait").child("connections");
        (0..seed.range(1..=3))
            .map(|at| (format!("worker{}", at + 1), seed.child(at.to_string()).range(33_000..=60_000)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use decnet_core::FleetSecret;

    use super::*;
    use crate::redis::tests::persona;

    const NOW: i64 = 1_790_000_000_000;

    fn planted(number: u32, now: i64) -> Store {
        let mut store = Store::new([3; 16]);
        Bait::plant(
            &FleetSecret::from_number(1).seed().child(number.to_be_bytes()),
            &persona("debian"),
            &mut store,
            now,
        );
        store
    }

    fn contents(store: &Store) -> BTreeSet<(Vec<u8>, Vec<u8>)> {
        store
            .keys(0)
            .filter_map(|key| match &store.get(0, key)?.value {
                Value::Str(bytes) if bytes.len() > 10 => Some((key.to_vec(), bytes.clone())),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn twenty_deckies_share_no_secret_and_each_keeps_its_own() {
        let all: Vec<_> = (0..20).map(|number| contents(&planted(number, NOW))).collect();
        for (at, one) in all.iter().enumerate() {
            assert!(!one.is_empty());
            assert_eq!(
                *one,
                contents(&planted(u32::try_from(at).unwrap(), NOW + 1)),
                "a restart changed decky {at}"
            );
            for other in all.iter().skip(at + 1) {
                let values: BTreeSet<_> = one
                    .iter()
                    .filter(|(key, _)| !key.ends_with(b"backup:last"))
                    .map(|(_, value)| value)
                    .collect();
                assert!(other.iter().all(|(_, value)| !values.contains(value)));
            }
        }
    }

    #[test]
    fn sessions_follow_each_other_and_counters_grow() {
        let mut store = Store::new([3; 16]);
        let mut bait = Bait::plant(&FleetSecret::from_number(2).seed(), &persona("debian"), &mut store, NOW);
        let count =
            |store: &Store| store.keys(0).filter(|key| key.windows(8).any(|w| w == b"session:")).count();
        let before = count(&store);
        let counter = bait.counters.first().unwrap().key.clone();
        let value = |store: &Store| store.get(0, &counter).map(|entry| entry.value.clone());
        let first = value(&store);
        let later = NOW + 30 * 86_400_000;
        bait.keep(&mut store, later);
        store.expire(later);
        assert_eq!(count(&store), before);
        assert_ne!(value(&store), first);
        store.remove(0, &counter);
        bait.keep(&mut store, later + 86_400_000);
        assert_eq!(value(&store), None, "a counter that was deleted stays deleted");
    }
}
