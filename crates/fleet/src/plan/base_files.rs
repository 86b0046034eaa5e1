//! The files that every machine has and that tell who it is: accounts, name, system. What the persona says and what the
//! files say is one story. An image of a container runtime may bring more; nothing here is a secret.

use std::fmt::Write;

use decnet_core::HostPersona;

/// A text file of the base system, owned by root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseFile {
    /// Absolute path.
    pub path: &'static str,
    /// Permission bits.
    pub mode: u32,
    /// Content.
    pub text: String,
}

/// System accounts of a minimal install (passwd(5)), before the people.
const SYSTEM_ACCOUNTS: &str = "root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
sys:x:3:3:sys:/dev:/usr/sbin/nologin
sync:x:4:65534:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
backup:x:34:34:backup:/var/backups:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
sshd:x:100:65534::/run/sshd:/usr/sbin/nologin
";

/// The base files of a machine.
pub fn base_files(persona: &HostPersona) -> Vec<BaseFile> {
    let file = |path, text| BaseFile { path, mode: 0o644, text };
    let mut passwd = SYSTEM_ACCOUNTS.to_owned();
    for account in persona.accounts.iter().filter(|a| a.uid != 0) {
        let (login, uid, name) = (&account.login, account.uid, &account.full_name);
        // Writing to a String cannot fail.
        let _ = writeln!(passwd, "{login}:x:{uid}:{uid}:{name},,,:/home/{login}:/usr/sbin/nologin");
    }
    let host = &persona.hostname;
    vec![
        file("/etc/passwd", passwd),
        file("/etc/hostname", format!("{host}\n")),
        file("/etc/hosts", format!("127.0.0.1\tlocalhost\n127.0.1.1\t{host}.{}\t{host}\n", persona.domain)),
        file(
            "/etc/os-release",
            format!("PRETTY_NAME=\"{}\"\nID={}\n", persona.os_pretty, os_id(&persona.distro)),
        ),
    ]
}

/// `ID` of os-release(5): the catalogue's slug without its version.
fn os_id(distro: &str) -> &str {
    distro.trim_end_matches(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use decnet_core::Account;

    use super::*;

    #[test]
    fn the_files_tell_the_personas_story() {
        let persona = HostPersona {
            hostname: "SRV-NOVA-42".to_owned(),
            domain: "corp.lan".to_owned(),
            company: "Corp".to_owned(),
            timezone: "UTC".to_owned(),
            distro: "ubuntu22".to_owned(),
            os_pretty: "Ubuntu 22.04.4 LTS".to_owned(),
            kernel: "5.15.0".to_owned(),
            os_family: "linux".to_owned(),
            boot_offset_s: 1,
            accounts: vec![Account {
                login: "apark".to_owned(),
                full_name: "Ada Park".to_owned(),
                password: "planted-secret".to_owned(),
                uid: 1000,
                email: "a@corp.lan".to_owned(),
            }],
        };
        let files = base_files(&persona);
        let text = |path: &str| files.iter().find(|f| f.path == path).unwrap().text.clone();
        assert!(
            text("/etc/passwd").contains("apark:x:1000:1000:Ada Park,,,:/home/apark:/usr/sbin/nologin\n")
        );
        assert!(text("/etc/hosts").contains("SRV-NOVA-42.corp.lan"));
        assert!(text("/etc/os-release").contains("ID=ubuntu\n"));
        assert!(files.iter().all(|f| !f.text.contains("planted-secret")));
    }
}
