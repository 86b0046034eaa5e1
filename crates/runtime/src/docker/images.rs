//! Images without a registry: the front's is made here, a distribution's is imported from a root file system that lies in the
//! folder of images. Only where the operator allows it is one pulled.
//!
//! An image is named after its content, so it is made once and a new decoy makes a new one. Making root file systems is
//! `decnet images`' affair.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use bollard::{
    BollardRequest as Request, body_full, body_try_stream,
    query_parameters::{
        CreateImageOptions, CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions,
    },
};
use bytes::Bytes;
use decnet_core::{Clock, DeckyName};
use decnet_fleet::{catalogue, plan::Image};
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::{io::AsyncReadExt, sync::Mutex};

use super::{
    DockerOptions,
    engine::{Engine, status},
    release, tiny,
};
use crate::{
    RuntimeError,
    error::{blocking, io_error},
    process::{read_record, write_record},
};

/// Repository of the front's images.
const TINY: &str = "decnet/decoy";
/// Repositories of distributions begin so.
const SHELL: &str = "decnet/shell-";
/// Longest wait for an import or a pull to begin answering.
const LONG: Duration = Duration::from_mins(15);
/// An image younger than this may be about to be used by another fleet of this host.
const FRESH_S: i64 = 3600;
/// Bytes read at once.
const CHUNK: usize = 256 * 1024;

/// A file as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Age {
    size: u64,
    /// Nanoseconds since 1970.
    changed: u128,
}

impl Age {
    fn of(path: &Path) -> Option<Self> {
        let meta = std::fs::metadata(path).ok()?;
        let changed = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        Some(Self { size: meta.len(), changed })
    }
}

/// The digests of root file systems, so that each is read once.
type Digests = BTreeMap<String, (Age, String)>;

/// What SSH servers of root file systems say, by the digests of these.
type Releases = BTreeMap<String, Option<String>>;

/// The images of this host.
pub(super) struct Images {
    engine: Arc<Engine>,
    decoy: PathBuf,
    folder: PathBuf,
    pull: bool,
    clock: Arc<dyn Clock>,
    /// Where digests are remembered.
    record: PathBuf,
    /// Where [`Releases`] are remembered.
    releases: PathBuf,
    /// Tag of the image of the decoy as it is, once made.
    tiny: Mutex<Option<(Age, String)>>,
    /// One import at a time.
    shells: Mutex<()>,
}

impl Images {
    pub(super) fn new(engine: Arc<Engine>, options: &DockerOptions, base: &Path) -> Self {
        let (record, releases) = (base.join("images.json"), base.join("releases.json"));
        let decoy = std::path::absolute(&options.decoy).unwrap_or_else(|_| options.decoy.clone());
        let (folder, pull, clock) = (options.images.clone(), options.pull, Arc::clone(&options.clock));
        let (tiny, shells) = (Mutex::default(), Mutex::default());
        Self { engine, decoy, folder, pull, clock, record, releases, tiny, shells }
    }

    pub(super) fn decoy(&self) -> &Path {
        &self.decoy
    }

    /// The root file system of a distribution.
    fn root_of(&self, distro: &str) -> PathBuf {
        self.folder.join(format!("{distro}.tar"))
    }

    /// Distributions that there is an image of, or that one may be pulled of.
    pub(super) fn distros(&self) -> Vec<String> {
        let slugs = catalogue::distros().iter().map(|distro| distro.slug);
        slugs.filter(|slug| self.pull || self.root_of(slug).is_file()).map(str::to_owned).collect()
    }

    /// Whether the image of a container can be had, without making it. Blocks.
    pub(super) fn check(&self, image: &Image) -> Result<(), RuntimeError> {
        match image {
            Image::Full { distro } if !self.pull && !self.root_of(distro).is_file() => Err(no_shell(distro)),
            Image::Tiny => {
                tiny::check_decoy(&self.decoy)?;
                tiny::busybox().map(drop)
            }
            _ => Ok(()),
        }
    }

    /// The reference of an image, made or fetched if need be.
    pub(super) async fn get(&self, image: &Image, decky: &DeckyName) -> Result<String, RuntimeError> {
        let found = match image {
            Image::Tiny => self.tiny().await,
            Image::Full { distro } => self.shell(distro).await,
            Image::Custom { reference } => self.pulled(reference, self.pull).await,
            Image::HostProcess => {
                let why =
                    "its plan is for the process runtime: make a new one with --runtime docker".to_owned();
                Err(RuntimeError::Unfit { decky: None, why })
            }
        };
        found.map_err(|error| error.of(decky))
    }

    async fn tiny(&self) -> Result<String, RuntimeError> {
        let mut made = self.tiny.lock().await;
        let age = Age::of(&self.decoy);
        if let Some((of, tag)) = &*made
            && age.as_ref() == Some(of)
            && self.is_there(tag).await?
        {
            return Ok(tag.clone());
        }
        let decoy = self.decoy.clone();
        let tiny = blocking(move || tiny::build(&decoy)).await?;
        let tag = format!("{TINY}:{}", tiny.digest);
        if !self.is_there(&tag).await? {
            self.import(TINY, &tiny.digest, Request::new(body_full(tiny.archive.into()))).await?;
            tracing::info!(image = tag, "made the image of the decoys");
        }
        if let Some(age) = age {
            *made = Some((age, tag.clone()));
        }
        Ok(tag)
    }

    async fn shell(&self, distro: &str) -> Result<String, RuntimeError> {
        let _one = self.shells.lock().await;
        let path = self.root_of(distro);
        let Some(age) = Age::of(&path) else {
            let known = catalogue::distro(distro).filter(|_| self.pull).ok_or_else(|| no_shell(distro))?;
            return self.pulled(known.base_image, true).await;
        };
        let digest = self.digest(distro, path.clone(), age).await?;
        let repository = format!("{SHELL}{distro}");
        let tag = format!("{repository}:{digest}");
        if !self.is_there(&tag).await? {
            tracing::info!(image = tag, "importing the root file system {}", path.display());
            let file = tokio::fs::File::open(&path).await.map_err(io_error("open", &path))?;
            self.import(&repository, &digest, Request::new(body_try_stream(chunks(file)))).await?;
        }
        Ok(tag)
    }

    /// What the SSH server of a distribution's root file system says; `None` where that is not known.
    pub(super) async fn release(&self, distro: &str) -> Result<Option<String>, RuntimeError> {
        let _one = self.shells.lock().await;
        let path = self.root_of(distro);
        let Some(age) = Age::of(&path) else { return Ok(None) };
        let digest = self.digest(distro, path.clone(), age).await?;
        let record = self.releases.clone();
        blocking(move || {
            let mut known: Releases = read_record(&record)?.unwrap_or_default();
            if let Some(release) = known.get(&digest) {
                return Ok(release.clone());
            }
            let release = release::of(&path).map_err(io_error("read", &path))?;
            known.insert(digest, release.clone());
            write_record(&record, &known)?;
            Ok(release)
        })
        .await
    }

    async fn digest(&self, distro: &str, path: PathBuf, age: Age) -> Result<String, RuntimeError> {
        let (record, distro) = (self.record.clone(), distro.to_owned());
        blocking(move || {
            let mut known: Digests = read_record(&record)?.unwrap_or_default();
            if let Some((_, digest)) = known.get(&distro).filter(|(of, _)| *of == age) {
                return Ok(digest.clone());
            }
            let digest = digest_of(&path)?;
            known.insert(distro, (age, digest.clone()));
            write_record(&record, &known)?;
            Ok(digest)
        })
        .await
    }

    async fn is_there(&self, reference: &str) -> Result<bool, RuntimeError> {
        match self.engine.docker().await?.inspect_image(reference).await {
            Ok(_) => Ok(true),
            Err(error) if status(&error) == Some(404) => Ok(false),
            Err(error) => Err(self.engine.failure(format!("look for the image {reference}"), &error)),
        }
    }

    async fn import(&self, repository: &str, tag: &str, request: Request) -> Result<(), RuntimeError> {
        let options = CreateImageOptionsBuilder::new().from_src("-").repo(repository).tag(tag).build();
        self.create(options, Some(request), &format!("import the image {repository}:{tag}")).await
    }

    /// A registry's image: there already, or pulled where that is allowed.
    async fn pulled(&self, reference: &str, pull: bool) -> Result<String, RuntimeError> {
        if self.is_there(reference).await? {
            return Ok(reference.to_owned());
        }
        if !pull {
            let why = format!(
                "there is no image {reference} on this host: `docker pull` or `docker load` it, or allow pulling with DECNET_IMAGES_PULL=true"
            );
            return Err(RuntimeError::Unfit { decky: None, why });
        }
        let options = CreateImageOptionsBuilder::new().from_image(reference).build();
        self.create(options, None, &format!("pull the image {reference}")).await?;
        Ok(reference.to_owned())
    }

    async fn create(
        &self,
        options: CreateImageOptions,
        body: Option<Request>,
        what: &str,
    ) -> Result<(), RuntimeError> {
        let docker = self.engine.docker().await?.with_timeout(LONG);
        let mut steps = docker.create_image(Some(options), body.map(Request::into_body), None);
        while let Some(step) = steps.next().await {
            step.map_err(|error| self.engine.failure(what, &error))?;
        }
        Ok(())
    }

    /// Removes images of ours that an older decoy or root file system left and no container uses. Best effort.
    pub(super) async fn tidy(&self) -> Result<(), RuntimeError> {
        let docker = self.engine.docker().await?;
        let mut current: Vec<String> = self.tiny.lock().await.iter().map(|(_, tag)| tag.clone()).collect();
        if current.is_empty() {
            return Ok(());
        }
        let known: Digests = read_record(&self.record)?.unwrap_or_default();
        current.extend(known.iter().map(|(distro, (_, digest))| format!("{SHELL}{distro}:{digest}")));
        let filters = HashMap::from([("reference", vec!["decnet/*"])]);
        let listed =
            docker.list_images(Some(ListImagesOptionsBuilder::new().filters(&filters).build())).await;
        let listed = listed.map_err(|error| self.engine.failure("list the images", &error))?;
        let ours = |tag: &&String| tag.starts_with(TINY) || tag.starts_with(SHELL);
        let settled = self.clock.now().timestamp() - FRESH_S;
        let old = listed.iter().filter(|image| image.created < settled);
        for tag in old.flat_map(|image| &image.repo_tags).filter(ours) {
            if !current.contains(tag) {
                // Refused while a container uses it, such as one of another fleet on this host.
                let outcome = docker.remove_image(tag, None::<RemoveImageOptions>, None).await;
                tracing::debug!(image = tag, removed = outcome.is_ok(), "an old image");
            }
        }
        Ok(())
    }
}

fn no_shell(distro: &str) -> RuntimeError {
    let why = format!("no shell image for {distro}: `decnet images build {distro}` makes one");
    RuntimeError::Unfit { decky: None, why }
}

fn digest_of(path: &Path) -> Result<String, RuntimeError> {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let (mut hash, mut buffer) = (Sha256::new(), vec![0; CHUNK]);
        loop {
            let count = file.read(&mut buffer)?;
            match buffer.get(..count) {
                Some(part) if !part.is_empty() => hash.update(part),
                _ => return Ok(hex::encode(hash.finalize()).chars().take(12).collect()),
            }
        }
    };
    read().map_err(io_error("read", path))
}

fn chunks(file: tokio::fs::File) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    futures_util::stream::unfold(file, |mut file| async move {
        let mut chunk = vec![0; CHUNK];
        match file.read(&mut chunk).await {
            Ok(0) => None,
            Ok(count) => {
                chunk.truncate(count);
                Some((Ok(chunk.into()), file))
            }
            Err(error) => Some((Err(error), file)),
        }
    })
}
