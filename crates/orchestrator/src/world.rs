//! What is there to live: the machines that run, who has an account on each, and which disk each has now.
//!
//! Looked at again on events of deckies and on a timer; what an agent does not tell is kept as it was known. Nothing acts here.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use anyhow::{Context as _, Result};
use decnet_bus::Token;
use decnet_core::{DeckyName, FleetSecret, HostId, Seed};
use decnet_db::{Db, FleetDecky, RunningDecky};
use decnet_fleet::{
    DeckyConfig,
    catalogue::{self, Proto},
};
use decnet_kit::personas::PoolFile;
use decnet_realism::{Machine, plan::Fleet, scene::Family};
use futures_util::{StreamExt as _, stream};

use crate::{
    agent::Agent,
    people::{Account, Roster, accounts, salt},
};

/// Accounts that are read at once.
const READERS: usize = 8;
/// Failures after which a host is not asked again in this pass.
const PATIENCE: usize = 3;

/// Where a decky is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site {
    /// Opaque id.
    pub(crate) id: String,
    /// Its host's agent is asked.
    pub(crate) host: HostId,
    /// What the agent calls it.
    pub(crate) name: DeckyName,
    /// The id as part of a subject: made before anything is done there.
    pub(crate) token: Token,
    /// Its address.
    pub(crate) ip: Option<IpAddr>,
    /// Its disk; `None` until its agent has told.
    pub(crate) incarnation: Option<String>,
    /// Files of people and machine can be put where a login would find them.
    pub(crate) has_files: bool,
    /// It keeps mailboxes.
    pub(crate) has_mail: bool,
    /// Its host's agent did not answer lately.
    pub(crate) is_silent: bool,
}

/// Everything that lives now.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    /// As the planner sees it.
    pub(crate) fleet: Arc<Fleet>,
    /// By id.
    pub(crate) sites: BTreeMap<String, Site>,
}

/// Looks at what is there.
pub(crate) struct Watcher {
    agent: Agent,
    secret: FleetSecret,
    node: Seed,
    pool: PoolFile,
    roster: Option<(Arc<decnet_realism::Pool>, Roster)>,
    /// By decky: the disk that they were read from.
    accounts: HashMap<String, (String, Vec<Account>)>,
    incarnations: HashMap<String, String>,
    /// What the fleet was made of.
    machines: Vec<Machine>,
    fleet: Arc<Fleet>,
    /// Ids that no subject can carry, told once.
    refused: HashSet<String>,
}

impl Watcher {
    pub(crate) fn new(agent: Agent, secret: FleetSecret, node: Seed, pool: PoolFile) -> Self {
        Self {
            agent,
            secret,
            node,
            pool,
            roster: None,
            accounts: HashMap::new(),
            incarnations: HashMap::new(),
            machines: Vec::new(),
            fleet: Arc::default(),
            refused: HashSet::new(),
        }
    }

    /// Looks once.
    pub(crate) async fn look(&mut self, db: &Db) -> Result<World> {
        let rows = db.fleet().list_running().await.context("the deckies that run")?;
        let rows: HashMap<String, FleetDecky> = rows.into_iter().map(|row| (row.id(), row)).collect();
        let running = db.fleet().list_running_deckies().await.context("the deckies that run")?;
        let known: HashSet<&str> = running.iter().map(|decky| decky.uuid.as_str()).collect();
        self.accounts.retain(|id, _| known.contains(id.as_str()));
        self.incarnations.retain(|id, _| known.contains(id.as_str()));

        let mut sites = BTreeMap::new();
        let mut shapes = Vec::new();
        for decky in &running {
            let config = rows.get(&decky.uuid).and_then(config);
            let Some(mut site) = self.site(decky, config.as_ref()) else { continue };
            shapes.push((site.id.clone(), decky.services.clone(), config));
            site.incarnation = None;
            sites.insert(site.id.clone(), site);
        }
        let silent = self.ask_incarnations(&mut sites, &running).await;
        self.ask_accounts(&sites, &silent).await;
        self.compose(shapes, &sites);
        Ok(World { fleet: Arc::clone(&self.fleet), sites })
    }

    fn site(&mut self, decky: &RunningDecky, config: Option<&DeckyConfig>) -> Option<Site> {
        let parsed =
            (decky.host_uuid.parse::<HostId>(), decky.name.parse::<DeckyName>(), Token::parse(&decky.uuid));
        let (Ok(host), Ok(name), Ok(token)) = parsed else {
            if self.refused.insert(decky.uuid.clone()) {
                tracing::warn!(decky = %decky.uuid, "no subject can name this decky: it is left alone");
            }
            return None;
        };
        let offers = |slugs: &[&str]| decky.services.iter().any(|slug| slugs.contains(&slug.as_str()));
        let windows = config.is_some_and(DeckyConfig::is_windows);
        Some(Site {
            id: decky.uuid.clone(),
            host,
            name,
            token,
            ip: decky.ip.as_deref().and_then(|ip| ip.parse().ok()),
            incarnation: None,
            has_files: offers(&["ssh"]) && !windows,
            has_mail: offers(&["imap", "pop3"]),
            is_silent: false,
        })
    }

    /// Asks each host once. Returns the hosts that did not answer.
    async fn ask_incarnations(
        &mut self,
        sites: &mut BTreeMap<String, Site>,
        running: &[RunningDecky],
    ) -> HashSet<HostId> {
        let hosts: HashSet<HostId> = sites.values().map(|site| site.host.clone()).collect();
        let plans: HashMap<&str, Option<&str>> =
            running.iter().map(|decky| (decky.uuid.as_str(), decky.compose_hash.as_deref())).collect();
        let mut silent = HashSet::new();
        for host in hosts {
            let reply = match self.agent.inspect(&host).await {
                Ok(reply) => reply,
                Err(error) => {
                    tracing::debug!(%host, %error, "its deckies are taken to be as they were");
                    silent.insert(host);
                    continue;
                }
            };
            let seen: HashMap<_, _> =
                reply.deckies.into_iter().map(|seen| (seen.name.clone(), seen)).collect();
            for site in sites.values().filter(|site| site.host == host) {
                let Some(seen) = seen.get(&site.name) else { continue };
                // A runtime that does not know disks apart knows plans apart.
                let plan = || seen.plan_hash.clone().or(plans.get(site.id.as_str())?.map(str::to_owned));
                if let Some(incarnation) = seen.incarnation.clone().or_else(plan) {
                    self.incarnations.insert(site.id.clone(), incarnation);
                }
            }
        }
        for site in sites.values_mut() {
            site.is_silent = silent.contains(&site.host);
            site.incarnation = self.incarnations.get(&site.id).cloned();
        }
        silent
    }

    /// Reads who has an account, where the disk is another one than the accounts were read from.
    async fn ask_accounts(&mut self, sites: &BTreeMap<String, Site>, silent: &HashSet<HostId>) {
        let stale = |site: &&Site| {
            let known = self.accounts.get(&site.id).map(|(disk, _)| disk.as_str());
            site.has_files
                && !silent.contains(&site.host)
                && site.incarnation.is_some()
                && known != site.incarnation.as_deref()
        };
        let wanted: Vec<Site> = sites.values().filter(stale).cloned().collect();
        let agent = self.agent.clone();
        let mut answers = stream::iter(wanted)
            .map(move |site| {
                let agent = agent.clone();
                async move {
                    let answer = agent.read(&site, "/etc/passwd").await;
                    (site, answer)
                }
            })
            .buffer_unordered(READERS);
        let mut failures: HashMap<HostId, usize> = HashMap::new();
        let mut found = Vec::new();
        while let Some((site, answer)) = answers.next().await {
            match answer {
                Ok(passwd) => {
                    let text = passwd.map(|seen| String::from_utf8_lossy(&seen.body).into_owned());
                    let people = accounts(&text.unwrap_or_default());
                    found.push((site.id.clone(), (site.incarnation.clone().unwrap_or_default(), people)));
                }
                Err(error) => {
                    tracing::debug!(decky = %site.id, %error, "accounts unknown for now");
                    let count = failures.entry(site.host.clone()).or_default();
                    *count += 1;
                    if *count >= PATIENCE {
                        break;
                    }
                }
            }
        }
        drop(answers);
        self.accounts.extend(found);
    }

    /// Makes the fleet, if anything about it has changed.
    fn compose(
        &mut self,
        shapes: Vec<(String, Vec<String>, Option<DeckyConfig>)>,
        sites: &BTreeMap<String, Site>,
    ) {
        let pool = self.pool.current();
        if self.roster.as_ref().is_none_or(|(known, _)| *known != pool) {
            let roster = Roster::new(&self.secret, &self.node, &pool);
            self.roster = Some((pool, roster));
        }
        let Some((_, roster)) = &self.roster else { return };
        let machine = |(id, services, config): (String, Vec<String>, Option<DeckyConfig>)| {
            let site = sites.get(&id)?;
            let accounts = self.accounts.get(&id).map_or(&[][..], |(_, accounts)| accounts.as_slice());
            let host = config.as_ref().map_or(site.name.as_str(), |config| &config.hostname);
            let host = host.split('.').next().unwrap_or(host).to_owned();
            let mail_users = if site.has_mail { roster.mail_users().to_vec() } else { Vec::new() };
            Some(Machine {
                host,
                domain: roster.domain().to_owned(),
                ip: site.ip,
                services: services.iter().filter_map(|slug| tcp_port(slug)).collect(),
                family: config.map_or(Family::Other, |config| family(&config.distro)),
                residents: if site.has_files { roster.residents(accounts) } else { Vec::new() },
                has_files: site.has_files,
                has_mail: site.has_mail,
                salt: salt(&self.node),
                mail_users,
                id,
            })
        };
        let machines: Vec<Machine> = shapes.into_iter().filter_map(machine).collect();
        if machines != self.machines {
            self.fleet = Arc::new(Fleet::new(machines.iter().cloned()));
            self.machines = machines;
            tracing::info!(
                machines = self.fleet.places().len(),
                people = self.fleet.people().len(),
                "who lives where has changed"
            );
        }
    }
}

fn config(row: &FleetDecky) -> Option<DeckyConfig> {
    serde_json::from_value(row.decky_config.clone()?).ok()
}

/// The first port of a service that a connection can be made to.
fn tcp_port(slug: &str) -> Option<(String, u16)> {
    let ports = catalogue::service(slug)?.ports;
    let port = ports.iter().map(|info| info.port).find(|port| port.proto == Proto::Tcp)?;
    Some((slug.to_owned(), port.number))
}

fn family(distro: &str) -> Family {
    match catalogue::distro(distro).map(|distro| distro.id) {
        Some("debian" | "ubuntu" | "kali") => Family::Debian,
        Some("rocky" | "centos" | "fedora") => Family::Rhel,
        _ => Family::Other,
    }
}
