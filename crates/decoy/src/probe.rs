//! `probe-banner`: connects as one decky to another, has the short talk that a colleague's client would have, and says
//! goodbye as it would. This is the fleet's own traffic; the caller chooses the source port so that it is recognised as such.
//! What the other side says is told, and judged by nobody here.
//!
//! Takes addresses only: names are never resolved here.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout_at},
};

use crate::ssh;

/// Longest greeting that is told.
const GREETING_MAX: usize = 1024;
/// Most bytes that are read in all: a page is read to its end, as a browser does.
const TALK_MAX: usize = 256 * 1024;
/// All of it takes at most this long.
const PATIENCE: Duration = Duration::from_secs(8);
/// A service that is not known to greet has this long to do so.
const SHORT_PATIENCE: Duration = Duration::from_secs(1);
/// Services that speak first: ftp, ssh, telnet, smtp (and submission), pop3, imap, mysql, vnc.
const GREETS: [u16; 9] = [21, 22, 23, 25, 110, 143, 587, 3306, 5900];
/// Services where the client speaks first: http and https, ldap, smb, their usual other ports, redis.
const SILENT: [u16; 8] = [80, 389, 443, 445, 6379, 8080, 8443, 9200];
/// What `curl` of a distribution calls itself.
const CURL: [(&str, &str); 9] = [
    ("debian", "curl/7.88.1"),
    ("ubuntu22", "curl/7.81.0"),
    ("ubuntu20", "curl/7.68.0"),
    ("rocky9", "curl/7.76.1"),
    ("centos7", "curl/7.29.0"),
    ("fedora", "curl/8.2.1"),
    ("alpine", "curl/8.5.0"),
    ("kali", "curl/8.5.0"),
    ("arch", "curl/8.9.1"),
];

/// Who connects.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// Own address.
    pub from: Option<IpAddr>,
    /// Own port.
    pub source_port: Option<u16>,
    /// Own host name, for services that ask for it.
    pub name: Option<String>,
    /// Own distribution, whose clients it uses.
    pub distro: Option<String>,
    /// Slug of the service there: what is said to it. `None`, or one without a talk: only its greeting is read.
    pub protocol: Option<String>,
}

/// The first line that the service says, and the port that we came from. Nothing where it was reached and said nothing.
pub async fn probe(to: SocketAddr, caller: &Caller) -> io::Result<(Vec<u8>, u16)> {
    let deadline = Instant::now() + PATIENCE;
    let connecting = connect(to, caller.from, caller.source_port);
    let stream = timeout_at(deadline, connecting).await.map_err(|_| io::ErrorKind::TimedOut)??;
    let port = stream.local_addr()?.port();
    let mut talk = Talk { stream, heard: Vec::new(), first: Vec::new(), read: 0 };
    // One that says nothing, or too little, was reached all the same.
    let outcome = timeout_at(deadline, talk.hold(to, caller, deadline)).await;
    match outcome {
        // Reset before a word: something stands where a service does not.
        Ok(Err(error)) if talk.first.is_empty() => return Err(error),
        _ => {}
    }
    // The other side may already be gone; what it said is what was asked for.
    let _ = timeout_at(deadline, talk.stream.shutdown()).await;
    Ok((talk.first, port))
}

/// A connection, and what was heard on it.
struct Talk {
    stream: TcpStream,
    /// Read and not looked at.
    heard: Vec<u8>,
    /// The first line.
    first: Vec<u8>,
    read: usize,
}

impl Talk {
    async fn hold(&mut self, to: SocketAddr, caller: &Caller, deadline: Instant) -> io::Result<()> {
        let distro = caller.distro.as_deref().unwrap_or("debian");
        let name = caller.name.as_deref().unwrap_or("localhost");
        match caller.protocol.as_deref() {
            Some("http") => self.get(to, distro).await,
            Some("smtp") => {
                self.answer().await?;
                self.say(&format!("EHLO {name}\r\n")).await?;
                self.answer().await?;
                self.say("QUIT\r\n").await?;
                self.answer().await
            }
            Some("imap") => {
                self.line().await?;
                for (tag, command) in [("a001", "CAPABILITY"), ("a002", "LOGOUT")] {
                    self.say(&format!("{tag} {command}\r\n")).await?;
                    while !self.line().await?.starts_with(tag.as_bytes()) {}
                }
                Ok(())
            }
            Some("pop3") => {
                self.line().await?;
                self.say("CAPA\r\n").await?;
                if self.line().await?.starts_with(b"+OK") {
                    while self.line().await? != b"." {}
                }
                self.say("QUIT\r\n").await?;
                self.line().await.map(|_| ())
            }
            Some("redis") => {
                self.say("*1\r\n$4\r\nPING\r\n").await?;
                self.line().await?;
                self.say("*1\r\n$4\r\nQUIT\r\n").await?;
                self.line().await.map(|_| ())
            }
            other => {
                let until = match (other, to.port()) {
                    (Some("ssh" | "ftp" | "telnet" | "mysql"), _) => deadline,
                    (_, port) if GREETS.contains(&port) => deadline,
                    (_, port) if SILENT.contains(&port) => Instant::now(),
                    _ => deadline.min(Instant::now() + SHORT_PATIENCE),
                };
                if let Ok(line) = timeout_at(until, self.line()).await {
                    line?;
                }
                if self.first.starts_with(b"SSH-") {
                    // Else the server notes a client that never said who it is.
                    self.say(&format!("SSH-2.0-{}\r\n", ssh::client_of(distro, name))).await?;
                }
                Ok(())
            }
        }
    }

    /// Asks for the first page and reads it to its end.
    async fn get(&mut self, to: SocketAddr, distro: &str) -> io::Result<()> {
        let agent = CURL.iter().find(|(of, _)| *of == distro).map_or(CURL[0].1, |(_, agent)| *agent);
        let host = if to.port() == 80 { to.ip().to_string() } else { to.to_string() };
        self.say(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n\r\n"))
            .await?;
        let mut length = 0;
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            let text = String::from_utf8_lossy(&line).to_ascii_lowercase();
            if let Some(number) = text.strip_prefix("content-length:") {
                length = number.trim().parse().unwrap_or(0);
            }
        }
        while length > self.heard.len() && self.more().await? {}
        Ok(())
    }

    async fn say(&mut self, words: &str) -> io::Result<()> {
        self.stream.write_all(words.as_bytes()).await
    }

    /// An answer of several lines, each but the last with a hyphen after its number.
    async fn answer(&mut self) -> io::Result<()> {
        while self.line().await?.get(3) == Some(&b'-') {}
        Ok(())
    }

    /// The next line without its end.
    async fn line(&mut self) -> io::Result<Vec<u8>> {
        let end = loop {
            if let Some(at) = self.heard.iter().position(|byte| *byte == b'\n') {
                break at + 1;
            }
            if self.heard.len() > GREETING_MAX {
                break self.heard.len();
            }
            if !self.more().await? {
                break self.heard.len();
            }
        };
        let mut line: Vec<u8> = self.heard.drain(..end).collect();
        while matches!(line.last(), Some(b'\n' | b'\r')) {
            line.pop();
        }
        if end == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.note(&line);
        Ok(line)
    }

    fn note(&mut self, line: &[u8]) {
        if self.first.is_empty() {
            self.first = line.iter().copied().take(GREETING_MAX).collect();
        }
    }

    /// Reads what comes next; false at the end.
    async fn more(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        let count = self.stream.read(&mut buffer).await?;
        self.read += count;
        if self.read > TALK_MAX {
            return Ok(false);
        }
        self.heard.extend_from_slice(buffer.get(..count).unwrap_or_default());
        Ok(count > 0)
    }
}

async fn connect(to: SocketAddr, from: Option<IpAddr>, source_port: Option<u16>) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if from.is_some() || source_port.is_some() {
        let any = if to.is_ipv4() { IpAddr::from([0, 0, 0, 0]) } else { IpAddr::from([0u16; 8]) };
        // A keyed source port may still be in TIME_WAIT from an earlier visit.
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(from.unwrap_or(any), source_port.unwrap_or(0)))?;
    }
    socket.connect(to).await
}
