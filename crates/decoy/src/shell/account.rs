//! Accounts and settings of the container's own file system: `passwd`, `group`, the server's `Subsystem`, the default
//! environment. Read as plain files: the system's resolver would load libraries that a static program does not have.

use std::{collections::BTreeMap, path::PathBuf};

/// Largest file that is read.
const FILE_MAX: u64 = 1 << 20;

/// An account as `/etc/passwd` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: PathBuf,
    pub(super) shell: String,
    /// All its groups, its own first.
    pub(super) groups: Vec<u32>,
}

impl Account {
    /// Looks the account up.
    pub(super) fn find(name: &str) -> Option<Self> {
        Self::parse(&read("/etc/passwd"), &read("/etc/group"), name)
    }

    fn parse(passwd: &str, group: &str, name: &str) -> Option<Self> {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let fields: Vec<_> = line.split(':').collect();
        let [_, _, uid, gid, _, home, shell] = fields.as_slice() else { return None };
        let gid = gid.parse().ok()?;
        let mut groups = vec![gid];
        for line in group.lines() {
            let fields: Vec<_> = line.split(':').collect();
            let [_, _, id, members] = fields.as_slice() else { continue };
            if let Ok(id) = id.parse()
                && members.split(',').any(|member| member == name)
                && !groups.contains(&id)
            {
                groups.push(id);
            }
        }
        let shell = if shell.is_empty() { "/bin/sh" } else { shell };
        Some(Self {
            name: name.to_owned(),
            uid: uid.parse().ok()?,
            gid,
            home: PathBuf::from(home),
            shell: shell.to_owned(),
            groups,
        })
    }

    /// `bash` of `/bin/bash`.
    pub(super) fn shell_name(&self) -> &str {
        self.shell.rsplit('/').next().unwrap_or(&self.shell)
    }
}

/// The number of a group.
pub(super) fn group_id(name: &str) -> Option<u32> {
    let groups = read("/etc/group");
    let line = groups.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

/// The command of a subsystem in the server's configuration.
pub(super) fn subsystem(name: &str) -> Option<String> {
    find_subsystem(&read("/etc/ssh/sshd_config"), name)
}

fn find_subsystem(config: &str, name: &str) -> Option<String> {
    config.lines().find_map(|line| {
        let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
        let keyword = words.next()?;
        if !keyword.eq_ignore_ascii_case("subsystem") || words.next()? != name {
            return None;
        }
        let command = words.collect::<Vec<_>>().join(" ");
        (!command.is_empty()).then_some(command)
    })
}

/// What the login modules set for everyone: `/etc/environment` and `/etc/default/locale`.
pub(super) fn default_env() -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for file in ["/etc/environment", "/etc/default/locale"] {
        env.extend(assignments(&read(file)));
    }
    env
}

fn assignments(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter_map(|line| {
            let line = line.trim();
            let (key, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
            let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            plain.then(|| (key.to_owned(), value.trim().trim_matches(['"', '\'']).to_owned()))
        })
        .collect()
}

/// A small text file; nothing if it is missing. What is not text is replaced.
pub(super) fn read(path: &str) -> String {
    use std::io::Read;
    let mut bytes = Vec::new();
    // The intruder's root may have put anything there, a pipe included.
    if std::fs::metadata(path).is_ok_and(|data| data.is_file())
        && let Ok(file) = std::fs::File::open(path)
    {
        let _ = file.take(FILE_MAX).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nmkeller:x:1000:1000:Marta,,,:/home/mkeller:/bin/bash\nodd:x:7:7::/:\n";

    #[test]
    fn an_account_has_its_groups_and_a_shell() {
        let group = "root:x:0:\nsudo:x:27:mkeller\nadm:x:4:syslog,mkeller\nmkeller:x:1000:\nhalf:x\n";
        let account = Account::parse(PASSWD, group, "mkeller").unwrap();
        assert_eq!((account.uid, account.gid), (1000, 1000));
        assert_eq!(account.groups, [1000, 27, 4]);
        assert_eq!(account.shell_name(), "bash");
        assert_eq!(Account::parse(PASSWD, group, "odd").unwrap().shell, "/bin/sh");
        assert_eq!(Account::parse(PASSWD, group, "mkell"), None);
    }

    #[test]
    fn the_subsystem_is_the_one_of_the_servers_configuration() {
        let config = "Port 22\n#Subsystem sftp no\nSubsystem\tsftp\t/usr/lib/openssh/sftp-server -l INFO\n";
        assert_eq!(find_subsystem(config, "sftp").as_deref(), Some("/usr/lib/openssh/sftp-server -l INFO"));
        assert_eq!(find_subsystem(config, "netconf"), None);
    }

    #[test]
    fn assignments_are_read_as_the_login_modules_do() {
        let read = assignments("# x\nLANG=\"en_GB.UTF-8\"\nexport A=b\nbroken\n1 =2\n");
        assert_eq!(read, [("LANG".to_owned(), "en_GB.UTF-8".to_owned()), ("A".to_owned(), "b".to_owned())]);
    }
}
