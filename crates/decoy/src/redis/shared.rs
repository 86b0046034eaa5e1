//! The server as all its connections see it, one client's session, and the dispatch of a command.
//!
//! One lock guards it all: commands are short. Sockets and reports are in `mod`.

use std::collections::{BTreeMap, VecDeque};

use super::load::Counter;
use super::{
    admin,
    bait::Bait,
    call::{Call, Fact, Outcome},
    collections, config,
    config::Config,
    danger, info, keys,
    release::Release,
    reply::Reply,
    script, sorted,
    store::Store,
    strings, table,
};

/// Commands that a transaction may hold.
const QUEUE_MAX: usize = 1024;

/// A connected client as CLIENT LIST shows it.
#[derive(Debug, Clone)]
pub struct Client {
    /// `addr`.
    pub addr: String,
    /// `laddr`.
    pub laddr: String,
    /// Connected since, Unix milliseconds.
    pub since: i64,
    /// Last command at, Unix milliseconds.
    pub active: i64,
    /// Name it gave itself.
    pub name: String,
    /// Chosen database.
    pub db: usize,
    /// Last command.
    pub command: String,
    /// Protocol.
    pub resp: u8,
    /// `lib-name`, `lib-ver`.
    pub lib: [String; 2],
    /// An application of the machine itself.
    pub resident: bool,
}

/// Role in replication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// A master.
    Master,
    /// A replica that never reaches its master, since decoys open no connections.
    Replica {
        /// Host asked for.
        host: String,
        /// Port asked for.
        port: u16,
        /// Since, Unix milliseconds.
        since: i64,
    },
}

/// Counters of INFO.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Connections.
    pub connections: u64,
    /// Commands.
    pub commands: u64,
    /// Bytes in.
    pub bytes_in: u64,
    /// Bytes out.
    pub bytes_out: u64,
    /// Error replies.
    pub errors: BTreeMap<String, u64>,
    /// Calls by command.
    pub calls: BTreeMap<String, u64>,
    /// RESETSTAT was given at, Unix milliseconds.
    pub reset_at: Option<i64>,
    /// Saves that were asked for.
    pub saves: u64,
}

/// The server.
#[derive(Debug)]
pub struct Shared {
    /// Release it claims.
    pub release: Release,
    /// Keyspace.
    pub store: Store,
    /// Parameters.
    pub config: Config,
    /// Clients by id.
    pub clients: BTreeMap<u64, Client>,
    /// Next client id.
    pub next_id: u64,
    /// Role.
    pub role: Role,
    /// Counters.
    pub stats: Stats,
    /// Scripts by SHA-1.
    pub scripts: BTreeMap<String, Vec<u8>>,
    /// What the machine's own applications keep here.
    pub bait: Bait,
    /// Fixed facts for INFO.
    pub facts: info::Facts,
    /// Last save, Unix milliseconds.
    pub saved_at: i64,
}

impl Shared {
    /// Seconds between two saves on its own: `save 300 ..` where the applications write enough for it, else the other
    /// one.
    fn save_every(&self) -> i64 {
        let hourly = self.facts.load.total(Counter::Writes, 36_000) / 10;
        let (enough, long) = if self.release.since(602) { (12 * 130, 3600) } else { (12 * 15, 900) };
        if hourly >= enough { 300 } else { long }
    }

    /// Saves that the server made on its own since it started.
    pub fn auto_saves(&self, now: i64) -> u64 {
        u64::try_from((now - self.facts.started) / 1000 / self.save_every()).unwrap_or(0)
    }

    /// The last save, Unix milliseconds.
    pub fn last_save(&self, now: i64) -> i64 {
        let every = self.save_every() * 1000;
        let own = self.facts.started + (now - self.facts.started) / every * every;
        self.saved_at.max(own)
    }

    /// Changes since the last save, of clients and of the machine's applications.
    pub fn dirty(&self, now: i64) -> u64 {
        let saved = self.last_save(now);
        let at = |time: i64| u64::try_from((time - self.facts.started) / 1000).unwrap_or(0);
        let writes = |time| self.facts.load.total(Counter::Writes, at(time));
        let theirs = if saved > self.saved_at { 0 } else { self.store.dirty };
        writes(now) - writes(saved) + theirs
    }

    /// Forgets statistics, as CONFIG RESETSTAT does.
    pub fn reset_stats(&mut self, now: i64) {
        self.stats = Stats { reset_at: Some(now), ..Stats::default() };
        (self.store.hits, self.store.misses, self.store.expired) = (0, 0, 0);
    }
}

/// One client.
#[expect(clippy::struct_excessive_bools, reason = "independent switches of a connection")]
#[derive(Debug, Default)]
pub struct Session {
    /// Id.
    pub id: u64,
    /// Chosen database.
    pub db: usize,
    /// Logged in, or no password is needed.
    pub authenticated: bool,
    /// RESP3.
    pub resp3: bool,
    /// Commands since MULTI; an error in one spoils the transaction.
    pub queue: Option<(Vec<Vec<Vec<u8>>>, bool)>,
    /// Channels and patterns.
    pub channels: Vec<(bool, Vec<u8>)>,
    /// The connection ends after this reply.
    pub closing: bool,
    /// CLIENT REPLY OFF.
    pub silent: bool,
}

/// What executing a request led to.
#[derive(Debug)]
pub struct Executed {
    /// Answer, unless there is none.
    pub reply: Option<Reply>,
    /// To be reported.
    pub facts: Vec<Fact>,
}

/// Executes a request.
pub fn execute(shared: &mut Shared, session: &mut Session, args: &[Vec<u8>], now: i64) -> Executed {
    let name = args.first().map(|name| String::from_utf8_lossy(name).to_lowercase()).unwrap_or_default();
    // A browser or a web attack speaks to us: hang up without a word, as upstream does.
    if matches!(name.as_str(), "post" | "host:") {
        session.closing = true;
        return Executed {
            reply: None,
            facts: vec![Fact::Rce { technique: "cross_protocol", detail: name }],
        };
    }
    let mut bait = std::mem::take(&mut shared.bait);
    bait.keep(&mut shared.store, now);
    shared.bait = bait;
    shared.store.expire(now);
    shared.stats.commands += 1;
    let mut call = Call { args, now, shared, session, facts: Vec::new() };
    let outcome = call.request(&name);
    let facts = std::mem::take(&mut call.facts);
    let reply = outcome.unwrap_or_else(|error| error);
    if let Reply::Error(text) = &reply {
        let prefix = text.split(' ').next().unwrap_or_default().to_owned();
        if shared.stats.errors.len() < 64 || shared.stats.errors.contains_key(&prefix) {
            *shared.stats.errors.entry(prefix).or_default() += 1;
        }
    }
    if let Some(client) = shared.clients.get_mut(&session.id) {
        client.active = now;
        client.db = session.db;
        client.resp = if session.resp3 { 3 } else { 2 };
        client.command = table::full_name(&name, args.get(1).map(Vec::as_slice));
    }
    let reply = Some(reply).filter(|_| !session.silent);
    Executed { reply, facts }
}

impl Call<'_> {
    /// A request: checks what comes before the command itself.
    fn request(&mut self, name: &str) -> Outcome {
        let spoil = |session: &mut Session| {
            if let Some((_, spoilt)) = &mut session.queue {
                *spoilt = true;
            }
        };
        let Some(entry) = table::find(name, &self.shared.release) else {
            spoil(self.session);
            return Err(Reply::Error(self.shared.release.unknown_command(self.args)));
        };
        let level = self.shared.release.level;
        let subcommand = if level >= 700 { entry.subcommand(self.arg(1), level) } else { None };
        let arity = subcommand.map_or(entry.arity, |(_, arity)| arity);
        let given = i64::try_from(self.args.len()).unwrap_or(i64::MAX);
        if (arity > 0 && given != arity) || given < -arity {
            spoil(self.session);
            return Err(Call::arity(
                &subcommand.map_or_else(|| name.to_owned(), |(sub, _)| format!("{name}|{sub}")),
            ));
        }
        if level >= 700 && entry.has_subcommands() && subcommand.is_none() {
            return Err(Reply::Error(self.shared.release.unknown_subcommand(name, self.arg(1))));
        }
        if !self.session.authenticated && !matches!(name, "auth" | "hello" | "quit" | "reset") {
            return Err(Reply::Error("NOAUTH Authentication required.".to_owned()));
        }
        if !self.session.channels.is_empty()
            && !self.session.resp3
            && !matches!(
                name,
                "subscribe" | "unsubscribe" | "psubscribe" | "punsubscribe" | "ping" | "quit" | "reset"
            )
        {
            return Err(Reply::err(if level >= 602 {
                format!(
                    "Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
                )
            } else {
                "only (P)SUBSCRIBE / (P)UNSUBSCRIBE / PING / QUIT allowed in this context".to_owned()
            }));
        }
        let full = table::full_name(name, self.args.get(1).map(Vec::as_slice));
        *self.shared.stats.calls.entry(full).or_default() += 1;
        if matches!(self.shared.role, Role::Replica { .. })
            && entry.writes()
            && self.shared.config.get("replica-read-only") != "no"
            && self.shared.config.get("slave-read-only") != "no"
        {
            return Err(Reply::Error("READONLY You can't write against a read only replica.".to_owned()));
        }
        if let Some((queue, spoilt)) = &mut self.session.queue
            && !matches!(name, "exec" | "discard" | "multi" | "watch" | "quit" | "reset")
        {
            if queue.len() >= QUEUE_MAX {
                *spoilt = true;
                return Err(Reply::Error(
                    "OOM command not allowed when used memory > 'maxmemory'.".to_owned(),
                ));
            }
            queue.push(self.args.to_vec());
            return Ok(Reply::Simple("QUEUED".to_owned()));
        }
        self.dispatch(name)
    }

    /// Runs a command that may run.
    pub fn dispatch(&mut self, name: &str) -> Outcome {
        match name {
            "config" => return config::run(self),
            "info" => return info::run(self),
            "multi" | "exec" | "discard" => return self.transaction(name),
            _ => {}
        }
        None.or_else(|| strings::run(self, name))
            .or_else(|| keys::run(self, name))
            .or_else(|| collections::run(self, name))
            .or_else(|| sorted::run(self, name))
            .or_else(|| script::run(self, name))
            .or_else(|| admin::run(self, name))
            .or_else(|| danger::run(self, name))
            .unwrap_or_else(|| Err(Reply::Error(self.shared.release.unknown_command(self.args))))
    }

    fn transaction(&mut self, name: &str) -> Outcome {
        match (name, self.session.queue.take()) {
            ("multi", None) => {
                self.session.queue = Some((Vec::new(), false));
                Ok(Reply::ok())
            }
            ("multi", Some(queue)) => {
                self.session.queue = Some(queue);
                Err(Reply::err("MULTI calls can not be nested"))
            }
            ("discard", Some(_)) => Ok(Reply::ok()),
            ("exec", Some((_, true))) => {
                Err(Reply::Error("EXECABORT Transaction discarded because of previous errors.".to_owned()))
            }
            ("exec", Some((queue, false))) => {
                let mut replies = Vec::new();
                for args in queue {
                    let name = args
                        .first()
                        .map(|name| String::from_utf8_lossy(name).to_lowercase())
                        .unwrap_or_default();
                    let mut inner = Call {
                        args: &args,
                        now: self.now,
                        shared: self.shared,
                        session: self.session,
                        facts: Vec::new(),
                    };
                    let reply = inner.dispatch(&name).unwrap_or_else(|error| error);
                    let facts = std::mem::take(&mut inner.facts);
                    self.facts.extend(facts);
                    replies.push(reply);
                }
                Ok(Reply::Array(replies))
            }
            (other, None) => Err(Reply::err(format!("{} without MULTI", other.to_uppercase()))),
            (_, Some(_)) => Err(Reply::err("syntax error")),
        }
    }
}

/// A list as the store keeps it.
pub fn deque(items: impl IntoIterator<Item = Vec<u8>>) -> VecDeque<Vec<u8>> {
    items.into_iter().collect()
}
