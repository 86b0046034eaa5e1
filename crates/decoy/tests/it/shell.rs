//! Sessions that end in a real container: the static decoy as its process 1, a front in its network namespace, and
//! openssh's own clients. Needs root, docker, and a static build (`cargo xtask` makes one).

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use decnet_core::{
    DecoyConfig, SessionMark, ShellConfig, ShellLink,
    shell::{SHELL_DOCUMENT, SHELL_PROGRAM},
};
use decnet_logline::{Record, captured_secret, scan};

use crate::{
    container::{Container, sftp_server, static_decoy},
    scene::{LOGIN, PASSWORD, PATIENCE, document, field, tool},
    terminal::Terminal,
};

const ROOTS_PASSWORD: &str = "toor";

/// A shell container and its front.
struct Stage {
    container: Container,
    folder: tempfile::TempDir,
    front: Child,
}

impl Stage {
    /// `None` after saying why the test is skipped.
    fn set() -> Option<Self> {
        for (name, package) in [
            ("ssh", "openssh-client"),
            ("sshpass", "sshpass"),
            ("nsenter", "util-linux"),
            ("script", "bsdutils"),
        ] {
            tool(name, package)?;
        }
        let program = static_decoy()?;
        let folder = tempfile::tempdir().unwrap();
        let mut config = document(&["ssh"], 7);
        config.persona.accounts.push(decnet_core::Account {
            login: "root".to_owned(),
            password: ROOTS_PASSWORD.to_owned(),
            uid: 0,
            ..config.persona.accounts[0].clone()
        });
        let link = ShellLink::of(&config.seed);
        let shell = ShellConfig { link: link.clone(), persona: config.persona.clone() };
        let container = Container::create(&[
            (SHELL_PROGRAM, &fs::read(program).unwrap(), 0o700),
            (SHELL_DOCUMENT, &serde_json::to_vec(&shell).unwrap(), 0o600),
        ])?;
        config.shell = Some(link);
        config.artifacts = Some(folder.path().join("artifacts"));
        config.services[0].port_base = 0;
        let front = front(&container, folder.path(), &config);
        let stage = Self { container, folder, front };
        stage.until("startup", |records| records.iter().any(|r| r.msgid == "startup").then_some(()));
        Some(stage)
    }

    fn records(&self) -> Vec<Record> {
        let bytes = fs::read(self.folder.path().join("output.log")).unwrap_or_default();
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.filter_map(|line| scan(line).ok()).collect()
    }

    fn of(&self, kind: &str) -> Vec<Record> {
        self.records().into_iter().filter(|record| record.msgid == kind).collect()
    }

    fn until<T>(&self, what: &str, found: impl Fn(&[Record]) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let records = self.records();
            if let Some(value) = found(&records) {
                return value;
            }
            assert!(
                Instant::now() < deadline,
                "waited in vain for {what}: {records:#?}\n{}",
                self.container.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn nth(&self, kind: &str, n: usize) -> Record {
        self.until(kind, |records| records.iter().filter(|record| record.msgid == kind).nth(n).cloned())
    }

    /// The words of a client's call.
    fn client(&self, program: &str, user: &str) -> Vec<String> {
        let password = if user == "root" { ROOTS_PASSWORD } else { PASSWORD };
        let mut words: Vec<String> =
            vec!["nsenter".into(), "-t".into(), self.container.pid.to_string(), "-n".into()];
        words.extend(["sshpass", "-p", password, program, "-F", "/dev/null"].map(str::to_owned));
        for option in [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "PreferredAuthentications=password",
            "PubkeyAuthentication=no",
            "LogLevel=ERROR",
        ] {
            words.push(format!("-o{option}"));
        }
        words
    }

    fn ssh(&self, user: &str, command: &str, input: &[u8]) -> Output {
        let mut words = self.client("ssh", user);
        words.extend([format!("{user}@127.0.0.1"), command.to_owned()]);
        let mut client = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stdin, input) = (client.stdin.take().unwrap(), input.to_vec());
        // Beside reading: the answer may be as long as the question.
        let writing = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = client.wait_with_output().unwrap();
        writing.join().unwrap();
        output
    }

    /// Logs in at a terminal of 33 rows and 91 columns.
    fn terminal(&self, user: &str) -> Terminal {
        let mut words = self.client("ssh", user);
        words.extend(["-tt".to_owned(), format!("{user}@127.0.0.1")]);
        let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
        let line = format!("stty rows 33 cols 91; exec {}", quoted.join(" "));
        Terminal::open(&line)
    }

    fn transcript(&self) -> String {
        let folder = self.folder.path().join("artifacts/transcripts");
        let mut text = String::new();
        for entry in fs::read_dir(folder).unwrap() {
            text += &fs::read_to_string(entry.unwrap().path()).unwrap();
        }
        text
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.front.kill();
        let _ = self.front.wait();
    }
}

fn front(container: &Container, folder: &Path, config: &DecoyConfig) -> Child {
    let file = folder.join("config.json");
    fs::write(&file, serde_json::to_vec(config).unwrap()).unwrap();
    Command::new("nsenter")
        .args(["-t", &container.pid.to_string(), "-n", env!("CARGO_BIN_EXE_decnet-decoy"), "run", "--config"])
        .arg(&file)
        .arg("--output")
        .arg(folder.join("output.log"))
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_command_has_its_own_output_status_and_place() {
    let Some(stage) = Stage::set() else { return };
    let output = stage.ssh(LOGIN, "id -un; pwd; echo wrong >&2; cat; exit 7", b"from the client\n");
    assert_eq!(text(&output.stdout), format!("{LOGIN}\n/home/{LOGIN}\nfrom the client\n"));
    assert_eq!((text(&output.stderr), output.status.code()), ("wrong\n".to_owned(), Some(7)));
    let exec = stage.nth("exec", 0);
    assert_eq!(field(&exec, "sid"), field(&stage.nth("command", 0), "sid"));
    // More than any buffer holds, both ways, through a program that is in no hurry.
    let big = vec![b'x'; 6 << 20];
    let output = stage.ssh(LOGIN, "sleep 1; cat", &big);
    assert_eq!(output.stdout.len(), big.len());
    // A shell without a terminal.
    let mut words = stage.client("ssh", LOGIN);
    words.extend(["-T".to_owned(), format!("{LOGIN}@127.0.0.1")]);
    let mut client = Command::new(&words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    client.stdin.take().unwrap().write_all(b"echo one\necho two\n").unwrap();
    assert_eq!(text(&client.wait_with_output().unwrap().stdout), "one\ntwo\n");
    let commands: Vec<_> = stage.of("command").iter().map(|r| field(r, "command").to_owned()).collect();
    assert_eq!(commands[2..], ["echo one", "echo two"]);
    // A subsystem that is not there is refused.
    let mut words = stage.client("ssh", LOGIN);
    words.extend(["-s".to_owned(), format!("{LOGIN}@127.0.0.1"), "nosuch".to_owned()]);
    let output = Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null()).output().unwrap();
    assert!(text(&output.stderr).contains("subsystem request failed on channel 0"), "{output:?}");
}

#[test]
fn one_connection_carries_any_number_of_sessions_but_ten_at_a_time() {
    let Some(stage) = Stage::set() else { return };
    let socket = format!("-oControlPath={}", stage.folder.path().join("control").display());
    let mut words = stage.client("ssh", LOGIN);
    words.extend([socket.clone(), "-M".into(), "-N".into(), format!("{LOGIN}@127.0.0.1")]);
    let mut master = Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !stage.folder.path().join("control").exists() {
        assert!(Instant::now() < deadline, "the client does not log in: {:?}", master.try_wait());
        std::thread::sleep(Duration::from_millis(20));
    }
    let call = |command: &str| {
        Command::new("ssh")
            .args(["-F", "/dev/null", &socket, "127.0.0.1", command])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    for n in 0..14 {
        assert_eq!(text(&call(&format!("echo {n}")).stdout), format!("{n}\n"));
    }
    let outputs: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..11).map(|_| scope.spawn(|| call("sleep 3; echo done"))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    let served = outputs.iter().filter(|output| output.stdout == b"done\n").count();
    assert_eq!(served, 10, "{outputs:?}");
    let _ = master.kill();
    let _ = master.wait();
    let ids: std::collections::BTreeSet<_> =
        stage.of("exec").iter().map(|record| field(record, "conn_id").to_owned()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
}

#[test]
fn root_in_the_shell_finds_nothing_of_ours() {
    let Some(stage) = Stage::set() else { return };
    let output = stage.ssh(
        "root",
        "id -u; ps; readlink /proc/1/exe; cat /proc/1/environ /proc/1/maps; ls /proc/1/cwd/",
        b"",
    );
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(out.starts_with("0\n"), "{output:?}");
    assert!(out.contains("sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"), "{out}");
    assert!(out.contains("sshd: root@notty"), "{out}");
    for word in ["decnet", "decoy", "shell-server", ".sshd", "deleted"] {
        assert!(!out.contains(word), "{word} in {out}");
    }
    for file in ["environ", "maps"] {
        assert!(err.contains(&format!("/proc/1/{file}': Permission denied")), "{err}");
    }
    // Every process of ours, whatever its stage, is closed to root.
    let output = stage.ssh(
        "root",
        "for p in /proc/[0-9]*; do grep -q sshd $p/comm && cat $p/environ; done; true",
        b"",
    );
    assert!(output.stdout.is_empty(), "{output:?}");
    let rights = text(&stage.ssh("root", "grep CapBnd /proc/self/status", b"").stdout);
    assert!(rights.trim().ends_with("00000000200400fb"), "{rights}");
    let files = text(&stage.ssh("root", "find / -xdev -name '.sshd*'; env; ls -a /", b"").stdout);
    for word in ["SESSION", "LOGIN=", ".sshd", ".dockerenv"] {
        assert!(!files.contains(word), "{word} in {files}");
    }
    // The server's own files are those of the server that it came through.
    let mut keyscan = Command::new("nsenter");
    keyscan.args(["-t", &stage.container.pid.to_string(), "-n", "ssh-keyscan", "-t", "ed25519", "127.0.0.1"]);
    let shown = text(&keyscan.output().unwrap().stdout);
    let shown = shown.lines().find_map(|line| line.split_once("ssh-ed25519 ")).expect("no key").1.to_owned();
    let filed = text(&stage.ssh("root", "cat /etc/ssh/ssh_host_ed25519_key.pub", b"").stdout);
    if stage.container.has_sftp {
        assert!(filed.contains(&shown), "{filed} is not {shown}");
    }
    // Nor can it end process 1, which lives on.
    stage.ssh("root", "kill -9 1", b"");
    assert_eq!(text(&stage.ssh("root", "echo alive", b"").stdout), "alive\n");
}

#[test]
fn a_terminal_is_recorded_key_by_key_and_command_by_command() {
    let Some(stage) = Stage::set() else { return };
    let mut terminal = stage.terminal(LOGIN);
    terminal.wait("$ ");
    terminal.send("stty size\r");
    terminal.wait("33 91");
    terminal.wait("$ ");
    terminal.send("echo fi\x7f\x7ffirst; tty\r");
    terminal.wait("/dev/pts/0");
    terminal.wait("$ ");
    terminal.send("\x1b[A");
    terminal.wait("tty");
    terminal.send("\r");
    terminal.wait("/dev/pts/0");
    terminal.wait("$ ");
    terminal.send("read -s -p 'Password: ' SECRET\r");
    terminal.wait("Password: ");
    // Only when the terminal hides what is typed.
    std::thread::sleep(Duration::from_millis(200));
    terminal.send("Sommer 2026\r");
    terminal.wait("$ ");
    terminal.send("sleep 100\r");
    terminal.wait("sleep 100");
    let session = stage.container.session();
    terminal.send("\x03");
    terminal.wait("$ ");
    terminal.send("exit 5\r");
    assert_eq!(terminal.end(), Some(5));

    let recorded = stage.nth("session_recorded", 0);
    let sid = field(&recorded, "sid").to_owned();
    assert_eq!((field(&recorded, "service"), field(&recorded, "truncated")), ("ssh", "0"));
    let commands: Vec<_> = stage.of("command").iter().map(|r| field(r, "command").to_owned()).collect();
    let expected = [
        "stty size",
        "echo first; tty",
        "echo first; tty",
        "read -s -p 'Password: ' SECRET",
        "sleep 100",
        "exit 5",
    ];
    assert_eq!(commands, expected);
    let hidden = stage.nth("hidden_input", 0);
    assert_eq!(field(&hidden, "prompt"), "Password:");
    assert_eq!(captured_secret(&hidden).unwrap().b64, "U29tbWVyIDIwMjY=");
    // The host finds out whose process it is.
    let mark: SessionMark = serde_json::from_str(&session).unwrap();
    assert_eq!((mark.sid.as_str(), mark.user.as_str()), (sid.as_str(), LOGIN));
    assert_eq!(mark.conn_id, field(&recorded, "conn_id"));

    let transcript = stage.transcript();
    let lines: Vec<serde_json::Value> =
        transcript.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["sid"] == sid.as_str()));
    assert_eq!((&lines[0]["hdr"]["width"], &lines[0]["hdr"]["height"]), (&91.into(), &33.into()));
    let of = |channel: &str| -> String {
        lines.iter().filter(|line| line["ch"] == channel).filter_map(|line| line["d"].as_str()).collect()
    };
    assert!(of("i").contains("\u{1b}[A") && of("i").contains("Sommer 2026\r"), "{}", of("i"));
    assert!(of("o").contains("33 91\r\n") && !of("o").contains("Sommer"), "{}", of("o"));
    assert!(transcript.lines().all(|line| line.len() < 4096));
}

#[test]
fn a_front_killed_in_mid_session_has_written_what_was_seen() {
    let Some(mut stage) = Stage::set() else { return };
    let mut terminal = stage.terminal("root");
    terminal.wait("# ");
    terminal.send("echo se$((1))n\r");
    terminal.wait("se1n");
    stage.front.kill().unwrap();
    stage.front.wait().unwrap();
    let commands: Vec<_> = stage.of("command").iter().map(|r| field(r, "command").to_owned()).collect();
    assert_eq!(commands, ["echo se$((1))n"]);
    assert!(stage.transcript().contains("se1n"));
    terminal.kill();
    // The shell is hung up with its front.
    let deadline = Instant::now() + PATIENCE;
    while stage.container.processes().contains("@pts/") {
        assert!(Instant::now() < deadline, "the session goes on: {}", stage.container.processes());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn files_come_and_go_by_scp_and_sftp() {
    let Some(stage) = Stage::set() else { return };
    let payload: Vec<u8> = (0..=255u8).cycle().take(700_000).collect();
    let file = stage.folder.path().join("payload");
    fs::write(&file, &payload).unwrap();
    let back = stage.folder.path().join("back");
    let copy = |options: &[&str], from: &str, to: &str| {
        let mut words = stage.client("scp", LOGIN);
        words.extend(options.iter().map(|word| (*word).to_owned()));
        words.extend([from.to_owned(), to.to_owned()]);
        Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null()).output().unwrap()
    };
    let remote = format!("{LOGIN}@127.0.0.1:/tmp/x");
    if stage.container.has_sftp {
        let output = copy(&["-s"], file.to_str().unwrap(), &remote);
        assert!(output.status.success(), "{output:?}");
        let output = copy(&["-s"], &remote, back.to_str().unwrap());
        assert!(output.status.success(), "{output:?}");
        assert_eq!(fs::read(&back).unwrap(), payload);
        let sftp: Vec<_> = stage
            .of("sftp")
            .iter()
            .map(|r| (field(r, "op").to_owned(), field(r, "path").to_owned()))
            .collect();
        let expected = [("open_write", "/tmp/x"), ("open_read", "/tmp/x")]
            .map(|(op, path)| (op.to_owned(), path.to_owned()));
        assert_eq!(sftp, expected);
    } else {
        assert!(sftp_server().is_none());
        eprintln!(
            "skipped: the part with sftp-server, which is not installed (apt-get install openssh-sftp-server)"
        );
    }
    // The container has no `scp`: the request is on record, and fails as a shell fails.
    let output = copy(&["-O"], file.to_str().unwrap(), &remote);
    assert!(!output.status.success());
    let command = stage.of("command").pop().unwrap();
    assert_eq!(field(&command, "command"), "scp -t /tmp/x");
}

#[test]
fn a_container_that_ends_takes_its_sessions_with_it_in_time() {
    let Some(stage) = Stage::set() else { return };
    let mut terminal = stage.terminal("root");
    terminal.wait("# ");
    let began = Instant::now();
    stage.container.stop();
    assert!(began.elapsed() < Duration::from_secs(8), "it waited to be killed");
    assert_eq!(terminal.end(), Some(255));
    stage.nth("session_recorded", 0);
}
