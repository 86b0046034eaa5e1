//! The services of spec section 11: slug, ports, settings, and whether the decoy serves them yet.
//!
//! A service that is known and not built yet is listed, and refused by name with that reason.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    port::{PortInfo, find},
    setting::{Setting, SettingKind},
};

/// One protocol that a decky can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Its name in plans, settings and log lines.
    pub slug: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// One line about it.
    pub description: &'static str,
    /// Its ports.
    pub ports: &'static [PortInfo],
    /// Its settings.
    pub settings: &'static [Setting],
    /// False while the decoy does not serve it yet.
    pub available: bool,
}

/// Why a service cannot be deployed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceProblem {
    /// No such service.
    #[error("unknown service {0:?}: known are {known}", known = known_services())]
    Unknown(String),
    /// Known and not served yet.
    #[error("service {0} is known and not built yet: built are {built}", built = built_services())]
    NotBuilt(&'static str),
}

/// Every service, in the order of the table.
pub fn services() -> &'static [Service] {
    SERVICES
}

/// The service of this slug.
pub fn service(slug: &str) -> Option<&'static Service> {
    find(slug)
}

/// The services that the decoy serves.
pub fn available_services() -> impl Iterator<Item = &'static Service> {
    SERVICES.iter().filter(|s| s.available)
}

/// The service of this slug if it can be deployed.
pub fn require_built(slug: &str) -> Result<&'static Service, ServiceProblem> {
    match service(slug) {
        None => Err(ServiceProblem::Unknown(slug.chars().take(80).collect())),
        Some(service) if service.available => Ok(service),
        Some(service) => Err(ServiceProblem::NotBuilt(service.slug)),
    }
}

/// Every slug in one line, those not built yet marked, for messages.
pub fn known_services() -> String {
    let mut text = built_services();
    let later: Vec<&str> = SERVICES.iter().filter(|s| !s.available).map(|s| s.slug).collect();
    if !later.is_empty() {
        let _ = write!(text, " (not built yet: {})", later.join(", "));
    }
    text
}

fn built_services() -> String {
    available_services().map(|s| s.slug).collect::<Vec<_>>().join(", ")
}

const fn tcp(number: u16) -> PortInfo {
    PortInfo::tcp(number)
}

const fn udp(number: u16) -> PortInfo {
    PortInfo::udp(number)
}

const fn text(key: &'static str, label: &'static str, help: &'static str) -> Setting {
    Setting::new(key, label, SettingKind::String, help)
}

const fn password(key: &'static str, label: &'static str, help: &'static str) -> Setting {
    Setting::new(key, label, SettingKind::Password, help)
}

const fn area(key: &'static str, label: &'static str, help: &'static str) -> Setting {
    Setting::new(key, label, SettingKind::Textarea, help)
}

const fn choice(
    key: &'static str,
    label: &'static str,
    options: &'static [&'static str],
    help: &'static str,
) -> Setting {
    Setting::new(key, label, SettingKind::Enum { options }, help)
}

const fn flag(key: &'static str, label: &'static str, help: &'static str) -> Setting {
    Setting::new(key, label, SettingKind::Bool, help)
}

const fn int(key: &'static str, label: &'static str, min: i64, max: i64, help: &'static str) -> Setting {
    Setting::new(key, label, SettingKind::Int { min, max }, help)
}

const fn built(
    slug: &'static str,
    name: &'static str,
    description: &'static str,
    ports: &'static [PortInfo],
    settings: &'static [Setting],
) -> Service {
    Service { slug, name, description, ports, settings, available: true }
}

const fn later(
    slug: &'static str,
    name: &'static str,
    description: &'static str,
    ports: &'static [PortInfo],
    settings: &'static [Setting],
) -> Service {
    Service { slug, name, description, ports, settings, available: false }
}

const HTTP: &[Setting] = &[
    text("server_header", "Server header", "What the Server header says, such as nginx/1.24.0"),
    int("response_code", "Status of unknown paths", 200, 599, "Status code of pages that do not exist"),
    choice(
        "fake_app",
        "Application",
        &["site", "apache_default", "nginx_default", "wordpress", "phpmyadmin", "iis_default"],
        "What is imitated; site is a plausible one of the invented company",
    ),
    area("extra_headers", "Extra headers", "A JSON object of headers to add"),
    area("custom_body", "Custom page", "Served for every path that is no file"),
    text("files", "Folder", "Folder that is served read-only"),
];

const HTTPS: &[Setting] = &[
    HTTP[0],
    HTTP[1],
    HTTP[2],
    HTTP[3],
    HTTP[4],
    HTTP[5],
    text("tls_cert", "Certificate file", "PEM; without it one is made"),
    text("tls_key", "Key file", "PEM"),
    text("tls_cn", "Certificate name", "Common name of the certificate that is made"),
];

const LOGIN_SHELL: &[Setting] = &[
    password("password", "Password of root", "Without it one is drawn for each decky"),
    text("hostname", "Host name", "Shown at the prompt instead of the decky's own"),
];

const MAILBOX: &[Setting] = &[
    text("banner", "Banner", "Greeting of the server"),
    text("users", "Users", "login:password pairs separated by commas, instead of the planted people"),
    text(
        "email_seed",
        "Mail folder",
        "Folder in the decky with .eml files to serve instead of what is delivered to its mailboxes",
    ),
    int("email_seed_rescan", "Rescan", 1, 3600, "Seconds between looks into folders that seem unchanged")
        .or("5"),
];

/// The table of spec section 11.
pub(super) const SERVICES: &[Service] = &[
    built("ssh", "SSH", "OpenSSH server with password and key logins", &[tcp(22)], LOGIN_SHELL),
    later("telnet", "Telnet", "Login prompt of an old machine", &[tcp(23)], LOGIN_SHELL),
    built("http", "HTTP", "Web server with a plausible site", &[tcp(80)], HTTP),
    later("https", "HTTPS", "Web server behind TLS", &[tcp(443)], HTTPS),
    later(
        "ftp",
        "FTP",
        "File server with bait archives",
        &[tcp(21)],
        &[
            text("banner", "Banner", "Greeting of the server"),
            choice("login_mode", "Logins", &["planted", "always", "never"], "Which logins succeed")
                .or("planted"),
        ],
    ),
    later("smb", "SMB", "Windows file sharing", &[tcp(445), tcp(139)], &[]),
    later(
        "rdp",
        "RDP",
        "Windows remote desktop",
        &[tcp(3389)],
        &[flag("nla", "Network level authentication", "Ask for credentials first").or("true")],
    ),
    built("imap", "IMAP", "Mailbox server", &[tcp(143), tcp(993).later()], MAILBOX),
    built("pop3", "POP3", "Mailbox server", &[tcp(110), tcp(995).later()], MAILBOX),
    later(
        "smtp",
        "SMTP",
        "Mail server that accepts no mail",
        &[tcp(25), tcp(587)],
        &[text("banner", "Banner", "Greeting of the server")],
    ),
    later(
        "smtp_relay",
        "SMTP relay",
        "Mail server that seems to relay for anyone",
        &[tcp(25), tcp(587)],
        &[
            text("banner", "Banner", "Greeting of the server"),
            text("auth_whitelist", "Accepted logins", "Login names, separated by commas; empty for all"),
        ],
    ),
    later(
        "mysql",
        "MySQL",
        "Database server",
        &[tcp(3306)],
        &[text("version", "Version", "Version of the server, such as 8.0.36")],
    ),
    later("mssql", "Microsoft SQL Server", "Database server", &[tcp(1433)], &[]),
    later("postgres", "PostgreSQL", "Database server", &[tcp(5432)], &[]),
    built(
        "redis",
        "Redis",
        "Key-value store with a bait keyspace",
        &[tcp(6379)],
        &[
            text("version", "Version", "Version of the server, such as 7.0.15"),
            text("os_string", "Operating system", "What INFO says about the machine"),
            password("password", "Password", "Without it no login is needed"),
        ],
    ),
    later("mongodb", "MongoDB", "Document database", &[tcp(27017)], &[]),
    later("ldap", "LDAP", "Directory server", &[tcp(389), tcp(636)], &[]),
    later(
        "snmp",
        "SNMP",
        "Management agent of a device",
        &[udp(161)],
        &[choice(
            "archetype",
            "Device",
            &["default", "water_plant", "factory", "substation", "hospital"],
            "What the system group describes",
        )
        .or("default")],
    ),
    later("tftp", "TFTP", "File transfer of network devices", &[udp(69)], &[]),
    later("sip", "SIP", "Telephone server", &[udp(5060), tcp(5060)], &[]),
    later(
        "mqtt",
        "MQTT",
        "Message broker of devices",
        &[tcp(1883), tcp(8883)],
        &[
            flag("accept_all", "Accept every login", "Else only the pairs below").or("false"),
            text("creds", "Accepted logins", "login:password pairs separated by commas"),
            choice(
                "persona",
                "Site",
                &["water_plant", "building_hvac", "solar_farm", "factory_line"],
                "Whose telemetry is published",
            ),
        ],
    ),
    later("vnc", "VNC", "Remote screen", &[tcp(5900)], &[]),
    later(
        "conpot",
        "Industrial control",
        "Modbus, S7, DNP3 and EtherNet/IP of a controller",
        &[tcp(502), tcp(102), tcp(20000), tcp(44818), udp(161).yields_to("snmp")],
        &[],
    ),
    later("docker_api", "Docker API", "Container engine open to the network", &[tcp(2375), tcp(2376)], &[]),
    later("k8s", "Kubernetes API", "Cluster control plane", &[tcp(6443), tcp(8080)], &[]),
    later("elasticsearch", "Elasticsearch", "Search engine", &[tcp(9200)], &[]),
    later(
        "llmnr",
        "LLMNR",
        "Name queries of Windows machines, and bait for poisoners",
        &[udp(5355), udp(5353), udp(137)],
        &[],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_unique_and_found() {
        for (i, service) in SERVICES.iter().enumerate() {
            assert_eq!(SERVICES.iter().position(|s| s.slug == service.slug), Some(i), "{}", service.slug);
            assert!(!service.ports.is_empty() && !service.description.is_empty());
        }
    }

    #[test]
    fn refusals_say_what_to_do() {
        assert_eq!(require_built("ssh").unwrap().slug, "ssh");
        let unknown = require_built("gopher").unwrap_err().to_string();
        assert!(
            unknown.starts_with("unknown service \"gopher\": known are ssh, http, imap, pop3, redis"),
            "{unknown}"
        );
        let later = require_built("smb").unwrap_err().to_string();
        assert_eq!(later, "service smb is known and not built yet: built are ssh, http, imap, pop3, redis");
    }

    /// The table for people to compare with the specification.
    #[test]
    fn golden_table() {
        let lines: Vec<String> = SERVICES
            .iter()
            .map(|s| {
                let ports: Vec<String> = s.ports.iter().map(|p| p.port.to_string()).collect();
                let built = if s.available { "built" } else { "later" };
                format!("{} {} {}", s.slug, built, ports.join(" "))
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
