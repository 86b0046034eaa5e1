//! The agent's verbs as this worker uses them: each bounded in time, with paths and bytes rather than JSON.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use decnet_bus::{
    Bus, RequestError, Topic,
    payload::{
        Diverged, Expect, FileStat, FileToPut, InspectReply, InspectRequest, ProbeReply, ProbeRequest,
        PutFilesReply, PutFilesRequest, ReadFileReply, ReadFileRequest, TidyFilesReply, TidyFilesRequest,
        TidyStep,
    },
};
use decnet_core::HostId;
use decnet_realism::plan::shelf::sha256;

use crate::world::Site;

/// How long the agent may take for one verb (it bounds itself to 8 s).
const BOUND: Duration = Duration::from_secs(10);
/// Most bytes that are read: what the agent gives.
pub(crate) const MAX_READ: u64 = 700 * 1024;
/// Bytes of one request with many files, and how many files: base64 of it must pass the broker's limit of 1 MiB.
pub(crate) const BATCH_BYTES: usize = 400 * 1024;
pub(crate) const BATCH_FILES: usize = 64;

/// A file as it is to be put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Put {
    pub(crate) path: String,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: DateTime<Utc>,
    pub(crate) body: Vec<u8>,
    pub(crate) expect: Expect,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) sha256: String,
    pub(crate) body: Vec<u8>,
    pub(crate) stat: Option<FileStat>,
}

/// Speaks to agents.
#[derive(Clone)]
pub(crate) struct Agent(Bus);

impl Agent {
    pub(crate) fn new(bus: &Bus) -> Self {
        Self(bus.clone())
    }

    /// What runs on a host.
    pub(crate) async fn inspect(&self, host: &HostId) -> Result<InspectReply, RequestError> {
        self.0.request(&Topic::AskInspect { host: host.clone() }, &InspectRequest {}, BOUND).await
    }

    /// What is at a path; `None` if nothing is.
    pub(crate) async fn read(&self, site: &Site, path: &str) -> Result<Option<Seen>, RequestError> {
        let request = ReadFileRequest { decky: site.name.clone(), path: path.to_owned(), max: MAX_READ };
        let topic = Topic::AskReadFile { host: site.host.clone() };
        let reply: ReadFileReply = self.0.request(&topic, &request, BOUND).await?;
        let Some(text) = reply.content_b64 else { return Ok(None) };
        let body = STANDARD.decode(text).map_err(|error| RequestError::BadMessage {
            topic: topic.subject(),
            reason: format!("the content is no base64: {error}"),
        })?;
        Ok(Some(Seen { sha256: sha256(&body), body, stat: reply.stat }))
    }

    /// Puts files where what is there is as expected; what was left alone comes back.
    pub(crate) async fn put(&self, site: &Site, files: &[Put]) -> Result<Vec<Diverged>, RequestError> {
        let files = files
            .iter()
            .map(|file| FileToPut {
                path: file.path.clone(),
                mode: file.mode,
                uid: file.uid,
                gid: file.gid,
                mtime: file.mtime,
                content_b64: STANDARD.encode(&file.body),
                expect: Some(file.expect.clone()),
            })
            .collect();
        let request = PutFilesRequest { decky: site.name.clone(), files };
        let topic = Topic::AskPutFiles { host: site.host.clone() };
        let reply: PutFilesReply = self.0.request(&topic, &request, BOUND).await?;
        Ok(reply.diverged)
    }

    /// Renames or removes a file that is as expected; else what is there comes back.
    pub(crate) async fn tidy(
        &self,
        site: &Site,
        path: &str,
        to: Option<&str>,
        expect: &str,
    ) -> Result<Option<Diverged>, RequestError> {
        let step = TidyStep {
            path: path.to_owned(),
            to: to.map(str::to_owned),
            expect: Expect::Sha256(expect.to_owned()),
        };
        let request = TidyFilesRequest { decky: site.name.clone(), steps: vec![step] };
        let topic = Topic::AskTidyFiles { host: site.host.clone() };
        let reply: TidyFilesReply = self.0.request(&topic, &request, BOUND).await?;
        Ok(reply.diverged)
    }

    /// Connects from one decky to another.
    pub(crate) async fn probe(
        &self,
        from: &Site,
        to: std::net::IpAddr,
        port: u16,
        protocol: &str,
    ) -> Result<ProbeReply, RequestError> {
        let request = ProbeRequest {
            from: from.name.clone(),
            to_ip: to,
            to_port: port,
            protocol: Some(protocol.to_owned()),
        };
        self.0.request(&Topic::AskProbe { host: from.host.clone() }, &request, BOUND).await
    }
}
