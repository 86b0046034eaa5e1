//! What a login shows before the first prompt, as Debian's server with PAM does: the message of the day with what the
//! scripts of `/etc/update-motd.d` say, then the last login.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{Read, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    LOGIN_VARIABLE, MYSELF, StageError,
    account::{Account, read},
    login::Plan,
    records::Last,
    session_program,
};

/// Where the distribution keeps its scripts.
const SCRIPTS: &str = "/etc/update-motd.d";
/// How long they may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How much they may say.
const SAID_MAX: usize = 16 << 10;

/// The text.
pub(super) fn text(account: &Account, last: Option<&Last>) -> String {
    if account.home.join(".hushlogin").exists() {
        return String::new();
    }
    let mut text = scripts().unwrap_or_default();
    text.push_str(&read("/etc/motd"));
    if let Some(last) = last {
        let local = last.at.with_timezone(&chrono::Local);
        let _ = writeln!(text, "Last login: {} from {}", local.format("%a %b %e %H:%M:%S %Y"), last.host);
    }
    text
}

/// Runs the scripts with no more rights than the intruder has, since he may have changed them.
fn scripts() -> Option<String> {
    let runner =
        ["/usr/bin/run-parts", "/bin/run-parts"].into_iter().find(|file| Path::new(file).exists())?;
    if !Path::new(SCRIPTS).is_dir() {
        return None;
    }
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let plan = Plan {
        uid: 0,
        gid: 0,
        groups: vec![0],
        home: "/".into(),
        program: runner.to_owned(),
        own_name: "run-parts".to_owned(),
        args: ["--lsbsysinit", SCRIPTS].map(|arg| STANDARD.encode(arg)).to_vec(),
        env: BTreeMap::from([("PATH".to_owned(), path.to_owned())]),
        terminal: false,
        greeting: String::new(),
    };
    run(&plan).ok()
}

fn run(plan: &Plan) -> Result<String, StageError> {
    use super::During;
    let mut child = Command::new(MYSELF)
        .arg0(format!("{}: root", session_program()))
        .env_clear()
        .env(LOGIN_VARIABLE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .during("cannot run the scripts of the day's message")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&plan.encode()?).during("cannot hand over")?;
    }
    let mut said = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        let end = Instant::now() + PATIENCE;
        let mut part = [0; 4096];
        while said.len() < SAID_MAX {
            let left = end.saturating_duration_since(Instant::now());
            let wait =
                Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: i64::from(left.subsec_nanos()) };
            let ready = poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&wait));
            if !matches!(ready, Ok(1..)) {
                break;
            }
            match stdout.read(&mut part) {
                Ok(n @ 1..) => said.extend_from_slice(part.get(..n).unwrap_or_default()),
                _ => break,
            }
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    Ok(String::from_utf8_lossy(&said).into_owned())
}
