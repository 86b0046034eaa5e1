//! The closed list of what can be done with the deckies of a host, whatever runs them.
//!
//! Outputs are things of their own: a decky that is deployed again under the same name has another one, and the
//! output of a removed decky stays until its lines are safe elsewhere ([`HostRuntime::discard`]).

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use decnet_core::DeckyName;
use decnet_fleet::{DeckyPlan, DeckyState, HostNetwork, Plan, RuntimeKind, ServiceState};
use futures_util::Stream;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::RuntimeError;

/// Longest line of an output. A longer one is cut here and the rest of it is skipped: a decoy keeps far below, so
/// whoever writes more has taken it over, and the rest of his line must not pass for a line of its own.
pub const MAX_OUTPUT_LINE: usize = 64 * 1024;

/// A file to put into a decky, with everything that makes it look grown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSpec {
    /// Absolute path in the decky.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of change, exact to the nanosecond.
    pub mtime: DateTime<Utc>,
    /// Content.
    pub content: Bytes,
    /// What must be there before, else the file is left alone; `None` = whatever is there is replaced.
    pub expect: Option<Expect>,
}

/// What must be at a path for it to be touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Absent,
    /// A regular file with this SHA-256 (hex).
    Sha256(String),
}

/// A file that was left alone because something else than expected was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diverged {
    /// Its path.
    pub path: String,
    /// SHA-256 (hex) of what is there, or what it is in words where it is no regular file of a reasonable size; `None` if
    /// nothing is.
    pub found: Option<String>,
}

/// What putting files did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placed {
    /// How many were written.
    pub written: u32,
    /// Those that were left alone.
    pub diverged: Vec<Diverged>,
}

/// One file to rename or remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tidy {
    /// Absolute path.
    pub path: String,
    /// Where it goes, its time kept; an existing file there is replaced. `None` = it is removed.
    pub to: Option<String>,
    /// What must be at `path`.
    pub expect: Expect,
}

/// What tidying did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TidyOutcome {
    /// How many steps were made.
    pub done: u32,
    /// The file that was left alone; the steps after it were not made.
    pub diverged: Option<Diverged>,
}

/// What the system says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStat {
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of change, exact to the nanosecond.
    pub mtime: DateTime<Utc>,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRead {
    /// Its first bytes.
    pub content: Bytes,
    /// What the system says of it.
    pub stat: FileStat,
}

/// What a deploy did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// False if the decky ran this very plan already and was left alone.
    pub started: bool,
    /// What was added to each standard port; 0 where those could be had.
    pub port_base: u16,
}

/// What runs of one decky.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeckyStatus {
    /// Which.
    pub name: DeckyName,
    /// The plan that it runs, if that is known.
    pub plan_hash: Option<String>,
    /// Its state.
    pub state: DeckyState,
    /// State of each of its services.
    pub services: BTreeMap<String, ServiceState>,
    /// Where each of its services can be reached.
    pub addresses: BTreeMap<String, Vec<SocketAddr>>,
    /// What was added to each standard port.
    pub port_base: u16,
    /// What went wrong last; `None` once it runs well.
    pub last_error: Option<String>,
    /// True if it will not come up by itself, so that nobody need wait for it.
    pub hopeless: bool,
    /// Outbound connection attempts that its containment has dropped since it was started.
    pub egress_blocked: u64,
    /// Id of what holds its disk: another one means that the disk is as it was made, without what was put there.
    pub incarnation: Option<String>,
}

/// What a host can run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostAbilities {
    /// The container engine and its version, where one answers.
    pub engine: Option<String>,
    /// The LAN of the default route.
    pub network: Option<HostNetwork>,
    /// Distributions that there is a shell image for, or that one can be had of.
    pub shells: Vec<String>,
}

/// One output of a decky: the lines of its decoy since it was deployed under its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OutputRef {
    /// Who wrote it.
    pub decky: DeckyName,
    /// Its stable id: the `source` of ingested lines.
    pub source: Arc<str>,
    /// True if the decky is gone: nothing more will be written, and the stream ends.
    pub ended: bool,
}

/// A place in an output, between two lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Bytes before it.
    pub offset: u64,
    /// True within a line whose head was taken and whose rest is to be skipped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub within_line: bool,
}

/// One line of an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputLine {
    /// Byte offset of its start: unique and ascending within its output.
    pub seq: u64,
    /// The line without its newline, at most [`MAX_OUTPUT_LINE`] bytes.
    pub bytes: Bytes,
    /// Where the output goes on.
    pub next: Position,
}

/// What following an output brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputItem {
    /// A line.
    Line(OutputLine),
    /// Part of an overlong line was skipped; the output goes on here.
    Skipped(Position),
}

/// An output from some position on. Pends while nothing new is there and ends with the output.
pub type OutputStream = Pin<Box<dyn Stream<Item = Result<OutputItem, RuntimeError>> + Send>>;

/// Chooses source ports to try, given the source address and the destination.
pub type PortChooser<'a> = &'a (dyn Fn(IpAddr, SocketAddr) -> Vec<u16> + Send + Sync);

/// What a connection from one decky to another brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The address that was reached, offset included.
    pub to: SocketAddr,
    /// Own port.
    pub src_port: u16,
    /// First line of the service; empty where it waits for the client to speak and nothing was said to it.
    pub banner: Bytes,
}

/// What runs deckies on a host.
#[async_trait]
pub trait HostRuntime: Send + Sync {
    /// Which kind this is.
    fn kind(&self) -> RuntimeKind;

    /// What this host can run, as of now.
    async fn abilities(&self) -> HostAbilities {
        HostAbilities::default()
    }

    /// Which of `addresses` somebody else than a decky of this fleet has, with the hardware address of whoever answered.
    /// `interface`: the one that deckies are put on; the default route's if absent.
    async fn survey(
        &self,
        _interface: Option<&str>,
        _addresses: &[IpAddr],
    ) -> Result<BTreeMap<IpAddr, String>, RuntimeError> {
        Ok(BTreeMap::new())
    }

    /// Makes what the deckies of `plan` need and do not have for themselves: images, networks, host links. Checks first
    /// what would make a deploy fail half-way (names, addresses, parent link, images); an error names the decky where one
    /// is to blame, and then nothing was changed.
    async fn prepare(&self, _plan: &Plan) -> Result<(), RuntimeError> {
        Ok(())
    }

    /// Removes what no decky of `plan` needs any more: networks, host links, routes. `None`: nothing is deployed.
    async fn settle(&self, _plan: Option<&Plan>) -> Result<(), RuntimeError> {
        Ok(())
    }

    /// Brings one decky to its plan. A decky that runs this plan already is left alone. Returns once it is started,
    /// not once it is well: see [`Self::inspect`].
    async fn deploy(&self, plan: &DeckyPlan) -> Result<Deployed, RuntimeError>;

    /// Stops a decky and removes everything of it but its output. False if there is none of this name.
    async fn remove(&self, name: &DeckyName) -> Result<bool, RuntimeError>;

    /// What runs. An error means that it is not known, which is something else than nothing.
    async fn inspect(&self) -> Result<Vec<DeckyStatus>, RuntimeError>;

    /// Puts files into a decky, each one whole or not at all. One that is not to be touched because of what is there is left
    /// alone and named. Stops at the first that cannot be put.
    async fn put_files(&self, name: &DeckyName, files: &[FileSpec]) -> Result<Placed, RuntimeError>;

    /// Renames and removes files of a decky, in this order, and stops at the first that is not as expected.
    async fn tidy_files(&self, name: &DeckyName, steps: &[Tidy]) -> Result<TidyOutcome, RuntimeError>;

    /// The first `max` bytes of a file, and what the system says of it; `None` if there is none.
    async fn read_file(
        &self,
        name: &DeckyName,
        path: &str,
        max: u64,
    ) -> Result<Option<FileRead>, RuntimeError>;

    /// Connects from one decky to an address, from the first source port that can be had, has the short talk that a client of
    /// `protocol` has (`None`: reads the greeting), and says goodbye. Where `to` is the standard port of a decky of this host
    /// that serves it elsewhere, that place is meant.
    async fn probe(
        &self,
        from: &DeckyName,
        to: SocketAddr,
        protocol: Option<&str>,
        ports: PortChooser<'_>,
    ) -> Result<Probe, RuntimeError>;

    /// Every output that has lines or may get some.
    async fn outputs(&self) -> Result<Vec<OutputRef>, RuntimeError>;

    /// Changes when [`Self::outputs`] or the state of a decky may have.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Reads an output from `from` on; `None` starts at the first line that was not released.
    async fn follow(&self, output: &OutputRef, from: Option<Position>) -> Result<OutputStream, RuntimeError>;

    /// Tells that everything before `upto` is safe elsewhere, so that its space may be given back.
    async fn release(&self, output: &OutputRef, upto: Position) -> Result<(), RuntimeError>;

    /// Deletes an output that has ended and is safe elsewhere.
    async fn discard(&self, output: &OutputRef) -> Result<(), RuntimeError>;
}
