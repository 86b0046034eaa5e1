//! Where life takes place: the machines of a fleet and who works on them.

use std::{net::IpAddr, sync::Arc};

use crate::Persona;

/// The family of a machine's userland, which decides where its logs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Debian, Ubuntu, Kali: `/var/log/syslog`, `/var/log/auth.log`.
    Debian,
    /// Red Hat's: `/var/log/messages`, `/var/log/secure`.
    Rhel,
    /// Everything else: `/var/log/messages`.
    Other,
}

/// A persona with an account on a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    /// Who.
    pub persona: Arc<Persona>,
    /// Login name.
    pub login: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Home folder, without a slash at its end.
    pub home: String,
}

/// A decky as life sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Opaque id, unique in the fleet.
    pub id: String,
    /// The name that it calls itself in its logs and mail headers, without a domain.
    pub host: String,
    /// Domain of its mail headers; may be empty.
    pub domain: String,
    /// Its address, where it has one.
    pub ip: Option<IpAddr>,
    /// What it serves: slug and standard port.
    pub services: Vec<(String, u16)>,
    /// Its userland.
    pub family: Family,
    /// Who has an account.
    pub residents: Vec<Resident>,
    /// Files can be put where a login would find them.
    pub has_files: bool,
    /// Hosts mailboxes: everyone in `mail_users` has one.
    pub has_mail: bool,
    /// The fleet's own number, from its secret: mixed into everything that is the machine's for as long as it is there (its
    /// timetable, its numbers), because our source is public.
    pub salt: u64,
    /// Who has a mailbox here; empty without mail.
    pub mail_users: Vec<Arc<Persona>>,
}
