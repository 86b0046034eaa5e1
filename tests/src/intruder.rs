//! Somebody who breaks in, with the tools that such people use: from a loopback address of his own, or from a network
//! namespace on a LAN ([`crate::lan`]).

use std::{net::Ipv4Addr, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    process::Command,
    time::timeout,
};

use crate::stack::Target;

/// How long one client may take.
const CLIENT_BOUND: Duration = Duration::from_secs(40);

/// An intruder at an address of his own.
#[derive(Debug, Clone)]
pub struct Intruder {
    /// Where they come from.
    pub ip: Ipv4Addr,
    /// The network namespace that their programs run in, if it is not this machine's.
    namespace: Option<String>,
}

/// What a client printed.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Intruder {
    /// An intruder who comes from `ip` (within 127.0.0.0/8).
    pub fn at(ip: Ipv4Addr) -> Self {
        Self { ip, namespace: None }
    }

    /// An intruder in a network namespace, at the address that it has there.
    pub fn within(namespace: &str, ip: Ipv4Addr) -> Self {
        Self { ip, namespace: Some(namespace.to_owned()) }
    }

    /// A program where this intruder is.
    fn client(&self, program: &str) -> Command {
        match &self.namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace, program]);
                command
            }
            None => Command::new(program),
        }
    }

    /// OpenSSH's client with one password and one command.
    pub async fn ssh(&self, target: &Target, user: &str, password: &str, command: &str) -> Result<Outcome> {
        let at = target.at(22);
        let ip = self.ip.to_string();
        let port = at.port().to_string();
        let host = format!("{user}@{}", at.ip());
        let mut client = self.client("sshpass");
        client.env("SSHPASS", password).args(["-e", "ssh", "-F", "none", "-b", &ip, "-p", &port]).args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "PubkeyAuthentication=no",
            "-o",
            "NumberOfPasswordPrompts=1",
            "-o",
            "LogLevel=ERROR",
            &host,
            command,
        ]);
        run(client).await
    }

    /// curl with these arguments; the path is appended to the decky's address.
    pub async fn curl(&self, target: &Target, path: &str, args: &[&str]) -> Result<Outcome> {
        let mut client = self.client("curl");
        client
            .args([
                "--silent",
                "--show-error",
                "--noproxy",
                "*",
                "--max-time",
                "20",
                "--interface",
                &self.ip.to_string(),
            ])
            .args(args)
            .arg(format!("http://{}{path}", target.at(80)));
        run(client).await
    }

    /// Follows the links of the front page to a login form and sends it; the path that it was sent to.
    pub async fn log_in(&self, target: &Target, user: &str, password: &str) -> Result<String> {
        let quoted = |text: &str, key: &str| -> Vec<String> {
            text.split(key).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
        };
        let front = self.curl(target, "/", &[]).await?.stdout;
        for link in quoted(&front, "<a href=\"").into_iter().filter(|link| link.starts_with('/')) {
            let page = self.curl(target, &link, &[]).await?.stdout;
            let Some(action) = quoted(&page, "<form method=\"post\" action=\"").into_iter().next() else {
                continue;
            };
            // Only the form's fields: the page's head has names too.
            let fields = quoted(page.split_once("<form").map_or("", |(_, form)| form), " name=\"");
            let (Some(user_field), Some(password_field)) = (fields.first(), fields.get(1)) else {
                bail!("a login form without two fields: {fields:?}")
            };
            let form = [format!("{user_field}={user}"), format!("{password_field}={password}")];
            let form = ["--data-urlencode", &form[0], "--data-urlencode", &form[1]];
            self.curl(target, &action, &form).await?;
            return Ok(action);
        }
        bail!("no login form behind the front page")
    }

    /// Python's imaplib: logs in and, if that works, reads the headers of the newest message.
    pub async fn imap(&self, target: &Target, user: &str, password: &str) -> Result<Outcome> {
        let script = r#"
import imaplib, sys
host, port, source, user, password = sys.argv[1:]
class Client(imaplib.IMAP4):
    def _create_socket(self, timeout):
        import socket
        return socket.create_connection((self.host, self.port), 20, (source, 0))
box = Client(host, int(port))
try:
    box.login(user, password)
except imaplib.IMAP4.error as error:
    print("refused:", error)
    sys.exit(3)
status, (count,) = box.select("INBOX", readonly=True)
print(status, count.decode())
print(box.fetch(count, "(BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)])")[1][0][1].decode())
box.logout()
"#;
        let at = target.at(143);
        let mut client = self.client("python3");
        client.args([
            "-c",
            script,
            &at.ip().to_string(),
            &at.port().to_string(),
            &self.ip.to_string(),
            user,
            password,
        ]);
        run(client).await
    }

    /// A script of Python's that ends well; what it printed. Its first arguments are the decky's address and this intruder's.
    pub async fn python(&self, target: &Target, script: &str, args: &[&str]) -> Result<String> {
        let mut client = self.client("python3");
        client.args(["-c", script, &target.ip.to_string(), &self.ip.to_string()]).args(args);
        let said = run(client).await?;
        ensure!(said.code == Some(0), "python3 ended with {:?}: {}", said.code, said.stderr);
        Ok(said.stdout)
    }

    /// redis-cli. It cannot choose its source address, so it comes from this machine's own.
    pub async fn redis_cli(target: &Target, args: &[&str]) -> Result<Outcome> {
        let at = target.at(6379);
        let mut client = Command::new("redis-cli");
        client.args(["-h", &at.ip().to_string(), "-p", &at.port().to_string()]).args(args);
        run(client).await
    }

    /// redis-cli in this intruder's namespace, with these lines for its standard input.
    pub async fn redis_lines(&self, target: &Target, lines: &[&str]) -> Result<Outcome> {
        let at = target.at(6379);
        let mut client = self.client("redis-cli");
        client.args(["-h", &at.ip().to_string(), "-p", &at.port().to_string()]);
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), lines.join("\n") + "\n")?;
        client.stdin(std::fs::File::open(file.path())?);
        finish(client, CLIENT_BOUND).await
    }

    /// A bare redis conversation from this address: inline commands, each answered before the next.
    pub async fn redis(&self, target: &Target, commands: &[&str]) -> Result<Vec<String>> {
        let mut stream = self.connect(target, 6379).await?;
        let mut answers = Vec::with_capacity(commands.len());
        for command in commands {
            stream.write_all(format!("{command}\r\n").as_bytes()).await?;
            let mut buffer = vec![0; 16 * 1024];
            let read = timeout(CLIENT_BOUND, stream.read(&mut buffer)).await.context("no answer")??;
            if read == 0 {
                bail!("redis closed the connection after {command:?}");
            }
            buffer.truncate(read);
            answers.push(String::from_utf8_lossy(&buffer).into_owned());
        }
        Ok(answers)
    }

    /// A TCP connection from this address.
    pub async fn connect(&self, target: &Target, standard_port: u16) -> Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.ip, 0).into())?;
        let at = target.at(standard_port);
        timeout(CLIENT_BOUND, socket.connect(at))
            .await
            .context("no connection")?
            .with_context(|| format!("{at}"))
    }
}

async fn run(client: Command) -> Result<Outcome> {
    run_within(client, CLIENT_BOUND).await
}

/// Runs a client to its end, at most for `bound`.
pub(crate) async fn run_within(mut client: Command, bound: Duration) -> Result<Outcome> {
    client.stdin(Stdio::null());
    finish(client, bound).await
}

/// The same with the standard input that was chosen before.
async fn finish(mut client: Command, bound: Duration) -> Result<Outcome> {
    let words = std::iter::once(client.as_std().get_program()).chain(client.as_std().get_args());
    let name = words.take(9).map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let child = client
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {name}; `cargo xtask setup` installs it"))?;
    let output =
        timeout(bound, child.wait_with_output()).await.with_context(|| format!("{name} hangs"))??;
    Ok(Outcome {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
