//! The identity of a machine: accounts, age, names.

use decnet_core::{FleetSecret, HostId};
use decnet_fleet::{PlanRequest, RuntimeKind, ini, plan};
use yescrypt::PasswordVerifier;

use super::*;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n";
const SHADOW: &str = "root:*:20782:0:99999:7:::\nsshd:!:20782::::::\nold:!:15000::::::\n";
const GROUP: &str = "root:x:0:\nsudo:x:27:\nshadow:x:42:\nusers:x:100:other\n";

fn machine_plan(distro: &str) -> DeckyPlan {
    let text = "[general]\nnet = 192.0.2.0/24\ngw = 192.0.2.1\ninterface = x0\n[web]\nservices=ssh\n";
    let request = PlanRequest {
        spec: &ini::parse(text.as_bytes()).unwrap(),
        secret: &FleetSecret::from_number(7),
        runtime: RuntimeKind::Docker,
        generation: 1,
        host: &HostId::default(),
        detected: None,
        used: &std::collections::HashSet::new(),
        previous: None,
        shells: Some(&std::collections::BTreeSet::from([distro.to_owned()])),
    };
    plan(&request).unwrap().deckies.remove(0)
}

fn debian() -> Facts {
    let at = DateTime::from_timestamp(1_600_000_000, 5).unwrap();
    let file = |path: &str, text: &str| Entry::file(path, 0o644, at, text.to_owned());
    let mut facts = Facts::of(&[
        Entry::folder("etc/", 0o755, at),
        file("etc/passwd", PASSWD),
        file("etc/shadow", SHADOW).of(0, 42),
        file("etc/group", GROUP),
        file("etc/gshadow", "root:*::\nsudo:*::\n"),
        file("etc/debian_version", "12.7\n"),
        file("etc/os-release", "PRETTY_NAME=\"Something else\"\nID=debian\n"),
        file("etc/fstab", "# UNCONFIGURED FSTAB FOR BASE SYSTEM\n"),
        file("etc/network/interfaces", "source /etc/network/interfaces.d/*\n"),
        Entry::folder("etc/skel/", 0o755, at),
        file("etc/skel/.bashrc", "# rc\n"),
    ]);
    facts.links = vec![("bin".to_owned(), "usr/bin".to_owned())];
    facts.folders = vec![("etc".to_owned(), 0o755), ("home".to_owned(), 0o755), ("opt".to_owned(), 0o755)];
    facts
}

fn text<'a>(entries: &'a [Entry], path: &str) -> &'a str {
    let entry = entries.iter().find(|entry| entry.path == path).unwrap_or_else(|| panic!("no {path}"));
    match &entry.content {
        Content::File(bytes) => std::str::from_utf8(bytes).unwrap(),
        other => panic!("{path} is {other:?}"),
    }
}

#[test]
fn people_can_log_in_and_are_as_old_as_the_machine() {
    let plan = machine_plan("debian");
    let installed = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
    let gateway = Some("192.0.2.1".parse().unwrap());
    let facts = debian();
    let made =
        entries(&facts, &Machine { plan: &plan, installed, gateway, prefix: Some(24), has_zone: true });
    let (passwd, shadow) = (text(&made, "etc/passwd"), text(&made, "etc/shadow"));
    for person in &plan.persona.accounts {
        let line = shadow.lines().find(|line| line.starts_with(&format!("{}:", person.login))).unwrap();
        let hash = line.split(':').nth(1).unwrap();
        assert!(hash.starts_with("$y$j9T$"), "{line}");
        let parsed = yescrypt::PasswordHash::new(hash).unwrap();
        Yescrypt::default().verify_password(person.password.as_bytes(), &parsed).unwrap();
        assert!(Yescrypt::default().verify_password(b"another", &parsed).is_err());
        if person.login != "root" {
            let uid = person.uid;
            assert!(passwd.contains(&format!("{}:x:{uid}:{uid}:{}", person.login, person.full_name)));
            let home = made.iter().find(|e| e.path == format!("home/{}", person.login)).unwrap();
            assert_eq!((home.uid, home.mode), (uid, 0o700));
            let rc = made.iter().find(|e| e.path == format!("home/{}/.bashrc", person.login)).unwrap();
            assert_eq!((rc.uid, rc.mtime.timestamp()), (uid, 1_600_000_000));
        }
    }
    assert_eq!(passwd.matches("root:x:0:0").count(), 1);
    assert!(shadow.contains("sshd:!:20254:"), "changed when it was installed: {shadow}");
    assert!(shadow.contains("old:!:15000:"));
    let first = plan.persona.accounts.iter().find(|person| person.uid >= FIRST_UID).unwrap();
    assert!(text(&made, "etc/group").contains(&format!("sudo:x:27:{}\n", first.login)));
    assert!(text(&made, "etc/group").contains(&format!("users:x:100:other,{}\n", first.login)));
    assert!(text(&made, "etc/gshadow").contains(&format!("sudo:*::{}\n", first.login)));
    assert_eq!(made.iter().find(|e| e.path == "etc/shadow").unwrap().gid, 42);
    let release = text(&made, "etc/os-release");
    assert!(release.contains(&plan.persona.os_pretty) && release.contains("ID=debian"), "{release}");
    assert!(text(&made, "etc/resolv.conf").ends_with("nameserver 192.0.2.1\n"));
    let fstab = text(&made, "etc/fstab");
    assert_eq!(fstab.lines().filter(|line| line.starts_with("UUID=")).count(), 2, "{fstab}");
    let interfaces = text(&made, "etc/network/interfaces");
    let address = format!("\taddress {}/24\n\tgateway 192.0.2.1\n", plan.ip());
    assert!(interfaces.starts_with("source ") && interfaces.ends_with(&address), "{interfaces}");
    let bin = made.iter().find(|entry| entry.path == "bin").unwrap();
    assert_eq!(bin.content, Content::Link("usr/bin".to_owned()));
    assert!(bin.mtime < installed);
    let now = DateTime::from_timestamp(1_760_000_000, 0).unwrap();
    assert!(made.iter().all(|entry| entry.mtime < now), "nothing is newer than the last boot");
    let folders = made.iter().position(|entry| entry.path == "etc").unwrap();
    assert!(made[folders..].iter().all(|entry| entry.content == Content::Folder), "folders come last");
}

#[test]
fn a_machine_is_the_same_every_time_and_no_two_are_alike() {
    let (plan, mut other) = (machine_plan("rocky9"), machine_plan("rocky9"));
    other.seed = FleetSecret::from_number(8).seed();
    let facts = debian();
    let make = |plan: &DeckyPlan| {
        let installed = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
        entries(&facts, &Machine { plan, installed, gateway: None, prefix: None, has_zone: false })
    };
    assert_eq!(make(&plan), make(&plan));
    assert_ne!(text(&make(&plan), "etc/machine-id"), text(&make(&other), "etc/machine-id"));
    assert_ne!(text(&make(&plan), "etc/fstab"), text(&make(&other), "etc/fstab"));
    assert_ne!(text(&make(&plan), "etc/shadow"), text(&make(&other), "etc/shadow"));
    assert!(!make(&plan).iter().any(|entry| entry.path == "etc/localtime"));
    let made = make(&plan);
    let shadow = text(&made, "etc/shadow");
    let person = &plan.persona.accounts[0];
    let line = shadow.lines().find(|line| line.starts_with(&format!("{}:", person.login))).unwrap();
    let hash = line.split(':').nth(1).unwrap();
    assert!(hash.starts_with("$6$") && !hash.contains("rounds"), "{line}");
    let hash = sha_crypt::PasswordHash::new(hash).unwrap();
    sha_crypt::PasswordVerifier::verify_password(&ShaCrypt::SHA512, person.password.as_bytes(), &hash)
        .unwrap();
}

#[test]
fn a_number_that_the_image_has_given_away_is_given_to_nobody_else() {
    let plan = machine_plan("debian");
    let installed = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
    let mut facts = debian();
    // As Debian 12 has them; the number of a first person may be taken as well.
    facts.passwd.push_str(
        "systemd-network:x:998:998::/:/usr/sbin/nologin\nadmin:x:1000:1000::/home/admin:/bin/bash\n",
    );
    facts.group.push_str("systemd-network:x:998:\nsystemd-journal:x:997:\nadmin:x:1000:\n");
    let made =
        entries(&facts, &Machine { plan: &plan, installed, gateway: None, prefix: None, has_zone: true });
    let (passwd, group) = (text(&made, "etc/passwd"), text(&made, "etc/group"));
    for file in [passwd, group] {
        let mut numbers: Vec<u32> = file.lines().filter_map(id).collect();
        numbers.sort_unstable();
        let before = numbers.len();
        numbers.dedup();
        assert_eq!(numbers.len(), before, "{file}");
    }
    let added = plan.persona.accounts.iter().filter(|person| !has_line(&facts.passwd, &person.login));
    for person in added.inspect(|person| assert!(has_line(group, &person.login))) {
        let uid = id_of(passwd, &person.login).unwrap();
        assert_eq!((id_of(group, &person.login), uid < FIRST_UID), (Some(uid), person.uid < FIRST_UID));
        let home = made.iter().find(|entry| entry.path == format!("home/{}", person.login)).unwrap();
        assert_eq!((home.uid, home.gid), (uid, uid));
    }
    assert_eq!(free_id(&facts.passwd, &facts.group, 998), 996);
    assert_eq!(free_id(&facts.passwd, &facts.group, 1000), 1001);
    let all: Vec<String> = (100..=998).map(|number| format!("a:x:{number}:")).collect();
    assert_eq!(free_id("", &all.join("\n"), 998), 999, "upwards where nothing is free below");
}
