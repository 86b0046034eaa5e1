//! The table of services that this binary can serve: slug, standard ports, constructor.
//!
//! One line here and one module is all that a new protocol needs.

use crate::{http, imap, pop3, redis, service::Build, ssh};

/// One service of the table.
pub struct Entry {
    /// Slug, as in plans and log lines.
    pub slug: &'static str,
    /// Standard TCP ports; each really listens.
    pub ports: &'static [u16],
    /// Constructor.
    pub build: Build,
}

/// Every service that this binary knows.
pub const SERVICES: &[Entry] = &[
    Entry { slug: "ssh", ports: &[22], build: ssh::build },
    Entry { slug: "http", ports: &[80], build: http::build },
    Entry { slug: "redis", ports: &[6379], build: redis::build },
    Entry { slug: "imap", ports: &[143], build: imap::build },
    Entry { slug: "pop3", ports: &[110], build: pop3::build },
];

/// The service of this slug.
pub fn find(slug: &str) -> Option<&'static Entry> {
    SERVICES.iter().find(|entry| entry.slug == slug)
}

/// All slugs, for messages: `ssh, http`.
pub fn known() -> String {
    SERVICES.iter().map(|entry| entry.slug).collect::<Vec<_>>().join(", ")
}
