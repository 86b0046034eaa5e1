//! `decnet deploy`: reads the operator's wishes, makes the plan, and hands it to the agent, the only one who acts.
//!
//! `--dry-run` ends with the plan: no broker, no database, nothing touched. Without it the agent is asked first what runs
//! deckies on its host, which LAN that is on and who has the chosen addresses there.

use std::{
    collections::{BTreeSet, HashSet},
    io::Read,
    net::IpAddr,
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use decnet_bus::{
    Bus, RequestError, Topic,
    payload::{DeployCommand, HostReply, HostRequest, SurveyReply, SurveyRequest},
};
use decnet_core::{FleetSecret, IdSource, SystemIds};
use decnet_fleet::{
    DecnetConfig, Draft, FlagOptions, FleetSpec, HostFacts, Mode, Plan, PlanErrors, PlanRequest, RuntimeKind,
    StateError, StateStore, from_flags, ini, plan::Step,
};
use decnet_kit::{args::CommonArgs, personas, settings};
use ipnet::Ipv4Net;

use crate::{BadInput, block_on, bus, config, gate, operation, render};

/// How long the agent may take for an answer; it bounds itself to 8 s.
const ANSWER_BOUND: Duration = Duration::from_secs(9);
/// How long an agent that is just being started may take to listen.
const AGENT_GRACE: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag of the command line")]
pub(crate) struct Args {
    /// The deployment INI (`-` for stdin); replaces the whole fleet
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["deckies", "services", "archetype"])]
    config: Option<PathBuf>,
    /// How many deckies, where there is no INI
    #[arg(short = 'n', long, default_value_t = 1)]
    deckies: usize,
    /// What all of them serve, separated by commas
    #[arg(long, value_delimiter = ',')]
    services: Vec<String>,
    /// One to three random services each
    #[arg(long)]
    randomize_services: bool,
    /// The bundle that all of them are made after
    #[arg(short, long)]
    archetype: Option<String>,
    /// Distributions, cycled over the deckies, separated by commas
    #[arg(long, value_delimiter = ',')]
    distro: Vec<String>,
    /// A random distribution each
    #[arg(long)]
    randomize_distros: bool,
    /// The parent interface
    #[arg(short, long)]
    interface: Option<String>,
    /// The LAN, such as 192.0.2.0/24 (127.x under the process runtime)
    #[arg(long)]
    subnet: Option<Ipv4Net>,
    /// The first address to hand out
    #[arg(long)]
    ip_start: Option<std::net::Ipv4Addr>,
    /// One MAC for all (ipvlan) instead of one each (macvlan)
    #[arg(long)]
    ipvlan: bool,
    /// Minutes between mutations where the INI says nothing
    #[arg(long)]
    mutate_interval: Option<u32>,
    /// One host alone or a swarm
    #[arg(long, value_parser = ["unihost", "swarm"], default_value = "unihost")]
    mode: String,
    /// Show the plan and touch nothing
    #[arg(long)]
    dry_run: bool,
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
    /// The fleet secret for this run, 64 hexadecimal digits (else the fleet's own)
    #[arg(long, value_name = "HEX", conflicts_with = "seed", requires = "dry_run")]
    secret: Option<String>,
    /// A secret made from a number, for plans that anyone can repeat
    #[arg(long, requires = "dry_run")]
    seed: Option<u64>,
}

pub(crate) fn run(common: &CommonArgs, args: &Args) -> Result<()> {
    let loaded = config::load(common)?;
    gate::master_only(&loaded.settings)?;
    let mut spec = spec(args)?;
    let settings = &loaded.settings;
    let store = StateStore::new(&settings.state_file);
    let before = match store.load() {
        Ok(state) => state.map(|state| (state.generation, state.config)),
        // The agent keeps such a file aside. The plan beside it still tells which addresses are taken by whom.
        Err(error @ StateError::Unreadable { .. }) => {
            eprintln!("decnet: warning: {}", decnet_logline::clean(&error.to_string()));
            store.newest_plan().map(|plan| (plan.generation, plan.config()))
        }
        Err(error) => return Err(error.into()),
    };
    let secret = secret(args, settings)?;
    // A repeatable plan must not depend on what this machine happens to run.
    let repeatable = args.secret.is_some() || args.seed.is_some();
    if !repeatable {
        spec.staff = personas::staff(&personas::pool_path(settings.realism_personas.as_deref()))?;
    }
    let wishes =
        Wishes { spec: &spec, secret: &secret, settings, before: before.as_ref().filter(|_| !repeatable) };
    if args.dry_run {
        let plan = wishes.plan_alone()?;
        warn(&plan);
        return show(&plan, args.json);
    }
    let (plan, summary) = block_on(async {
        let bus = bus::connect(&loaded).await?;
        let plan = wishes.plan_with(&bus).await?;
        warn(&plan);
        let operation = SystemIds.next_id();
        let command = DeployCommand {
            operation: operation.to_string(),
            requested_by: "cli".to_owned(),
            plan: serde_json::to_value(&plan)?,
        };
        let topic = Topic::CmdDeploy { host: plan.host.clone() };
        let summary = operation::order(&bus, &topic, operation, &command).await?;
        Ok((plan, summary))
    })?;
    if args.json {
        return render::json(&serde_json::json!({ "summary": summary, "plan": plan.redacted()? }));
    }
    show(&plan, false)?;
    render::line(&summary)
}

/// The operator's wishes, from the INI or from flags.
fn spec(args: &Args) -> Result<FleetSpec> {
    let mut spec = if let Some(path) = &args.config {
        let (text, name) = read_ini(path)?;
        ini::parse(&text).map_err(|errors| BadInput(format!("{name}:\n{errors}")))?
    } else {
        let options = FlagOptions {
            deckies: args.deckies,
            services: args.services.clone(),
            randomize_services: args.randomize_services,
            distros: args.distro.clone(),
            randomize_distros: args.randomize_distros,
            archetype: args.archetype.clone(),
        };
        from_flags(&options).map_err(|errors| {
            BadInput(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        })?
    };
    // A flag speaks louder than the INI.
    spec.mode = if args.mode == "swarm" { Mode::Swarm } else { spec.mode };
    spec.interface = args.interface.clone().or(spec.interface);
    spec.subnet = args.subnet.or(spec.subnet);
    spec.ip_start = args.ip_start.or(spec.ip_start);
    spec.ipvlan |= args.ipvlan;
    if spec.mutate_interval.is_none() {
        spec.mutate_interval = args.mutate_interval.map(Some);
    }
    Ok(spec)
}

fn read_ini(path: &std::path::Path) -> Result<(Vec<u8>, String)> {
    let name = path.display().to_string();
    let bad = |error: std::io::Error| BadInput(format!("{name}: {error}"));
    // One byte more than allowed is enough for the parser to refuse it.
    let most = u64::try_from(ini::MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = Vec::new();
    if name == "-" {
        std::io::stdin().lock().take(most).read_to_end(&mut text).map_err(bad)?;
        return Ok((text, "stdin".to_owned()));
    }
    std::fs::File::open(path).map_err(bad)?.take(most).read_to_end(&mut text).map_err(bad)?;
    Ok((text, name))
}

fn secret(args: &Args, settings: &settings::Settings) -> Result<FleetSecret> {
    if let Some(hex) = &args.secret {
        return FleetSecret::from_hex(hex).map_err(|e| BadInput(format!("--secret: {e}")).into());
    }
    if let Some(seed) = args.seed {
        return Ok(FleetSecret::from_number(seed));
    }
    if args.dry_run && !settings.secret_file.exists() {
        // A dry run leaves no trace, so the plan is for a fleet that does not exist yet.
        eprintln!(
            "decnet: note: no fleet secret yet, planned with a throw-away one (give --seed to repeat this plan)"
        );
        return Ok(FleetSecret::generate());
    }
    FleetSecret::load_or_create(&settings.secret_file).context("the fleet secret")
}

fn warn(plan: &Plan) {
    for warning in &plan.warnings {
        eprintln!("decnet: warning: {}", decnet_logline::clean(warning));
    }
}

/// What a plan is made from.
struct Wishes<'a> {
    spec: &'a FleetSpec,
    secret: &'a FleetSecret,
    settings: &'a settings::Settings,
    before: Option<&'a (u64, DecnetConfig)>,
}

impl Wishes<'_> {
    /// The plan as far as it can be told without asking anybody.
    fn plan_alone(&self) -> Result<Plan> {
        let runtime = match self.settings.runtime {
            settings::RuntimeKind::Process => RuntimeKind::Process,
            settings::RuntimeKind::Auto => RuntimeKind::auto(self.spec, false),
            settings::RuntimeKind::Docker => RuntimeKind::Docker,
        };
        let nobody = HashSet::new();
        decnet_fleet::plan(&self.request(runtime, None, &nobody)).map_err(|errors| bad_input(&errors))
    }

    /// The plan for the agent's host, on addresses that nobody has.
    async fn plan_with(&self, bus: &Bus) -> Result<Plan> {
        let facts = host_facts(bus, self.settings).await?;
        let nobody = HashSet::new();
        let mut draft = Draft::new(self.request(facts.runtime, Some(&facts), &nobody));
        loop {
            match draft.step().map_err(|errors| bad_input(&errors))? {
                Step::Done(plan) => return Ok(*plan),
                Step::Ask { interface, addresses } => {
                    draft.heard(taken(bus, self.settings, interface, addresses).await?);
                }
            }
        }
    }

    fn request<'b>(
        &'b self,
        runtime: RuntimeKind,
        facts: Option<&'b HostFacts>,
        used: &'b HashSet<IpAddr>,
    ) -> PlanRequest<'b> {
        let shells: Option<&BTreeSet<String>> = facts.map(|facts| &facts.shells);
        PlanRequest {
            spec: self.spec,
            secret: self.secret,
            runtime,
            generation: self.before.map_or(0, |(generation, _)| *generation) + 1,
            host: &self.settings.host,
            detected: facts.and_then(|facts| facts.network.as_ref()),
            used,
            previous: self.before.map(|(_, config)| config),
            shells,
        }
    }
}

fn bad_input(errors: &PlanErrors) -> anyhow::Error {
    BadInput(errors.to_string()).into()
}

/// What the agent says of its host. One that is just being started is waited for.
async fn host_facts(bus: &Bus, settings: &settings::Settings) -> Result<HostFacts> {
    let topic = Topic::AskHost { host: settings.host.clone() };
    let deadline = tokio::time::Instant::now() + AGENT_GRACE;
    let reply: HostReply = loop {
        match bus.request(&topic, &HostRequest::default(), ANSWER_BOUND).await {
            Ok(reply) => break reply,
            Err(RequestError::NoResponder { .. }) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            Err(error) => return Err(error).context("the agent does not say what its host can run"),
        }
    };
    let lan = reply.network.as_ref();
    let lan = lan.map(|lan| (lan.interface.as_str(), lan.subnet.as_str(), lan.gateway, lan.address));
    HostFacts::parse(&reply.runtime, lan, reply.shells).map_err(|reason| anyhow!(reason))
}

/// Which of these addresses others have.
async fn taken(
    bus: &Bus,
    settings: &settings::Settings,
    interface: Option<String>,
    addresses: Vec<IpAddr>,
) -> Result<Vec<IpAddr>> {
    let topic = Topic::AskSurvey { host: settings.host.clone() };
    let question = SurveyRequest { interface, addresses };
    let reply: SurveyReply = bus
        .request(&topic, &question, ANSWER_BOUND)
        .await
        .context("the agent does not say which addresses of the LAN are taken")?;
    Ok(reply.taken.into_keys().collect())
}

fn show(plan: &Plan, json: bool) -> Result<()> {
    if json {
        return render::json(&plan.redacted()?);
    }
    render::table(
        ["decky", "address", "host name", "distro", "services"],
        plan.deckies.iter().map(|d| {
            let services: Vec<_> = d.services.iter().map(|s| s.slug.as_str()).collect();
            [
                d.name().to_string(),
                d.ip().to_string(),
                d.config.hostname.clone(),
                d.config.distro.clone(),
                services.join(", "),
            ]
        }),
    )
}
