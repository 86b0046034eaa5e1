//! The accounts of a decky and their mailboxes, shared by all connections: made at the first login, fed by the
//! keyed stream and by the spool.
//!
//! Who is a recipient gets a mail in INBOX, who sent it in Sent; planted mail for nobody here goes to everybody.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use decnet_core::{HostPersona, Seed};

use super::{
    corpus,
    mailbox::Account,
    spool::{Planted, Spool},
};

/// Whether planted mail comes on top of the keyed mail or in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planting {
    /// On top.
    Add,
    /// In its place, as soon as there is any.
    Replace,
}

/// All accounts.
#[derive(Debug)]
pub struct World {
    seed: Seed,
    persona: Arc<HostPersona>,
    spool: Option<Spool>,
    planting: Planting,
    accounts: BTreeMap<String, Account>,
    delivered: BTreeSet<PathBuf>,
    until: Option<DateTime<Utc>>,
}

impl World {
    /// The accounts of a persona; `seed` is the host's, so that all mail services agree.
    pub fn new(seed: &Seed, persona: Arc<HostPersona>, spool: Option<Spool>, planting: Planting) -> Self {
        Self {
            seed: seed.clone(),
            persona,
            spool,
            planting,
            accounts: BTreeMap::new(),
            delivered: BTreeSet::new(),
            until: None,
        }
    }

    /// The login that a name and password open.
    pub fn login(&self, name: &[u8], password: &[u8]) -> Option<String> {
        let account = self.persona.accounts.iter().find(|account| {
            (account.login.as_bytes() == name || account.email.as_bytes().eq_ignore_ascii_case(name))
                && account.password.as_bytes() == password
        })?;
        Some(account.login.clone())
    }

    /// An account, with all mail that has arrived by `now`.
    pub fn account(&mut self, login: &str, now: DateTime<Utc>) -> Option<&mut Account> {
        self.deliver(now);
        self.accounts.get_mut(login)
    }

    fn deliver(&mut self, now: DateTime<Utc>) {
        // To the minute: a time of arrival belongs to one delivery only.
        let now_minute = now.with_second(0).and_then(|at| at.with_nanosecond(0)).unwrap_or(now);
        let planted: Vec<Planted> = match &mut self.spool {
            Some(spool) => {
                spool.mails(now).into_iter().filter(|mail| !self.delivered.contains(&mail.path)).collect()
            }
            None => Vec::new(),
        };
        let first = self.until.is_none();
        if first {
            for account in &self.persona.accounts {
                self.accounts.insert(account.login.clone(), Account::new(self.base(&account.login)));
            }
        }
        let replaced =
            self.planting == Planting::Replace && (!planted.is_empty() || !self.delivered.is_empty());
        if replaced && self.delivered.is_empty() && !first {
            // The keyed mail gives way.
            for account in self.accounts.values_mut() {
                for name in ["INBOX", "Sent"] {
                    if let Some(mailbox) = account.get_mut(name) {
                        mailbox.messages.clear();
                    }
                }
            }
        }
        let after = self.until.unwrap_or_else(|| now_minute - TimeDelta::days(corpus::DAYS));
        let stream = if replaced || after >= now_minute {
            Vec::new()
        } else {
            corpus::between(&self.seed, &self.persona, after, now_minute)
        };
        self.until = Some(now_minute.max(after));

        let mut incoming: Vec<Incoming> = Vec::new();
        for mail in stream {
            let old = now - mail.at > TimeDelta::hours(36);
            incoming.push(Incoming {
                at: mail.at,
                from: mail.from.to_lowercase(),
                to: mail.to.iter().map(|to| to.to_lowercase()).collect(),
                raw: mail.raw.into(),
                seen: old,
                answered: mail.answered && old,
                flagged: mail.flagged,
            });
        }
        for mail in planted {
            self.delivered.insert(mail.path.clone());
            incoming.push(Incoming {
                at: mail.at,
                from: mail.from,
                to: mail.to,
                raw: mail.raw,
                seen: false,
                answered: false,
                flagged: false,
            });
        }
        incoming.sort_by_key(|mail| mail.at);
        for mail in incoming {
            self.hand_out(&mail, first);
        }
    }

    fn hand_out(&mut self, mail: &Incoming, first: bool) {
        let known = |address: &str| {
            self.persona.accounts.iter().any(|account| account.email.eq_ignore_ascii_case(address))
        };
        let for_nobody = !mail.to.iter().any(|to| known(to)) && !known(&mail.from);
        for person in &self.persona.accounts {
            let Some(account) = self.accounts.get_mut(&person.login) else { continue };
            let email = person.email.to_lowercase();
            let least = account.uid_at(mail.at);
            let mut put = |name: &str, flags: BTreeSet<String>| {
                if let Some(mailbox) = account.get_mut(name) {
                    let uid = mailbox.add(mail.raw.clone(), mail.at, least, flags);
                    // What lay there when the machine came up is not news.
                    if let Some(message) = mailbox.get_mut(uid).filter(|_| first && mail.seen) {
                        message.recent = false;
                    }
                }
            };
            if for_nobody || mail.to.contains(&email) {
                put("INBOX", mail.flags());
            }
            if mail.from == email {
                put("Sent", BTreeSet::from(["\\Seen".to_owned()]));
            }
        }
    }

    /// Where an account's message ids are counted from: a keyed day, at which its mailboxes were made.
    fn base(&self, login: &str) -> DateTime<Utc> {
        // 2024-01-01.
        const FIRST: i64 = 1_704_067_200;
        let offset = self.seed.child("mailbox").child(login).range(0..=300 * 86_400);
        DateTime::from_timestamp(FIRST + i64::try_from(offset).unwrap_or(0), 0).unwrap_or_default()
    }
}

/// A mail on its way into mailboxes.
struct Incoming {
    at: DateTime<Utc>,
    from: String,
    to: Vec<String>,
    raw: Arc<[u8]>,
    seen: bool,
    answered: bool,
    flagged: bool,
}

impl Incoming {
    fn flags(&self) -> BTreeSet<String> {
        let mut flags = BTreeSet::new();
        for (flag, set) in [("\\Seen", self.seen), ("\\Answered", self.answered), ("\\Flagged", self.flagged)]
        {
            if set {
                flags.insert(flag.to_owned());
            }
        }
        flags
    }
}

#[cfg(test)]
mod tests {
    use decnet_core::FleetSecret;

    use super::*;
    use crate::redis::tests::persona;

    fn world() -> World {
        World::new(&FleetSecret::from_number(4).seed(), Arc::new(persona("debian")), None, Planting::Add)
    }

    #[test]
    fn ids_and_validity_survive_a_restart_and_mail_keeps_coming() {
        let now = DateTime::from_timestamp(1_795_600_000, 0).unwrap();
        let listing = |world: &mut World, at| {
            let inbox = world.account("anna", at).unwrap().get("INBOX").unwrap().clone();
            (
                inbox.validity,
                inbox.messages.iter().map(|message| (message.uid, message.raw.clone())).collect::<Vec<_>>(),
            )
        };
        let mut running = world();
        let before = listing(&mut running, now);
        assert!(before.1.len() > 10);
        assert_eq!(before, listing(&mut world(), now));
        let later = now + TimeDelta::days(3);
        let grown = listing(&mut running, later);
        assert!(grown.1.len() > before.1.len());
        let restarted = listing(&mut world(), later);
        assert!(
            grown.1.ends_with(restarted.1.get(2..).unwrap()),
            "ids given while running equal those after a restart"
        );
    }

    #[test]
    fn only_planted_accounts_open() {
        let world = world();
        assert_eq!(world.login(b"anna", b"anna-pw").as_deref(), Some("anna"));
        assert_eq!(world.login(b"ANNA@corp.example", b"anna-pw").as_deref(), Some("anna"));
        for (name, password) in [("anna", ""), ("anna", "bob-pw"), ("", ""), ("root", "root")] {
            assert_eq!(world.login(name.as_bytes(), password.as_bytes()), None);
        }
    }
}
