//! A connection from one decky to another, made by the decoy of its front: `probe-banner` in the front, so that the packets
//! are the decky's own.

use std::{net::SocketAddr, time::Duration};

use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use decnet_fleet::plan::ContainerRole;
use futures_util::StreamExt;

use super::{decky::Decky, tiny::PROGRAM};
use crate::{
    PortChooser, Probe, RuntimeError,
    talk::{MAX_COMPLAINT, MAX_GREETING, Ran, Talk},
};

/// How long one connection may take: the decoy gives up before.
const PATIENCE: Duration = Duration::from_secs(15);

impl Decky {
    /// Connects to `to` from the first port that can be had.
    pub(super) async fn probe(
        &self,
        to: SocketAddr,
        protocol: Option<&str>,
        ports: PortChooser<'_>,
    ) -> Result<Probe, RuntimeError> {
        let unknown = || RuntimeError::UnknownDecky(self.name.clone());
        let deployment = self.deployment().ok_or_else(unknown)?;
        let front = self.container(ContainerRole::Decky).ok_or_else(unknown)?;
        let talk = Talk { plan: &deployment.plan, to, protocol };
        talk.hold(ports, |words| Box::pin(self.run_in_time(&front, to, words))).await
    }

    async fn run_in_time(
        &self,
        front: &str,
        to: SocketAddr,
        words: Vec<String>,
    ) -> Result<Ran, RuntimeError> {
        let late = |_| {
            let reason = "no answer in time".to_owned();
            RuntimeError::Probe { from: self.name.clone(), to, reason }
        };
        tokio::time::timeout(PATIENCE, self.run_probe(front, words)).await.map_err(late)?
    }

    async fn run_probe(&self, front: &str, words: Vec<String>) -> Result<Ran, RuntimeError> {
        let command = std::iter::once(PROGRAM.to_owned()).chain(words).collect();
        let engine = &self.host.engine;
        let docker = engine.docker().await?;
        let fail = |error: &bollard::errors::Error| {
            engine.failure(format!("run a command in the container {front}"), error).of(&self.name)
        };
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command),
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
