//! What the agent of a host is told and asked: the closed list of verbs of the one privileged process.

use std::{collections::BTreeMap, net::IpAddr};

use chrono::{DateTime, Utc};
use decnet_core::DeckyName;
use serde::{Deserialize, Serialize};

/// Bring the host's deckies to this plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeployCommand {
    /// Id under which progress and result are announced.
    pub operation: String,
    /// Who asked.
    pub requested_by: String,
    /// The plan of `decnet_fleet`, as JSON: this crate does not know its shape.
    pub plan: serde_json::Value,
}

/// Remove deckies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeardownCommand {
    /// Id under which progress and result are announced.
    pub operation: String,
    /// Who asked.
    pub requested_by: String,
    /// Which.
    pub scope: TeardownScope,
}

/// Which deckies to remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TeardownScope {
    /// All of the host.
    All,
    /// This one.
    One(DeckyName),
}

/// Progress or result of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OperationNotice {
    /// The command's id.
    pub operation: String,
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    #[serde(flatten)]
    pub kind: OperationKind,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OperationKind {
    /// A step was made.
    Progress {
        /// Steps made.
        done: u32,
        /// Steps in all.
        total: u32,
        /// The decky at work.
        #[serde(default)]
        decky: Option<DeckyName>,
        /// What is happening.
        text: String,
    },
    /// All is as ordered.
    Done {
        /// One sentence.
        summary: String,
    },
    /// It failed.
    Failed {
        /// One sentence that says what to do.
        reason: String,
    },
}

/// What runs on the host?
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectRequest {}

/// What runs on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectReply {
    /// Its deckies, those that run and are not deployed included.
    pub deckies: Vec<DeckyInspection>,
}

/// What is the host, and what can it run?
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRequest {}

/// The host as its agent sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReply {
    /// What runs deckies here: `docker` or `process`.
    pub runtime: String,
    /// The container engine and its version, where one answers.
    #[serde(default)]
    pub engine: Option<String>,
    /// The LAN of the default route.
    #[serde(default)]
    pub network: Option<HostLan>,
    /// Distributions that there is a shell image for, or that one can be had of.
    #[serde(default)]
    pub shells: Vec<String>,
}

/// A LAN that a host is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLan {
    /// The interface.
    pub interface: String,
    /// Its network, `address/bits`.
    pub subnet: String,
    /// The gateway.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
    /// The host's own address there.
    #[serde(default)]
    pub address: Option<IpAddr>,
}

/// Which of these addresses does somebody else have?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurveyRequest {
    /// The interface that deckies are put on; the default route's if absent.
    #[serde(default)]
    pub interface: Option<String>,
    /// The addresses.
    pub addresses: Vec<IpAddr>,
}

/// Addresses that answered, other than this fleet's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurveyReply {
    /// Them, with the hardware address of whoever answered.
    pub taken: BTreeMap<IpAddr, String>,
}

/// One decky as the runtime sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeckyInspection {
    /// Which.
    pub name: DeckyName,
    /// Its state.
    pub state: String,
    /// State of each service, by slug.
    #[serde(default)]
    pub services: BTreeMap<String, String>,
    /// What went wrong last.
    #[serde(default)]
    pub last_error: Option<String>,
    /// Added to each standard port; not 0 where low ports may not be bound (process runtime without root).
    #[serde(default)]
    pub port_base: u16,
    /// The plan that it runs, if that is known.
    #[serde(default)]
    pub plan_hash: Option<String>,
    /// Outbound connection attempts that its containment has dropped since it was started.
    #[serde(default)]
    pub egress_blocked: u64,
    /// Id of what holds its disk: another one means that the disk is as it was made, without what was put there.
    #[serde(default)]
    pub incarnation: Option<String>,
}

/// Put files into a decky.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutFilesRequest {
    /// Which decky.
    pub decky: DeckyName,
    /// The files.
    pub files: Vec<FileToPut>,
}

/// One file with everything that makes it look grown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileToPut {
    /// Absolute path on the decky.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of change.
    pub mtime: DateTime<Utc>,
    /// Content in base64.
    pub content_b64: String,
    /// What must be there before, else the file is left alone and named in the reply; absent = whatever is there is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
}

/// What must be at a path for it to be touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Nothing.
    Absent,
    /// A file with this SHA-256 (hex).
    Sha256(String),
}

/// A file that was left alone because something else than expected was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diverged {
    /// Its path.
    pub path: String,
    /// SHA-256 (hex) of what is there; `None` if nothing is.
    #[serde(default)]
    pub found: Option<String>,
}

/// The files are there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutFilesReply {
    /// How many were written.
    pub written: u32,
    /// Those that were not, because of what is there.
    #[serde(default)]
    pub diverged: Vec<Diverged>,
}

/// Rename or remove files of a decky.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TidyFilesRequest {
    /// Which decky.
    pub decky: DeckyName,
    /// In this order.
    pub steps: Vec<TidyStep>,
}

/// One file renamed or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TidyStep {
    /// Absolute path.
    pub path: String,
    /// Where it goes, its time kept; an existing file there is replaced. Absent = it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What must be at `path`.
    pub expect: Expect,
}

/// What was done of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TidyFilesReply {
    /// How many steps were made.
    pub done: u32,
    /// The file that was left alone; the steps after it were not made.
    #[serde(default)]
    pub diverged: Option<Diverged>,
}

/// Read one file of a decky.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadFileRequest {
    /// Which decky.
    pub decky: DeckyName,
    /// Absolute path.
    pub path: String,
    /// Most bytes to read.
    pub max: u64,
}

/// The file, or nothing where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadFileReply {
    /// Content in base64.
    pub content_b64: Option<String>,
    /// What the system says of it, where there is one.
    #[serde(default)]
    pub stat: Option<FileStat>,
}

/// A file's entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStat {
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of change.
    pub mtime: DateTime<Utc>,
}

/// Connect from one decky to another, from a keyed source port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeRequest {
    /// The decky that connects.
    pub from: DeckyName,
    /// Destination address.
    pub to_ip: IpAddr,
    /// Destination port.
    pub to_port: u16,
    /// Slug of the service there: what is said to it (`http`, `smtp`, `imap`, `pop3`, `redis`); absent or another = only
    /// its greeting is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
}

/// What the other side said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReply {
    /// First bytes of the service, cleaned.
    pub banner: Option<String>,
    /// The source port that was used.
    pub src_port: u16,
}
