//! Who the machine in a shell container is: its people with their passwords and homes, its names, its id, its zone, and how
//! old it looks. What an image knows of itself stays; this puts what one machine has and another has not.
//!
//! Pure: from what was read of the image and the plan to the entries of an archive. It plants no bait.

use std::{collections::BTreeSet, fmt::Write, net::IpAddr};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use decnet_core::{Account, Seed};
use decnet_fleet::DeckyPlan;
use sha_crypt::{PasswordHasher as _, ShaCrypt};
use yescrypt::Yescrypt;

use super::archive::{Content, Entry};

/// Groups that the first person of an installed machine is in, where the image has them.
const FIRST_PERSONS: [&str; 9] =
    ["wheel", "cdrom", "floppy", "sudo", "audio", "dip", "video", "plugdev", "users"];
/// Distributions whose `passwd` makes yescrypt hashes; the others' makes SHA-512 ones.
const YESCRYPT: [&str; 5] = ["debian", "ubuntu22", "kali", "fedora", "arch"];
/// Accounts below this are a service's.
const FIRST_UID: u32 = 1000;
/// Services' numbers that `useradd` gives away; below are the distribution's own.
const FIRST_SERVICE: u32 = 100;
/// People's numbers end before the dynamic ones of systemd.
const LAST_UID: u32 = 59_999;
/// Folders whose age is told by every `ls -l /`, and that are root's everywhere.
pub(super) const FOLDERS: [&str; 18] = [
    "etc/network",
    "root/.ssh",
    "var/backups",
    "var/opt",
    "var/spool",
    "boot",
    "etc",
    "home",
    "root",
    "usr",
    "usr/local",
    "var",
    "var/lib",
    "var/cache",
    "srv",
    "opt",
    "mnt",
    "media",
];
/// Links in the root of distributions that keep everything below `/usr`.
pub(super) const LINKS: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/// User and group that own virtual mailboxes, as every guide to such a server has it.
pub(super) const VMAIL: u32 = 5000;
/// What debootstrap leaves where an installer writes what is mounted.
const NO_FSTAB: &str = "# UNCONFIGURED FSTAB";

/// What an image knows of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) passwd: String,
    pub(super) shadow: String,
    pub(super) group: String,
    pub(super) gshadow: Option<String>,
    /// Group of the shadow files.
    pub(super) shadow_gid: u32,
    /// And their mode.
    pub(super) shadow_mode: u32,
    /// Where os-release really is, and what it says.
    pub(super) os_release: Option<(String, String)>,
    /// What new homes begin with; paths are relative to the home.
    pub(super) skel: Vec<Entry>,
    /// The shell of people.
    pub(super) shell: String,
    /// True where `/etc/timezone` and Debian's lines in `/etc/hosts` belong.
    pub(super) debian: bool,
    /// What `ifup` brings up, where it is there.
    pub(super) interfaces: Option<String>,
    /// True if nobody has written down what is mounted.
    pub(super) no_fstab: bool,
    /// Those of [`LINKS`] that it has, with their targets.
    pub(super) links: Vec<(String, String)>,
    /// Those of [`FOLDERS`] that it has, with their modes.
    pub(super) folders: Vec<(String, u32)>,
}

impl Facts {
    /// From the entries below `/etc`.
    pub(super) fn of(etc: &[Entry]) -> Self {
        let text = |name: &str| {
            etc.iter().find(|entry| entry.path == name).and_then(|entry| match &entry.content {
                Content::File(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
                _ => None,
            })
        };
        let shadow = etc.iter().find(|entry| entry.path == "etc/shadow");
        let has = |name: &str| etc.iter().any(|entry| entry.path == name);
        let in_skel = |entry: &&Entry| entry.path.starts_with("etc/skel/") && entry.path != "etc/skel/";
        let relative = |entry: &Entry| Entry {
            path: entry.path.trim_start_matches("etc/skel/").to_owned(),
            ..entry.clone()
        };
        Self {
            passwd: text("etc/passwd").unwrap_or_default(),
            shadow: text("etc/shadow").unwrap_or_default(),
            group: text("etc/group").unwrap_or_default(),
            gshadow: text("etc/gshadow"),
            shadow_gid: shadow.map_or(0, |entry| entry.gid),
            shadow_mode: shadow.map_or(0o640, |entry| entry.mode),
            os_release: text("etc/os-release").map(|text| ("etc/os-release".to_owned(), text)),
            skel: etc.iter().filter(in_skel).map(relative).collect(),
            shell: "/bin/bash".to_owned(),
            debian: has("etc/debian_version"),
            interfaces: text("etc/network/interfaces"),
            no_fstab: text("etc/fstab").is_some_and(|text| text.starts_with(NO_FSTAB)),
            links: Vec::new(),
            folders: Vec::new(),
        }
    }
}

/// What one machine adds to its image.
pub(super) struct Machine<'a> {
    pub(super) plan: &'a DeckyPlan,
    /// When it was installed.
    pub(super) installed: DateTime<Utc>,
    pub(super) gateway: Option<IpAddr>,
    /// Length of its network's part of the address.
    pub(super) prefix: Option<u8>,
    /// Whether the image knows the persona's zone.
    pub(super) has_zone: bool,
}

/// The entries that make the image this machine. Folders come last, so that nothing changes their times afterwards.
pub(super) fn entries(facts: &Facts, machine: &Machine<'_>) -> Vec<Entry> {
    let plan = machine.plan;
    let persona = &plan.persona;
    let installed = machine.installed;
    // People came in the days after.
    let peopled = installed + offset(&plan.seed.child("identity/peopled"), 600, 5 * 86_400);
    let (host, domain) = (&persona.hostname, &persona.domain);
    let mut entries = accounts(facts, plan, installed, peopled);
    let file = |path: &str, text: String| Entry::file(path, 0o644, installed, text);
    entries.push(file("etc/hostname", format!("{host}\n")));
    let hosts = if facts.debian {
        format!(
            "127.0.0.1\tlocalhost\n127.0.1.1\t{host}.{domain}\t{host}\n\n# The following lines are desirable for IPv6 capable hosts\n::1     localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n"
        )
    } else {
        format!(
            "127.0.0.1   localhost localhost.localdomain localhost4 localhost4.localdomain4\n::1         localhost localhost.localdomain localhost6 localhost6.localdomain6\n{} {host}.{domain} {host}\n",
            plan.ip()
        )
    };
    entries.push(file("etc/hosts", hosts));
    let resolver = machine.gateway.map(|gateway| format!("nameserver {gateway}\n")).unwrap_or_default();
    entries.push(file("etc/resolv.conf", format!("search {domain}\n{resolver}")));
    let id = hex::encode(plan.seed.child("identity/machine-id").bytes::<16>());
    entries.push(Entry::file("etc/machine-id", 0o444, installed, format!("{id}\n")));
    if machine.has_zone {
        let zone = &persona.timezone;
        entries.push(Entry::link("etc/localtime", &format!("/usr/share/zoneinfo/{zone}"), installed));
        if facts.debian {
            entries.push(file("etc/timezone", format!("{zone}\n")));
        }
    }
    if let Some((path, text)) = &facts.os_release
        && let Some(text) = release(text, &persona.os_pretty)
    {
        entries.push(Entry::file(path, 0o644, installed - TimeDelta::days(40), text));
    }
    if facts.no_fstab {
        entries.push(file("etc/fstab", fstab(&plan.seed.child("identity/fstab"))));
    }
    if let (Some(text), Some(prefix)) = (&facts.interfaces, machine.prefix)
        && !text.contains("iface eth0")
    {
        entries.push(file("etc/network/interfaces", interfaces(text, plan.ip(), prefix, machine.gateway)));
    }
    if facts.debian {
        // The engine has put its own in the place of the distribution's.
        entries.push(Entry::link("etc/mtab", "../proc/self/mounts", installed));
    }
    let linked = installed - TimeDelta::seconds(40);
    entries.extend(facts.links.iter().map(|(path, target)| Entry::link(path, target, linked)));
    for (path, mode) in &facts.folders {
        let node = plan.seed.child("identity/folder").child(path);
        let at = match path.as_str() {
            "etc" | "home" => peopled,
            "srv" | "opt" | "mnt" | "media" | "usr/local" => installed - offset(&node, 0, 60),
            _ => installed + offset(&node, 30, 900),
        };
        entries.push(Entry::folder(path, *mode, at));
    }
    entries
}

/// The image's settings of `ifup` with what Debian's installer adds for a fixed address.
fn interfaces(text: &str, ip: IpAddr, prefix: u8, gateway: Option<IpAddr>) -> String {
    let loopback = "\n# The loopback network interface\nauto lo\niface lo inet loopback\n";
    let loopback = if text.contains("iface lo ") { "" } else { loopback };
    let gateway = gateway.map(|gateway| format!("\tgateway {gateway}\n")).unwrap_or_default();
    format!(
        "{text}{loopback}\n# The primary network interface\nallow-hotplug eth0\niface eth0 inet static\n\taddress {ip}/{prefix}\n{gateway}"
    )
}

/// What Debian's installer writes for one disk with a swap partition.
fn fstab(node: &Seed) -> String {
    let uuid = |name: &str| uuid::Builder::from_random_bytes(node.child(name).bytes::<16>()).into_uuid();
    let (root, swap) = (uuid("root"), uuid("swap"));
    format!(
        "# /etc/fstab: static file system information.\n#\n# Use 'blkid' to print the universally unique identifier for a\n# device; this may be used with UUID= as a more robust way to name devices\n# that works even if disks are added and removed. See fstab(5).\n#\n# systemd generates mount units based on this file, see systemd.mount(5).\n# Please run 'systemctl daemon-reload' after making changes here.\n#\n# <file system> <mount point>   <type>  <options>       <dump>  <pass>\n# / was on /dev/vda1 during installation\nUUID={root} /               ext4    errors=remount-ro 0       1\n# swap was on /dev/vda5 during installation\nUUID={swap} none            swap    sw              0       0\n/dev/sr0        /media/cdrom0   udf,iso9660 user,noauto     0       0\n"
    )
}

/// Some time within this span, with a fraction: nothing on a disk has round times.
fn offset(node: &Seed, from_s: u64, to_s: u64) -> TimeDelta {
    let milliseconds = i64::try_from(node.range(from_s * 1000..=to_s * 1000)).unwrap_or(0);
    let nanos = i64::try_from(node.child("fraction").range(0..=999_999)).unwrap_or(0);
    TimeDelta::milliseconds(milliseconds) + TimeDelta::nanoseconds(nanos)
}

fn accounts(facts: &Facts, plan: &DeckyPlan, installed: DateTime<Utc>, peopled: DateTime<Utc>) -> Vec<Entry> {
    let day = installed.timestamp().div_euclid(86_400);
    let (mut passwd, mut group) = (facts.passwd.clone(), facts.group.clone());
    let mut shadow = aged(&facts.shadow, day);
    let mut gshadow = facts.gshadow.clone();
    let mut homes = Vec::new();
    if plan.services.iter().any(|service| matches!(service.slug.as_str(), "imap" | "pop3"))
        && !has_line(&passwd, "vmail")
    {
        // Whose the mailboxes are.
        let _ = writeln!(passwd, "vmail:x:{VMAIL}:{VMAIL}::/var/mail:/usr/sbin/nologin");
        let _ = writeln!(group, "vmail:x:{VMAIL}:");
        let _ = writeln!(shadow, "vmail:!:{day}:0:99999:7:::");
        if let Some(gshadow) = &mut gshadow {
            let _ = writeln!(gshadow, "vmail:!::");
        }
    }
    let mut first = true;
    for person in &plan.persona.accounts {
        let Account { login, full_name, password, .. } = person;
        let hash = crypt(&plan.persona.distro, password, &plan.seed.child("identity/shadow").child(login));
        if has_line(&passwd, login) {
            // Root, or an account that the image brings: only its password is ours.
            shadow = with_hash(&shadow, login, &hash, day);
            continue;
        }
        let uid = free_id(&passwd, &group, person.uid);
        let gid = id_of(&group, login).unwrap_or(uid);
        let gecos: String = full_name.chars().filter(|c| !matches!(c, ':' | ',' | '\n')).collect();
        // Writing to a String does not fail.
        let _ = writeln!(passwd, "{login}:x:{uid}:{gid}:{gecos},,,:/home/{login}:{}", facts.shell);
        let is_new_group = !has_line(&group, login);
        if is_new_group {
            let _ = writeln!(group, "{login}:x:{gid}:");
        }
        let since = peopled.timestamp().div_euclid(86_400);
        let _ = writeln!(shadow, "{login}:{hash}:{since}:0:99999:7:::");
        if let Some(gshadow) = gshadow.as_mut().filter(|_| is_new_group) {
            let _ = writeln!(gshadow, "{login}:!::");
        }
        if uid >= FIRST_UID && std::mem::take(&mut first) {
            for name in FIRST_PERSONS {
                group = with_member(&group, name, login, 3);
                gshadow = gshadow.map(|text| with_member(&text, name, login, 3));
            }
        }
        homes.extend(home(facts, plan, login, (uid, gid), peopled));
    }
    let file =
        |path: &str, mode: u32, gid: u32, text: String| Entry::file(path, mode, peopled, text).of(0, gid);
    let mut entries = vec![
        file("etc/passwd", 0o644, 0, passwd),
        file("etc/group", 0o644, 0, group),
        file("etc/shadow", facts.shadow_mode, facts.shadow_gid, shadow),
    ];
    entries.extend(gshadow.map(|text| file("etc/gshadow", facts.shadow_mode, facts.shadow_gid, text)));
    entries.extend(homes);
    entries
}

fn home(
    facts: &Facts,
    plan: &DeckyPlan,
    login: &str,
    (uid, gid): (u32, u32),
    peopled: DateTime<Utc>,
) -> Vec<Entry> {
    let made = peopled + offset(&plan.seed.child("identity/home").child(login), 1, 86_400);
    let mode = if plan.persona.distro.starts_with("ubuntu") { 0o750 } else { 0o700 };
    let place = |entry: &Entry| {
        let path = format!("home/{login}/{}", entry.path);
        // useradd and adduser keep the times of skel's files.
        Entry { path, ..entry.clone() }.of(uid, gid)
    };
    let mut entries: Vec<Entry> = facts.skel.iter().map(place).collect();
    entries.push(Entry::folder(&format!("home/{login}"), mode, made).of(uid, gid));
    entries
}

/// The number that a new account gets which would like to have `wanted`: that, or the next one of its kind that the image
/// has given to nobody. Services' numbers are given away downwards, people's upwards.
fn free_id(passwd: &str, group: &str, wanted: u32) -> u32 {
    let taken: BTreeSet<u32> = [passwd, group].into_iter().flat_map(str::lines).filter_map(id).collect();
    let is_free = |number: &u32| !taken.contains(number);
    let found = if wanted < FIRST_UID {
        (FIRST_SERVICE..=wanted).rev().chain(wanted..FIRST_UID).find(is_free)
    } else {
        (wanted..=LAST_UID).find(is_free)
    };
    found.unwrap_or(wanted)
}

/// The number of a line of passwd or group.
fn id(line: &str) -> Option<u32> {
    line.split(':').nth(2)?.parse().ok()
}

/// The number of `name`.
fn id_of(text: &str, name: &str) -> Option<u32> {
    text.lines().find(|line| line.split(':').next() == Some(name)).and_then(id)
}

/// Whether a file of this kind has a line for `name`.
fn has_line(text: &str, name: &str) -> bool {
    text.lines().any(|line| line.split(':').next() == Some(name))
}

/// Shadow lines whose passwords were last changed when the machine was installed, not when its image was made.
fn aged(shadow: &str, day: i64) -> String {
    lines(shadow, |fields| {
        if let Some(changed) = fields.get_mut(2)
            && changed.parse::<i64>().is_ok_and(|changed| changed > day)
        {
            *changed = day.to_string();
        }
    })
}

fn with_hash(shadow: &str, login: &str, hash: &str, day: i64) -> String {
    lines(shadow, |fields| {
        if fields.first().is_some_and(|name| name == login)
            && let [_, old, changed, ..] = fields.as_mut_slice()
        {
            hash.clone_into(old);
            *changed = day.to_string();
        }
    })
}

/// Adds `login` to the group `name`, whose members are in this field.
fn with_member(text: &str, name: &str, login: &str, at: usize) -> String {
    lines(text, |fields| {
        if fields.first().is_some_and(|group| group == name)
            && let Some(members) = fields.get_mut(at)
        {
            *members = if members.is_empty() { login.to_owned() } else { format!("{members},{login}") };
        }
    })
}

/// Changes the fields of each line.
fn lines(text: &str, change: impl Fn(&mut Vec<String>)) -> String {
    let mut changed = String::with_capacity(text.len() + 64);
    for line in text.lines() {
        let mut fields: Vec<String> = line.split(':').map(str::to_owned).collect();
        change(&mut fields);
        changed.push_str(&fields.join(":"));
        changed.push('\n');
    }
    changed
}

/// The hash of a password as this distribution's `passwd` writes it, with a salt of this machine's and this account's. One
/// that cannot be made is a locked account.
fn crypt(distro: &str, password: &str, node: &Seed) -> String {
    let locked = || "!".to_owned();
    if YESCRYPT.contains(&distro) {
        let hash = Yescrypt::default().hash_password_with_salt(password.as_bytes(), &node.bytes::<16>());
        return hash.map_or_else(|_| locked(), |hash| hash.to_string());
    }
    let hash = ShaCrypt::SHA512.hash_password_with_salt(password.as_bytes(), &node.bytes::<12>());
    // The default number of rounds is not written down.
    hash.map_or_else(|_| locked(), |hash| hash.to_string().replace("rounds=5000$", ""))
}

/// The image's os-release with the persona's name; `None` if it says so already.
fn release(text: &str, pretty: &str) -> Option<Bytes> {
    let line = format!("PRETTY_NAME=\"{pretty}\"");
    if text.lines().any(|there| there == line) {
        return None;
    }
    let changed: Vec<&str> = text
        .lines()
        .map(|there| if there.starts_with("PRETTY_NAME=") { line.as_str() } else { there })
        .collect();
    Some(format!("{}\n", changed.join("\n")).into())
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
