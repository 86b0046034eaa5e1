//! A fleet that lives while somebody has broken in: our own files, connections and mail are nobody's attack, are what the tables
//! say, and stop where somebody looks; what an intruder does to them is reported once. On containers and on processes.

mod disk;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use decnet_tests::{
    Api, Stack, eventually,
    intruder::Intruder,
    lan::{Neighbour, Terminal},
    receiver::Receiver,
    stack::Target,
};
use serde_json::{Value, json};

use self::disk::{Disks, files};
use crate::ground::{Ground, find, lines_of};

const FLEET: &str = "[web~]\nservices = ssh, http\n[mail~]\nservices = imap, pop3, ssh\n[app~]\nservices = ssh, redis\n[shop~]\nservices = redis, http\n[desk~]\nservices = ssh, http\n";
/// Those that people work on.
const HOMES: [&str; 4] = ["web", "mail", "app", "desk"];
/// A day in a minute, seen at once.
const FAST: [(&str, &str); 2] = [("DECNET_ORCHESTRATE_INTERVAL", "1"), ("DECNET_ORCHESTRATE_PACE", "1440")];
/// How long a few hours of life may take on a loaded machine.
const LIFE: Duration = Duration::from_mins(2);

/// A pool of people who work at any time, so that it does not matter when the test runs.
fn people(folder: &std::path::Path) -> Result<String> {
    let names = ["Ada Park", "Tomas Weller", "Ines Corvo", "Marek Dolan", "Ruth Ashby", "Owen Novak"];
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let pool: Vec<Value> = names
        .iter()
        .map(|name| {
            let email = format!("{}@harbour.example", name.to_lowercase().replace(' ', "."));
            json!({ "name": name, "email": email, "role": "engineer", "tone": "direct", "mannerisms": ["brief"],
                "language": "en", "active_hours": "00:00-00:00", "work_days": days, "timezone": "UTC" })
        })
        .collect();
    let path = folder.join("people.json");
    std::fs::write(&path, serde_json::to_vec(&pool)?)?;
    Ok(path.to_string_lossy().into_owned())
}

/// Everything that the orchestrator tells of a kind, newest first.
async fn acts(api: &Api, kind: &str) -> Result<Vec<Value>> {
    let mut all: Vec<Value> = Vec::new();
    let mut offset = 0;
    loop {
        let mut page =
            api.get(&format!("/orchestrator/events?kind={kind}&limit=1000&offset={offset}")).await?;
        let Value::Array(data) = page["data"].take() else { bail!("no actions: {page}") };
        if data.is_empty() {
            return Ok(all);
        }
        offset += data.len();
        // New ones have moved the pages meanwhile.
        let known: BTreeSet<String> = all.iter().map(|act| act["uuid"].to_string()).collect();
        all.extend(data.into_iter().filter(|act| !known.contains(&act["uuid"].to_string())));
    }
}

/// The account of somebody who has files here.
async fn person<'a>(api: &Api, target: &'a Target) -> Result<(&'a str, &'a str)> {
    let rows = files(api, &on(target)).await?;
    let lives = |login: &str| {
        let home = format!("/home/{login}/");
        rows.iter().any(|row| row["path"].as_str().is_some_and(|path| path.starts_with(&home)))
    };
    let person = target.accounts.iter().find(|(login, _)| lives(login));
    person.map(|(login, password)| (login.as_str(), password.as_str())).context("nobody lives here")
}

fn on(target: &Target) -> String {
    format!("local:{}", target.name)
}

/// What was done to a decky's files.
async fn done_on(api: &Api, target: &Target) -> Result<BTreeSet<String>> {
    let all = acts(api, "file").await?;
    let here = all.iter().filter(|act| act["dst_decky_uuid"] == on(target).as_str());
    Ok(here.map(|act| act["uuid"].to_string()).collect())
}

/// Waits until every machine with people has its past.
async fn born(api: &Api) -> Result<()> {
    eventually("a past of every decky", LIFE, || async {
        let all = acts(api, "file").await?;
        let aged = all.iter().filter(|act| act["action"] == "file:age" && act["success"] == true).count();
        ensure!(aged == HOMES.len(), "{aged} have one");
        Ok(Some(()))
    })
    .await
}

/// Waits until there was of everything a little.
async fn lively(api: &Api, mails_before: usize) -> Result<()> {
    eventually("of everything a little", LIFE, || async {
        let (files, traffic) = (acts(api, "file").await?, acts(api, "traffic").await?);
        let mails = acts(api, "email").await?.len().saturating_sub(mails_before);
        let mut seen: BTreeMap<String, usize> = BTreeMap::from([("mail".to_owned(), mails)]);
        for act in files.iter().chain(&traffic).filter(|act| act["success"] == true) {
            *seen.entry(act["action"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        let wanted = [
            ("file:create", 3),
            ("file:edit", 2),
            ("file:rotate", 1),
            ("mail", 2),
            ("connect:22", 2),
            ("connect:80", 1),
            ("connect:6379", 1),
        ];
        // Which of the two a neighbour asks for is chance, and one of them takes a while.
        let asked = seen.get("connect:143").or(seen.get("connect:110"));
        ensure!(asked.is_some(), "nobody asked for mail so far: {seen:?}");
        ensure!(wanted.iter().all(|(what, least)| seen.get(*what) >= Some(least)), "so far {seen:?}");
        Ok(Some(()))
    })
    .await
}

/// Attackers are exactly these, and nothing that is kept is of anybody else.
async fn evidence_is_clean(
    stack: &Stack,
    api: &Api,
    targets: &[Target],
    known: &BTreeSet<String>,
) -> Result<()> {
    let attackers = stack.attackers().await?;
    let seen: BTreeSet<_> = attackers.iter().filter_map(|a| a["ip"].as_str().map(str::to_owned)).collect();
    ensure!(seen == *known, "attackers are {seen:?} instead of {known:?}");
    for what in ["credentials", "sessions"] {
        let page = api.get(&format!("/{what}?limit=500")).await?;
        for row in page["data"].as_array().context("rows")? {
            let ip = row["attacker_ip"].as_str().or_else(|| row["last_attacker_ip"].as_str());
            ensure!(ip.is_none_or(|ip| known.contains(ip)), "{what}: {row}");
        }
    }
    let ours: BTreeSet<String> = targets.iter().map(|target| target.ip.to_string()).collect();
    let rows = api.all_logs("event:connect").await?;
    let life: Vec<_> =
        rows.iter().filter(|row| row["attacker_ip"].as_str().is_some_and(|ip| ours.contains(ip))).collect();
    ensure!(!life.is_empty(), "no lines of our own connections");
    for row in life {
        ensure!(row["origin"] == "life", "a connection of ours is not told from an attack: {row}");
    }
    for event in ["file_captured", "egress_blocked", "command", "session_recorded", "login_attempt"] {
        for row in api.all_logs(&format!("event:{event}")).await? {
            let ip = row["attacker_ip"].as_str().unwrap_or_default();
            ensure!(known.contains(ip) || row["origin"] == "life", "{event} of nobody: {row}");
        }
    }
    Ok(())
}

/// Every row has its notice, alike in kind and ids, and every notice its row.
async fn rows_are_told(api: &Api, receiver: &Receiver, mails_before: usize) -> Result<()> {
    let key = |act: &Value| {
        let name = |field: &str| act[field].as_str().unwrap_or_default().to_owned();
        [
            name("kind"),
            name("action"),
            name("src_decky_uuid"),
            name("dst_decky_uuid"),
            act["payload"]["path"].to_string(),
        ]
    };
    let letter = |mail: &Value| {
        let name = |field: &str| mail[field].as_str().unwrap_or_default().to_owned();
        [
            "email".to_owned(),
            name("subject"),
            name("sender_email"),
            name("recipient_email"),
            name("thread_id"),
        ]
    };
    eventually("one notice of every row", Duration::from_secs(40), || async {
        let mut told: BTreeMap<_, i64> = BTreeMap::new();
        for notice in receiver.notices().iter().filter(|notice| notice.topic.starts_with("orchestrator.")) {
            let body = &notice.body["payload"];
            if notice.topic.starts_with("orchestrator.email") {
                *told.entry(letter(body)).or_default() += 1;
            } else {
                *told.entry(key(body)).or_default() += 1;
            }
        }
        let (files, traffic) = (acts(api, "file").await?, acts(api, "traffic").await?);
        for row in files.iter().chain(&traffic) {
            *told.entry(key(row)).or_default() -= 1;
        }
        // The past came in one piece, without a notice of each letter: the newest are those of the life since.
        let mails = acts(api, "email").await?;
        let since = mails.len().saturating_sub(mails_before);
        for row in mails.iter().take(since) {
            *told.entry(letter(row)).or_default() -= 1;
        }
        // Some of those counted as the past may have come one by one just before the count.
        let past: BTreeSet<_> = mails.iter().skip(since).map(letter).collect();
        told.retain(|letter, count| *count != 0 && !(*count == 1 && past.contains(letter)));
        ensure!(told.is_empty(), "rows without a notice (less than 0) or the other way: {told:?}");
        Ok(Some(()))
    })
    .await
}

/// What the mail decky shows of its mail, by both protocols, to every account.
async fn mail_is_served(api: &Api, intruder: &Intruder, mail: &Target) -> Result<()> {
    let mut owners = BTreeSet::new();
    let mut compared = 0;
    for (login, password) in &mail.accounts {
        let base = mail.port_base.to_string();
        let (shown, rows) = eventually("the mailbox being the rows'", Duration::from_secs(20), || async {
            let shown = intruder.python(mail, include_str!("mailbox.py"), &[&base, login, password]).await?;
            let shown: Value = serde_json::from_str(&shown)?;
            let hashes = |by: &str| -> BTreeSet<String> {
                shown[by].as_array().into_iter().flatten().map(|m| m["sha256"].to_string()).collect()
            };
            let (imap, pop3) = (hashes("imap"), hashes("pop3"));
            ensure!(imap == pop3, "{login}: IMAP has {} messages, POP3 {}", imap.len(), pop3.len());
            let Some(owner) = shown["imap"][0]["to"].as_str().map(str::to_owned) else {
                return Ok(Some((shown, 0)));
            };
            let all = acts(api, "email").await?;
            let rows: Vec<_> = all.iter().filter(|row| row["recipient_email"] == owner.as_str()).collect();
            for row in &rows {
                let hash = row["payload"]["sha256"].to_string();
                ensure!(imap.contains(&hash), "{login}: not served as the row has it: {row}");
            }
            ensure!(
                rows.len() == imap.len(),
                "{login}: {} rows to {owner}, {} messages; a row: {:?}",
                rows.len(),
                imap.len(),
                all.last()
            );
            Ok(Some((shown, rows.len())))
        })
        .await?;
        compared += rows;
        for message in shown["imap"].as_array().into_iter().flatten() {
            ensure!(message["to"] == shown["imap"][0]["to"], "{login} is shown {message}");
            ensure!(message["defects"] == json!([]) && message["bare"] == 0, "{login}: {message}");
        }
        if rows > 0 {
            ensure!(owners.insert(shown["imap"][0]["to"].to_string()), "{login} shares a mailbox");
        }
    }
    println!("mail: {compared} messages of {} accounts are as the rows have them", owners.len());
    ensure!(owners.len() >= 2, "only {owners:?} of {:?} have mail", mail.accounts);
    Ok(())
}

/// Somebody appends to and removes files of a decky behind its back; that is found, told once, and left alone.
async fn tampering_is_told_once(
    api: &Api,
    receiver: &Receiver,
    disks: &Disks<'_>,
    target: &Target,
) -> Result<()> {
    let root = disks.root(&target.name)?;
    let mut left = BTreeMap::new();
    for (number, row) in files(api, &on(target)).await?.iter().enumerate() {
        let path = row["path"].as_str().context("path")?.to_owned();
        let at = disk::at(&root, &path);
        // Life may have been here first.
        let Ok(mut bytes) = std::fs::read(&at) else { continue };
        if number % 3 == 0 {
            std::fs::remove_file(&at)?;
            left.insert(path, None);
        } else {
            bytes.extend_from_slice(b"# was here\n");
            std::fs::write(&at, &bytes)?;
            left.insert(path, Some((disk::sha256(&bytes), row["content_hash"].clone())));
        }
    }
    let states = |state: &'static str| async move {
        let page = format!("/realism/synthetic-files?decky_uuid={}&state={state}&limit=500", on(target));
        anyhow::Ok(api.get(&page).await?["data"].as_array().cloned().unwrap_or_default())
    };
    let (diverged, lost) = eventually("a changed and a missing file being noticed", LIFE, || async {
        let (diverged, lost) = (states("diverged").await?, states("lost").await?);
        ensure!(!diverged.is_empty() && !lost.is_empty(), "{diverged:?} {lost:?}");
        Ok(Some((diverged, lost)))
    })
    .await?;
    for row in &diverged {
        let path = row["path"].as_str().context("path")?;
        let Some(Some((found, planted))) = left.get(path) else { bail!("not ours to find: {row}") };
        ensure!(row["found_hash"] == found.as_str() && row["content_hash"] == *planted, "{row}");
    }
    for row in &lost {
        ensure!(left.get(row["path"].as_str().context("path")?) == Some(&None), "it was not removed: {row}");
    }
    eventually("a notice of each", Duration::from_secs(20), || async {
        let notices = receiver.notices();
        for row in diverged.iter().chain(&lost) {
            let of = notices
                .iter()
                .filter(|n| n.topic.ends_with(".file_tampered") && n.body["payload"]["path"] == row["path"]);
            let of: Vec<_> = of.collect();
            ensure!(of.len() == 1, "{} notices of {row}", of.len());
            ensure!(of[0].body["payload"]["found_sha256"] == row["found_hash"], "{:?} {row}", of[0]);
        }
        Ok(Some(()))
    })
    .await?;
    // Whatever came after it: what the intruder wrote is there.
    for (path, wrote) in &left {
        let Some((wrote, _)) = wrote else { continue };
        let now = std::fs::read(disk::at(&root, path)).map(|bytes| disk::sha256(&bytes));
        ensure!(now.as_ref().ok() == Some(wrote), "{path} was touched after the intruder: {now:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn life_on_processes_is_nobodys_attack() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let people = people(folder.path())?;
    let settings = [FAST.as_slice(), &[("DECNET_REALISM_PERSONAS", &people)]].concat();
    let stack = Stack::start_with(&settings).await?;
    let receiver = Receiver::listen().await?;
    receiver
        .subscribe_with(&stack, &["--pattern", "orchestrator.>", "--pattern", "decky.*.file_tampered"])
        .await?;
    let targets = stack.deploy(&FLEET.replace('~', "")).await?;
    let api = Api::first_login(&stack.api(), stack.folder()).await?;
    born(&api).await?;
    let mails = acts(&api, "email").await?.len();
    let intruder = Intruder::at(Ipv4Addr::new(127, 75, 1, 1));
    let desk = find(&targets, "desk")?;
    let (user, password) = person(&api, desk).await?;
    intruder.ssh(desk, user, password, "id").await?;
    lively(&api, mails).await?;
    let disks = Disks::Host(stack.folder().join("deckies"));
    for name in HOMES {
        disk::is_as_told(&api, &disks, &find(&targets, name)?.name).await?;
    }
    mail_is_served(&api, &intruder, find(&targets, "mail")?).await?;
    evidence_is_clean(&stack, &api, &targets, &BTreeSet::from([intruder.ip.to_string()])).await?;
    tampering_is_told_once(&api, &receiver, &disks, find(&targets, "app")?).await?;
    rows_are_told(&api, &receiver, mails).await?;
    stack.stop().await
}

/// What somebody who is logged in sees of his own home: path, owner, mode and time as the rows have them.
async fn seen_from_inside(api: &Api, seat: &Neighbour, desk: &Target, account: (&str, &str)) -> Result<()> {
    let look = "find ~ -type f -exec stat -c '%n|%U|%a|%y' {} +";
    let said = seat.ssh(desk.ip, account.0, account.1, look).await?;
    ensure!(said.code == Some(0), "{said:?}");
    let seen: BTreeMap<&str, &str> = said.stdout.lines().filter_map(|line| line.split_once('|')).collect();
    let home = format!("/home/{}/", account.0);
    let mut compared = 0;
    for row in files(api, &on(desk)).await? {
        let path = row["path"].as_str().context("path")?;
        if !path.starts_with(&home) {
            continue;
        }
        let told = seen.get(path).with_context(|| format!("{path} is not in {:?}", said.stdout))?;
        let (owner, rest) = told.split_once('|').context("owner")?;
        let mode = row["mode"].as_str().context("mode")?.trim_start_matches('0');
        let mtime = row["planted_mtime"].as_str().context("time")?.trim_end_matches('Z').replace('T', " ");
        ensure!(owner == account.0, "{path} belongs to {owner}");
        ensure!(rest.starts_with(&format!("{mode}|{mtime}")), "{path}: {rest} instead of {mode}|{mtime}");
        compared += 1;
    }
    println!("from inside: {compared} files of {home}");
    ensure!(compared > 0, "nothing of ours in {home}: {}", said.stdout);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn life_in_containers_stops_where_somebody_looks_and_is_there_again_after_an_accident() -> Result<()> {
    let Some(ground) = Ground::find()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let people = people(folder.path())?;
    let settings = [FAST.as_slice(), &[("DECNET_REALISM_PERSONAS", &people)]].concat();
    let stack = ground.stack(&settings).await?;
    let receiver = Receiver::listen().await?;
    receiver
        .subscribe_with(&stack, &["--pattern", "orchestrator.>", "--pattern", "decky.*.file_tampered"])
        .await?;
    let targets = ground.deploy(&stack, FLEET).await?;
    let api = Api::first_login(&stack.api(), stack.folder()).await?;
    born(&api).await?;
    let mails = acts(&api, "email").await?.len();
    let desk = find(&targets, "desk")?;
    let (user, password) = person(&api, desk).await?;
    let seat = ground.lan.plug()?;
    let mut terminal = Terminal::open(seat.ssh_command(desk.ip, user, password, &["-tt"]))?;
    terminal.type_line("id -un").await?;
    eventually("the open session", Duration::from_secs(10), || async {
        let page = api.get("/sessions?limit=500").await?;
        let open =
            |row: &Value| row["attacker_ip"] == seat.ip.to_string().as_str() && row["ended_at"].is_null();
        Ok(page["data"].as_array().is_some_and(|rows| rows.iter().any(open)).then_some(()))
    })
    .await?;
    // What had begun before it was seen is over when others have had several turns.
    let before = acts(&api, "file").await?.len();
    eventually("life elsewhere", LIFE, || async {
        Ok((acts(&api, "file").await?.len() >= before + 4).then_some(()))
    })
    .await?;
    let (alone, disks) = (done_on(&api, desk).await?, Disks::shells(&ground.engine, stack.folder()));
    let tree = disk::manifest(&disks.root(&desk.name)?)?;
    lively(&api, mails).await?;
    ensure!(done_on(&api, desk).await? == alone, "something was written while somebody was there");
    ensure!(disk::manifest(&disks.root(&desk.name)?)? == tree, "the disk changed while somebody was there");
    terminal.type_line("echo mine > /tmp/own-tool").await?;
    terminal.leave().await?;
    eventually("the intruder's own file", Duration::from_secs(10), || async {
        let rows = lines_of(&api, "file_captured", seat.ip).await?;
        Ok(rows.iter().any(|row| row["fields"]["orig_path"] == "/tmp/own-tool").then_some(()))
    })
    .await?;
    let captured = api.all_logs("event:file_captured").await?;
    ensure!(
        captured.iter().all(|row| row["fields"]["orig_path"] == "/tmp/own-tool"),
        "files of ours were taken for an intruder's: {captured:?}"
    );
    for name in HOMES {
        disk::is_as_told(&api, &disks, &find(&targets, name)?.name).await?;
    }
    seen_from_inside(&api, &seat, desk, (user, password)).await?;
    mail_is_served(&api, &seat.intruder(), find(&targets, "mail")?).await?;
    evidence_is_clean(&stack, &api, &targets, &BTreeSet::from([seat.ip.to_string()])).await?;
    tampering_is_told_once(&api, &receiver, &disks, find(&targets, "app")?).await?;

    // An accident: what the rows tell of is there again, as it was.
    let web = find(&targets, "web")?;
    let was = disks.shell(&web.name)?;
    ground.engine.remove(&was)?;
    // Nobody but the operator makes a container again that somebody removed.
    ground.deploy(&stack, FLEET).await?;
    eventually("the files being put back", LIFE, || async {
        let all = acts(&api, "file").await?;
        let is = |act: &&Value| act["action"] == "file:restore" && act["dst_decky_uuid"] == on(web).as_str();
        Ok(all.iter().find(is).is_some().then_some(()))
    })
    .await?;
    ensure!(disks.shell(&web.name)? != was, "no new shell");
    disk::is_as_told(&api, &disks, &web.name).await?;
    for state in ["diverged", "lost"] {
        let page = api.get(&format!("/realism/synthetic-files?decky_uuid={}&state={state}", on(web))).await?;
        ensure!(page["total"] == 0, "an accident was taken for an intruder: {page}");
    }
    rows_are_told(&api, &receiver, mails).await?;
    evidence_is_clean(&stack, &api, &targets, &BTreeSet::from([seat.ip.to_string()])).await?;
    let folder = stack.folder().to_owned();
    stack.stop().await?;
    ground.ensure_nothing_left(&folder)
}
