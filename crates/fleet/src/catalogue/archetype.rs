//! Archetypes: named bundles of services, distributions, stack and hardware (spec 2.1).
//!
//! A clash of ports within one does not compile. `industrial-control` is written in the specification with two services
//! that both want 161/udp; both keep their place here, and `conpot` gives that port up to `snmp` where a decky has both.

use serde::Serialize;

use super::{
    HostStyle, OsFamily, Service, Vendor,
    port::{find, has_clash},
    service,
    vendor::{
        BROTHER, DELL, DIGIUM, ESPRESSIF, GRANDSTREAM, HP, INTEL, LEXMARK, RASPBERRY, ROCKWELL, SCHNEIDER,
        SIEMENS, SUPERMICRO, SYNOLOGY, VMWARE,
    },
};

/// A named bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Archetype {
    /// Its name in INIs and records.
    pub slug: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// One line about it.
    pub description: &'static str,
    /// What it serves.
    pub services: &'static [&'static str],
    /// Distributions, rotated over the deckies.
    pub distros: &'static [&'static str],
    /// The stack it shows.
    pub os_family: OsFamily,
    /// Who may have made its interface.
    pub vendors: &'static [Vendor],
    /// How its machines are named, where the distribution does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_style: Option<HostStyle>,
}

impl Archetype {
    /// Its services that the decoy serves, and the slugs of those that it does not serve yet.
    pub fn split_services(&self) -> (Vec<&'static Service>, Vec<&'static str>) {
        let known = self.services.iter().filter_map(|slug| service(slug));
        let (built, later): (Vec<_>, Vec<_>) = known.partition(|s| s.available);
        (built, later.iter().map(|s| s.slug).collect())
    }
}

/// Every archetype, in the order of the table.
pub fn archetypes() -> &'static [Archetype] {
    ARCHETYPES
}

/// The archetype of this slug.
pub fn archetype(slug: &str) -> Option<&'static Archetype> {
    ARCHETYPES.iter().find(|a| a.slug == slug)
}

/// Every slug in one line, for messages.
pub fn known_archetypes() -> String {
    ARCHETYPES.iter().map(|a| a.slug).collect::<Vec<_>>().join(", ")
}

/// An archetype with neither a clash nor an unknown service; anything else does not compile.
const fn bundle(
    (slug, name, description): (&'static str, &'static str, &'static str),
    services: &'static [&'static str],
    distros: &'static [&'static str],
    os_family: OsFamily,
    vendors: &'static [Vendor],
) -> Archetype {
    assert!(!has_clash(services), "two services of an archetype listen on one port");
    let mut i = 0;
    while i < services.len() {
        assert!(find(services[i]).is_some(), "an archetype names an unknown service");
        i += 1;
    }
    Archetype { slug, name, description, services, distros, os_family, vendors, host_style: None }
}

impl Archetype {
    const fn named(mut self, style: HostStyle) -> Self {
        self.host_style = Some(style);
        self
    }
}

const ARCHETYPES: &[Archetype] = &[
    const {
        bundle(
            (
                "windows-workstation",
                "Windows workstation",
                "An employee's PC with file sharing and remote desktop",
            ),
            &["smb", "rdp"],
            &["debian", "ubuntu22"],
            OsFamily::Windows,
            &[DELL, HP, INTEL],
        )
        .named(HostStyle::Desktop)
    },
    const {
        bundle(
            (
                "windows-server",
                "Windows server",
                "A member server with file sharing, remote desktop and directory",
            ),
            &["smb", "rdp", "ldap"],
            &["debian", "ubuntu22"],
            OsFamily::Windows,
            &[VMWARE, DELL, HP],
        )
    },
    const {
        bundle(
            ("domain-controller", "Domain controller", "The directory server of a Windows domain"),
            &["ldap", "smb", "rdp", "llmnr"],
            &["debian", "ubuntu22"],
            OsFamily::Windows,
            &[VMWARE, DELL, HP],
        )
    },
    const {
        bundle(
            ("linux-server", "Linux server", "A general server with a shell and a web page"),
            &["ssh", "http"],
            &["debian", "ubuntu22", "rocky9", "fedora"],
            OsFamily::Linux,
            &[VMWARE, DELL, HP, SUPERMICRO, INTEL],
        )
    },
    const {
        bundle(
            ("web-server", "Web server", "A site and the file transfer that feeds it"),
            &["http", "ftp"],
            &["debian", "ubuntu22", "ubuntu20"],
            OsFamily::Linux,
            &[VMWARE, DELL, HP, SUPERMICRO],
        )
    },
    const {
        bundle(
            ("database-server", "Database server", "Relational databases and a cache"),
            &["mysql", "postgres", "redis"],
            &["debian", "ubuntu22"],
            OsFamily::Linux,
            &[VMWARE, DELL, HP, SUPERMICRO],
        )
    },
    const {
        bundle(
            ("mail-server", "Mail server", "Delivery and mailboxes of a company"),
            &["smtp", "pop3", "imap"],
            &["debian", "ubuntu22"],
            OsFamily::Linux,
            &[VMWARE, DELL, HP],
        )
    },
    const {
        bundle(
            ("file-server", "File server", "Shares, transfers and a shell"),
            &["smb", "ftp", "ssh"],
            &["debian", "ubuntu22", "rocky9"],
            OsFamily::Linux,
            &[SYNOLOGY, DELL, HP, SUPERMICRO],
        )
    },
    const {
        bundle(
            ("printer", "Network printer", "A printer with management and scan folder"),
            &["snmp", "ftp"],
            &["alpine", "debian"],
            OsFamily::Embedded,
            &[HP, BROTHER, LEXMARK],
        )
    },
    const {
        bundle(
            ("iot-device", "IoT device", "A sensor or gateway with message broker and old login"),
            &["mqtt", "snmp", "telnet"],
            &["alpine"],
            OsFamily::Embedded,
            &[RASPBERRY, ESPRESSIF],
        )
    },
    const {
        bundle(
            (
                "industrial-control",
                "Industrial controller",
                "A programmable controller and its management agent",
            ),
            &["conpot", "snmp"],
            &["debian"],
            OsFamily::Embedded,
            &[SIEMENS, SCHNEIDER, ROCKWELL],
        )
    },
    const {
        bundle(
            ("voip-server", "Telephone server", "The exchange of a company's telephones"),
            &["sip"],
            &["debian", "ubuntu22"],
            OsFamily::Linux,
            &[DIGIUM, GRANDSTREAM],
        )
    },
    const {
        bundle(
            ("monitoring-node", "Monitoring node", "A machine that watches the others"),
            &["snmp", "ssh"],
            &["debian", "rocky9"],
            OsFamily::Linux,
            &[VMWARE, DELL, SUPERMICRO],
        )
    },
    const {
        bundle(
            ("devops-host", "Build host", "A container host that somebody left open"),
            &["docker_api", "ssh", "k8s"],
            &["ubuntu22", "debian"],
            OsFamily::Linux,
            &[VMWARE, DELL, SUPERMICRO],
        )
    },
    const {
        bundle(
            ("deaddeck", "Entry point", "A machine with a real interactive shell, where an intruder starts"),
            &["ssh"],
            &["debian", "ubuntu22"],
            OsFamily::Linux,
            &[VMWARE, DELL, HP],
        )
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::distro;

    #[test]
    fn golden_table() {
        let rows: Vec<String> = ARCHETYPES
            .iter()
            .map(|a| {
                let (services, distros) = (a.services.join(" "), a.distros.join(" "));
                format!("{} | {services} | {distros} | {}", a.slug, a.os_family)
            })
            .collect();
        insta::assert_snapshot!(rows.join("\n"));
    }

    #[test]
    fn no_clash_and_every_name_is_known() {
        for archetype in ARCHETYPES {
            assert!(!has_clash(archetype.services), "{}", archetype.slug);
            assert!(archetype.distros.iter().all(|slug| distro(slug).is_some()));
            assert!(!archetype.vendors.is_empty());
            let (built, later) = archetype.split_services();
            assert_eq!(built.len() + later.len(), archetype.services.len());
        }
    }
}
