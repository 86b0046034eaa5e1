//! The container that an intruder's shell is in: made into one machine, given its program before each start, and undressed
//! after it.
//!
//! The program deletes itself and its document at once, so the disk holds nothing of ours but what a machine has.

use std::{net::IpAddr, sync::Arc};

use bollard::{
    BollardRequest, body_full, body_try_stream,
    models::ContainerInspectResponse,
    query_parameters::{
        ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptionsBuilder,
        UploadToContainerOptionsBuilder,
    },
};
use bytes::Bytes;
use decnet_core::{
    Clock, ShellConfig, ShellLink,
    shell::{SHELL_DOCUMENT, SHELL_PROGRAM},
};
use futures_util::{StreamExt, stream};
use tokio::io::AsyncReadExt;

use super::{
    archive::{self, Content, Entry},
    decky::{Decky, Deployment, Host},
    engine::{pid, status},
    identity::{self, FOLDERS, Facts, LINKS, Machine},
    undress::undress,
};
use crate::{
    RuntimeError,
    capture::Before,
    error::{blocking, io_error},
    process::installed,
};

/// Most bytes of `/etc` that are read of an image.
const MAX_ETC: usize = 64 << 20;
/// Most bytes of one file in it.
const MAX_FILE: u64 = 1 << 20;
/// Bytes of the program sent at once.
const CHUNK: usize = 256 * 1024;
/// Bits of a Go file mode.
const GO_FOLDER: u32 = 1 << 31;
const GO_LINK: u32 = 1 << 27;

impl Host {
    /// Puts entries into a container, running or not, beneath its root.
    pub(super) async fn put(&self, container: &str, entries: &[Entry]) -> Result<(), RuntimeError> {
        let packed = archive::pack(entries).map_err(io_error("pack files for", container))?;
        self.upload(container, BollardRequest::new(body_full(packed.into()))).await
    }

    async fn upload(&self, container: &str, request: BollardRequest) -> Result<(), RuntimeError> {
        let options =
            UploadToContainerOptionsBuilder::new().path("/").no_overwrite_dir_non_dir("true").build();
        let docker = self.engine.docker().await?;
        let sent = docker.upload_to_container(container, Some(options), request.into_body()).await;
        sent.map_err(|error| self.engine.failure(format!("put files into the container {container}"), &error))
    }

    /// The archive of a path of a container; `None` if there is none, or if it is longer than `max` bytes.
    pub(super) async fn download(
        &self,
        container: &str,
        path: &str,
        max: usize,
    ) -> Result<Option<Vec<u8>>, RuntimeError> {
        let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
        let docker = self.engine.docker().await?;
        let mut chunks = docker.download_from_container(container, Some(options));
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.next().await {
            match chunk {
                Ok(chunk) => bytes.extend_from_slice(&chunk),
                Err(error) if status(&error) == Some(404) => return Ok(None),
                Err(error) => {
                    return Err(self
                        .engine
                        .failure(format!("read files of the container {container}"), &error));
                }
            }
            if bytes.len() >= max {
                break;
            }
        }
        Ok(Some(bytes))
    }

    /// The mode of a path of a container in Go's bits, and what a link points at; `None` if there is none.
    pub(super) async fn stat(
        &self,
        container: &str,
        path: &str,
    ) -> Result<Option<(u32, String)>, RuntimeError> {
        let options = ContainerArchiveInfoOptionsBuilder::new().path(path).build();
        let docker = self.engine.docker().await?;
        match docker.get_container_archive_info(container, Some(options)).await {
            Ok(found) => Ok(Some((found.file_mode, found.link_target))),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => {
                Err(self.engine.failure(format!("look at files of the container {container}"), &error))
            }
        }
    }

    /// What `image` knows of itself, read from a fresh container of it.
    async fn facts(&self, image: &str, container: &str) -> Result<Arc<Facts>, RuntimeError> {
        let mut known = self.facts.lock().await;
        if let Some(facts) = known.get(image) {
            return Ok(Arc::clone(facts));
        }
        let etc = self.download(container, "/etc", MAX_ETC).await?.unwrap_or_default();
        let is_needed = |path: &str| {
            let name = path.trim_end_matches('/');
            path.starts_with("etc/skel/")
                || [
                    "passwd",
                    "shadow",
                    "group",
                    "gshadow",
                    "os-release",
                    "debian_version",
                    "fstab",
                    "network/interfaces",
                ]
                .iter()
                .any(|file| name.strip_prefix("etc/") == Some(file))
        };
        let entries = archive::unpack(&etc[..], MAX_FILE, is_needed);
        let mut facts = Facts::of(&entries.map_err(io_error("read /etc of", image))?);
        if facts.os_release.is_none()
            && let Some(packed) = self.download(container, "/usr/lib/os-release", CHUNK).await?
        {
            let entries = archive::unpack(&packed[..], MAX_FILE, |_| true);
            let file = entries.map_err(io_error("read os-release of", image))?.into_iter().next();
            if let Some(Entry { content: Content::File(text), .. }) = file {
                let text = String::from_utf8_lossy(&text).into_owned();
                facts.os_release = Some(("usr/lib/os-release".to_owned(), text));
            }
        }
        if self.stat(container, "/bin/bash").await?.is_none() {
            "/bin/sh".clone_into(&mut facts.shell);
        }
        for link in LINKS {
            if let Some((mode, target)) = self.stat(container, &format!("/{link}")).await?
                && mode & GO_LINK != 0
                && target.starts_with("/usr/")
            {
                facts.links.push((link.to_owned(), target.trim_start_matches('/').to_owned()));
            }
        }
        for folder in FOLDERS {
            if let Some((mode, _)) = self.stat(container, &format!("/{folder}")).await?
                && mode & GO_FOLDER != 0
            {
                facts.folders.push((folder.to_owned(), mode & 0o777));
            }
        }
        let facts = Arc::new(facts);
        known.insert(image.to_owned(), Arc::clone(&facts));
        Ok(facts)
    }
}

impl Decky {
    /// Makes a fresh shell container this machine's.
    pub(super) async fn dress(
        &self,
        container: &str,
        image: &str,
        deployment: &Deployment,
        gateway: Option<IpAddr>,
        prefix: Option<u8>,
    ) -> Result<(), RuntimeError> {
        let facts = self.host.facts(image, container).await?;
        let zone = format!("/usr/share/zoneinfo/{}", deployment.plan.persona.timezone);
        let has_zone = self.host.stat(container, &zone).await?.is_some();
        let (plan, placed_at) = (deployment.plan.clone(), deployment.placed_at);
        // Hashing passwords takes its time.
        let entries = blocking(move || {
            let installed = installed(&plan, placed_at);
            let machine = Machine { plan: &plan, installed, gateway, prefix, has_zone };
            Ok(identity::entries(&facts, &machine))
        })
        .await?;
        self.host.put(container, &entries).await
    }

    /// Gives the shell container its program, starts it, captures what is left in it from then on, and takes the engine's
    /// marks off.
    pub(super) async fn start_shell(
        self: &Arc<Self>,
        container: &str,
        deployment: &Deployment,
        is_fresh: bool,
    ) -> Result<(), RuntimeError> {
        self.put_program(container, deployment).await?;
        self.host.engine.start(container).await?;
        let started = self.host.engine.inspect(container).await?;
        let Some(pid) = started.as_ref().and_then(pid) else {
            return Err(self.ended_at_once(container, started.as_ref()).await);
        };
        // Logins work already.
        self.capture(pid, Before::Nothing).await?;
        let plan = &deployment.plan;
        let aged = installed(plan, deployment.placed_at) + chrono::TimeDelta::minutes(17);
        let aged = is_fresh.then_some(aged);
        blocking(move || undress(pid, aged)).await
    }

    async fn put_program(&self, container: &str, deployment: &Deployment) -> Result<(), RuntimeError> {
        let plan = &deployment.plan;
        let document = ShellConfig { link: ShellLink::of(&plan.seed), persona: plan.persona.clone() };
        let document =
            serde_json::to_vec(&document).map_err(|error| RuntimeError::Internal(error.to_string()))?;
        let path = self.host.images.decoy().to_owned();
        let no_decoy =
            |error: std::io::Error| RuntimeError::NoDecoy { path: path.clone(), reason: error.to_string() };
        let file = tokio::fs::File::open(&path).await.map_err(no_decoy)?;
        let size = file.metadata().await.map_err(no_decoy)?.len();
        let at = self.host.clock.now();
        let document = Entry::file(SHELL_DOCUMENT, 0o600, at, document);
        let program = Entry::file(SHELL_PROGRAM, 0o755, at, Bytes::new());
        let head = archive::pack_until(&[document], &program, size).map_err(no_decoy)?;
        let tail = vec![0; usize::try_from(archive::padding(size)).unwrap_or(0) + archive::TRAILER];
        // Streamed: several shells may be made at once, and the program is large.
        let content = stream::unfold(file.take(size), |mut file| async move {
            let mut chunk = vec![0; CHUNK];
            match file.read(&mut chunk).await {
                Ok(0) => None,
                Ok(count) => {
                    chunk.truncate(count);
                    Some((Ok(Bytes::from(chunk)), file))
                }
                Err(error) => Some((Err(error), file)),
            }
        });
        let whole =
            stream::iter([Ok(Bytes::from(head))]).chain(content).chain(stream::iter([Ok(tail.into())]));
        self.host.upload(container, BollardRequest::new(body_try_stream(whole))).await
    }

    /// Why a container that was started does not run.
    pub(super) async fn ended_at_once(
        &self,
        container: &str,
        found: Option<&ContainerInspectResponse>,
    ) -> RuntimeError {
        let state = found.and_then(|found| found.state.as_ref());
        let code =
            state.and_then(|state| state.exit_code).map_or_else(String::new, |c| format!(" with code {c}"));
        let mut reason = state.and_then(|state| state.error.clone()).unwrap_or_default();
        if reason.is_empty() {
            reason = self.host.last_words(container).await.unwrap_or_default();
        }
        let reason = decnet_logline::clean(&reason).into_owned();
        let why =
            format!("its container {container} ended at once{code} ({reason}): `docker logs {container}`");
        RuntimeError::Engine { decky: Some(self.name.clone()), what: "be started".to_owned(), reason: why }
    }
}
