//! What both mail protocols of a machine share: its accounts, their mailboxes, where mail comes from, and how long a
//! refused login waits.
//!
//! One Dovecot serves both, so the services of a decky that are set up alike open the same [`Store`]: what is read or
//! deleted over one is read or deleted over the other. Nothing here speaks a protocol.

pub mod body;
pub mod corpus;
pub mod entry;
pub mod feed;
pub mod mailbox;
pub mod maildir;
pub mod spool;
pub mod ticks;
pub mod topics;
pub mod uidlist;
pub mod world;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use decnet_core::Account;

use self::{
    maildir::Maildirs,
    spool::Spool,
    ticks::Ticks,
    world::{Sources, World},
};
use crate::service::ServiceContext;

/// Rescan of folders.
const RESCAN: Duration = Duration::from_secs(5);
/// Longest banner.
const BANNER_MAX: usize = 400;

/// The mail of a machine.
#[derive(Debug)]
pub struct Store {
    world: Mutex<World>,
    ticks: Mutex<Ticks>,
}

impl Store {
    /// The accounts, for one client at a time.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the answer to a login that failed now waits.
    pub fn wait(&self, now: DateTime<Utc>) -> Duration {
        self.ticks.lock().unwrap_or_else(PoisonError::into_inner).wait(now.timestamp_millis())
    }
}

/// What makes two services serve the same mail.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wish {
    folder: Option<PathBuf>,
    every: Duration,
    users: Option<Vec<Account>>,
}

/// The stores of a decky: one, unless its mail services are set up differently.
#[derive(Debug, Clone, Default)]
pub struct Stores(Arc<Mutex<Vec<Opened>>>);

type Opened = (Wish, Arc<Store>);

/// A setting under its name, or under the reference system's variable of this protocol (`IMAP_EMAIL_SEED`).
pub fn setting<'c>(context: &'c ServiceContext, protocol: &str, name: &str) -> Option<&'c str> {
    let variable = format!("{protocol}_{}", name.to_uppercase());
    [name, &variable]
        .into_iter()
        .find_map(|name| context.settings.get(name))
        .map(String::as_str)
        .filter(|text| !text.is_empty())
}

/// The operator's banner: one line of ASCII.
pub fn banner<'c>(context: &'c ServiceContext, protocol: &str) -> Result<Option<&'c str>, String> {
    match setting(context, protocol, "banner") {
        None => Ok(None),
        Some(text) if text.len() <= BANNER_MAX && text.bytes().all(|b| (0x20..0x7f).contains(&b)) => {
            Ok(Some(text))
        }
        Some(text) => Err(format!("banner {text:?} has to be one line of ASCII")),
    }
}

impl Stores {
    /// The store of a service of this protocol (`IMAP`, `POP3`).
    pub fn open(&self, context: &ServiceContext, protocol: &str) -> Result<Arc<Store>, String> {
        let every = match setting(context, protocol, "email_seed_rescan") {
            None => RESCAN,
            Some(text) => {
                text.parse().ok().filter(|seconds| *seconds <= 3600).map(Duration::from_secs).ok_or_else(
                    || format!("email_seed_rescan {text:?} is not a number of seconds up to 3600"),
                )?
            }
        };
        // The people of IMAP_USERS served both protocols of the reference system.
        let listed = setting(context, protocol, "users").or_else(|| setting(context, "IMAP", "users"));
        let wish = Wish {
            folder: setting(context, protocol, "email_seed").map(PathBuf::from),
            every,
            users: listed.map(|text| users(text, &context.persona.domain)).transpose()?,
        };
        let mut stores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, store)) = stores.iter().find(|(known, _)| *known == wish) {
            return Ok(store.clone());
        }
        let mut people = context.persona.clone();
        if let Some(users) = &wish.users {
            Arc::make_mut(&mut people).accounts.clone_from(users);
        }
        let maildirs = || context.root.as_ref().map(|root| Maildirs::new(root, every));
        let sources = match &wish.folder {
            Some(folder) => {
                Sources { folder: Some(Spool::new(folder.clone(), every)), maildirs: None, lists: maildirs() }
            }
            None => Sources { folder: None, maildirs: maildirs(), lists: maildirs() },
        };
        let world = World::new(&context.host_seed, people, sources);
        let store = Arc::new(Store { world: Mutex::new(world), ticks: Mutex::default() });
        stores.push((wish, store.clone()));
        Ok(store)
    }
}

/// `login:password` pairs, separated by commas.
fn users(text: &str, domain: &str) -> Result<Vec<Account>, String> {
    text.split(',')
        .zip(1001..)
        .map(|(pair, uid)| match pair.split_once(':') {
            Some((login, password)) if !login.trim().is_empty() => {
                let login = login.trim();
                let mut letters = login.chars();
                let name = letters.next().map(|first| first.to_uppercase().chain(letters).collect());
                Ok(Account {
                    login: login.to_owned(),
                    full_name: name.unwrap_or_default(),
                    password: password.to_owned(),
                    uid,
                    email: format!("{login}@{domain}"),
                })
            }
            _ => Err(format!("users: {pair:?} is not login:password; separate pairs by commas")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_a_setting_replace_the_planted_people() {
        let people = users("admin:admin123, mail:a:b", "corp.example").unwrap();
        let listed: Vec<_> = people
            .iter()
            .map(|one| (one.login.as_str(), one.password.as_str(), one.email.as_str()))
            .collect();
        assert_eq!(
            listed,
            [("admin", "admin123", "admin@corp.example"), ("mail", "a:b", "mail@corp.example")]
        );
        assert!(users("admin", "x").unwrap_err().contains("login:password"));
    }
}
