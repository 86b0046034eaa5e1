//! A connection from one decky to another, made by the decoy of its front: `probe-banner` in the front, so that the packets
//! are the decky's own.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bytes::Bytes;
use decnet_fleet::plan::ContainerRole;
use futures_util::StreamExt;

use super::{decky::Decky, tiny::PROGRAM};
use crate::{PortChooser, Probe, RuntimeError};

/// Longest greeting that is kept: an SSH identification has at most 255 bytes (RFC 4253, 4.2).
const MAX_GREETING: usize = 512;
/// Most bytes that are read of what it complains about.
const MAX_COMPLAINT: usize = 4096;
/// How long one connection may take: the decoy gives up before.
const PATIENCE: Duration = Duration::from_secs(15);

/// What one run brought.
#[derive(Debug, Default)]
struct Ran {
    out: Vec<u8>,
    err: Vec<u8>,
    code: Option<i64>,
}

impl Decky {
    /// Connects to `to` from the first port that can be had.
    pub(super) async fn probe(&self, to: SocketAddr, ports: PortChooser<'_>) -> Result<Probe, RuntimeError> {
        let unknown = || RuntimeError::UnknownDecky(self.name.clone());
        let own = self.deployment().ok_or_else(unknown)?.plan.ip();
        let front = self.container(ContainerRole::Decky).ok_or_else(unknown)?;
        let failed = |reason: String| RuntimeError::Probe { from: self.name.clone(), to, reason };
        let mut last = "no source port was given".to_owned();
        for port in ports(own, to) {
            let run = tokio::time::timeout(PATIENCE, self.run_probe(&front, own, to, port)).await;
            let ran = run.map_err(|_| failed("no answer in time".to_owned()))??;
            let complaint = decnet_logline::clean_bytes(&ran.err);
            if ran.code == Some(0) {
                return Ok(Probe {
                    to,
                    src_port: source_port(&ran.err).unwrap_or(port),
                    banner: greeting(ran.out),
                });
            }
            complaint.trim().clone_into(&mut last);
            // Somebody has this very port: the next one will do. Anything else would meet it as well.
            if !is_taken(&last) {
                break;
            }
        }
        Err(failed(last))
    }

    async fn run_probe(
        &self,
        front: &str,
        own: IpAddr,
        to: SocketAddr,
        port: u16,
    ) -> Result<Ran, RuntimeError> {
        let command = [
            PROGRAM.to_owned(),
            "probe-banner".to_owned(),
            to.ip().to_string(),
            to.port().to_string(),
            "--from".to_owned(),
            own.to_string(),
            "--source-port".to_owned(),
            port.to_string(),
        ];
        let engine = &self.host.engine;
        let docker = engine.docker().await?;
        let fail = |error: &bollard::errors::Error| {
            engine.failure(format!("run a command in the container {front}"), error).of(&self.name)
        };
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.to_vec()),
            ..CreateExecOptions::default()
        };
        let exec = docker.create_exec(front, options).await.map_err(|error| fail(&error))?;
        let started = docker.start_exec(&exec.id, None::<StartExecOptions>).await;
        let mut ran = Ran::default();
        if let StartExecResults::Attached { mut output, .. } = started.map_err(|error| fail(&error))? {
            while let Some(chunk) = output.next().await {
                let (bytes, into, max) = match chunk.map_err(|error| fail(&error))? {
                    bollard::container::LogOutput::StdErr { message } => {
                        (message, &mut ran.err, MAX_COMPLAINT)
                    }
                    other => (other.into_bytes(), &mut ran.out, MAX_GREETING),
                };
                let room = max.saturating_sub(into.len());
                into.extend(bytes.iter().take(room));
            }
        }
        ran.code = docker.inspect_exec(&exec.id).await.map_err(|error| fail(&error))?.exit_code;
        Ok(ran)
    }
}

fn is_taken(complaint: &str) -> bool {
    let complaint = complaint.to_lowercase();
    complaint.contains("address already in use")
        || complaint.contains("address in use")
        || complaint.contains("cannot assign requested address")
}

/// The port that it says it came from.
fn source_port(complaint: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(complaint);
    let at = text.find("source port ")?;
    let digits: String =
        text.get(at + "source port ".len()..)?.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The first line.
fn greeting(mut out: Vec<u8>) -> Bytes {
    let end = out.iter().position(|byte| *byte == b'\n').unwrap_or(out.len());
    out.truncate(end);
    while out.last() == Some(&b'\r') {
        out.pop();
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_among_other_words() {
        assert_eq!(source_port(b"decoy: source port 40123\nmore"), Some(40123));
        assert_eq!(source_port(b"source port many"), None);
        assert_eq!(source_port(b"source port 99999"), None);
        assert_eq!(&greeting(b"SSH-2.0-OpenSSH_9.2p1\r\nrest".to_vec())[..], b"SSH-2.0-OpenSSH_9.2p1");
    }
}
