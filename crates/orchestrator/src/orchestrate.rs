//! The loop: whoever is due takes a turn, a few at once and never two on one decky. Looking at the world, topping up texts and
//! pruning go on beside it, so that a slow agent or model stops nobody else.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use decnet_core::{FleetSecret, Seed};
use decnet_kit::{
    Ctx,
    personas::{PoolFile, pool_path},
};
use decnet_realism::plan::{Arrival, Fleet};
use tokio::{
    sync::watch,
    task::{self, JoinSet},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    Options,
    agent::Agent,
    calendar::Calendar,
    desk::Desk,
    disk, prune,
    texts::Texts,
    trial,
    turn::{self, Turn},
    world::{Watcher, World},
};

/// Actions at once.
const AT_ONCE: usize = 8;
/// Arrivals that wait for one decky to be free.
const WAITING: usize = 16;
/// Arrivals of one decky that wait for somebody to go, and for how long at most.
const POSTPONED: usize = 48;
const PATIENCE: TimeDelta = TimeDelta::hours(12);
/// The fastest that anybody may live: a day in a minute.
const MOST_PACE: i32 = 1440;
/// The longest sleep: the clock may be set while nobody looks.
const NAP: Duration = Duration::from_millis(500);
/// How long a single run waits for the broker, and for agents.
const CONNECT: Duration = Duration::from_secs(10);
/// What those at work get to end when the worker stops. What they had begun is found out at the next start.
const LAST: Duration = Duration::from_secs(4);

/// The orchestrator's life.
pub async fn orchestrate(ctx: Ctx, options: Options) -> Result<()> {
    let settings = ctx.settings();
    let secret = FleetSecret::load_or_create(&settings.secret_file)?;
    let node = options.seed.clone().unwrap_or_else(|| secret.seed().child("life"));
    let pool = PoolFile::new(pool_path(settings.realism_personas.as_deref()));
    let mut watcher = Watcher::new(Agent::new(ctx.bus()), secret, node.clone(), pool);
    let desk = Desk::new(ctx.clone(), node.clone());
    let texts = Texts::open(&ctx, options.llm, &node)?;
    let report = Arc::clone(&texts);
    ctx.heartbeat_extra(Box::new(move || Ok(report.report())));
    if options.once || options.dry_run {
        return trial(&ctx, &desk, &mut watcher, &texts, &options).await;
    }
    let (tell, world) = watch::channel(Arc::new(World::default()));
    ctx.spawn("watch", watch(ctx.clone(), watcher, tell));
    ctx.spawn("texts", Arc::clone(&texts).top_up(ctx.clone(), world.clone()));
    ctx.spawn("prune", prune::run(ctx.clone()));
    Scheduler::new(desk, texts, &node, options.nap.unwrap_or(NAP)).run(world).await
}

/// Looks once, does or prints, and ends the worker.
async fn trial(
    ctx: &Ctx,
    desk: &Desk,
    watcher: &mut Watcher,
    texts: &Texts,
    options: &Options,
) -> Result<()> {
    ctx.subscribed();
    let Some(db) = ctx.db_when_open().await else { return Ok(()) };
    ctx.bus().connected_within(CONNECT).await;
    let mut world = watcher.look(&db).await?;
    let patience = Instant::now() + CONNECT;
    // An agent that has just been started is not a silent one.
    while world.sites.values().any(|site| site.is_silent) && Instant::now() < patience && !ctx.is_stopping() {
        tokio::time::sleep(NAP).await;
        world = watcher.look(&db).await?;
    }
    let work = async {
        if options.dry_run {
            trial::dry_run(&db, desk, &world, ctx.now()).await
        } else {
            trial::once(desk, &db, &world, texts).await
        }
    };
    tokio::select! {
        () = ctx.stopping() => {}
        done = work => done?,
    }
    ctx.stop();
    Ok(())
}

/// Looks at the world on events of deckies and on a timer.
async fn watch(ctx: Ctx, mut watcher: Watcher, tell: watch::Sender<Arc<World>>) -> Result<()> {
    let interval = ctx.settings().orchestrate_interval.duration();
    let mut wakeups = ctx.wakeups(interval).on_wakes_of(ctx.bus(), ctx.worker()).await;
    while wakeups.next().await.is_some() {
        let seen = async { anyhow::Ok(watcher.look(&ctx.db().await?).await?) };
        match seen.await {
            Ok(world) => drop(tell.send(Arc::new(world))),
            Err(error) => tracing::warn!(
                error = format!("{error:#}"),
                "the deckies could not be looked at; the next pass tries again"
            ),
        }
        ctx.progress();
    }
    Ok(())
}

/// What is done on one decky.
enum Job {
    /// Its disk is brought in order.
    Disk,
    /// Somebody's turn, with the time at which it was first due.
    Turn(Box<Arrival>, DateTime<Utc>),
}

enum Ended {
    Disk(bool),
    Turn(Box<Arrival>, DateTime<Utc>, Arc<Fleet>, Turn),
    /// It failed, in words that are in the log.
    Failed,
}

struct Scheduler {
    desk: Arc<Desk>,
    texts: Arc<Texts>,
    world: Arc<World>,
    calendar: Calendar,
    /// Deckies whose disk is in order, and which one.
    settled: HashMap<String, String>,
    busy: BTreeSet<String>,
    /// What waits for its decky, oldest first.
    waiting: BTreeMap<String, VecDeque<Job>>,
    /// Arrivals that somebody was in the way of: when they are tried again, and when they were due.
    postponed: Vec<(DateTime<Utc>, DateTime<Utc>, String, Arrival)>,
    jobs: JoinSet<(String, Ended)>,
    /// Whose decky each task is at work on.
    at_work: HashMap<task::Id, String>,
    nap: Duration,
}

impl Scheduler {
    fn new(desk: Arc<Desk>, texts: Arc<Texts>, node: &Seed, nap: Duration) -> Self {
        let pace = i32::try_from(desk.ctx.settings().orchestrate_pace.get()).unwrap_or(1).min(MOST_PACE);
        let calendar = Calendar::new(node.clone(), desk.ctx.now(), pace);
        Self {
            desk,
            texts,
            world: Arc::default(),
            calendar,
            settled: HashMap::new(),
            busy: BTreeSet::new(),
            waiting: BTreeMap::new(),
            postponed: Vec::new(),
            jobs: JoinSet::new(),
            at_work: HashMap::new(),
            nap,
        }
    }

    async fn run(mut self, mut world: watch::Receiver<Arc<World>>) -> Result<()> {
        let ctx = self.desk.ctx.clone();
        let mut watching = true;
        while !ctx.is_stopping() {
            self.begin();
            let wake = Instant::now() + self.until_next(ctx.now());
            tokio::select! {
                biased;
                () = ctx.stopping() => break,
                changed = world.changed(), if watching => match changed {
                    Ok(()) => {
                        let seen = Arc::clone(&world.borrow_and_update());
                        self.see(seen);
                    }
                    // The watcher ends when the worker does.
                    Err(_) => watching = false,
                },
                Some(ended) = self.jobs.join_next_with_id() => {
                    let (id, ended) = match ended {
                        Ok((id, (_, ended))) => (id, ended),
                        // It panicked: what it was at is found out like after a crash.
                        Err(error) => (error.id(), Ended::Failed),
                    };
                    if let Some(decky) = self.at_work.remove(&id) {
                        self.end(&decky, ended);
                    }
                }
                () = sleep_until(wake) => {}
            }
        }
        let _ = timeout(LAST, async { while self.jobs.join_next().await.is_some() {} }).await;
        Ok(())
    }

    fn until_next(&mut self, now: DateTime<Utc>) -> Duration {
        let next = self.calendar.next(now).into_iter().chain(self.postponed.iter().map(|(at, ..)| *at)).min();
        next.map_or(self.nap, |at| (at - now).to_std().unwrap_or_default().min(self.nap))
    }

    /// The world is another one.
    fn see(&mut self, world: Arc<World>) {
        if !Arc::ptr_eq(self.calendar.fleet(), &world.fleet) {
            // Arrivals name places of the fleet that they are of.
            let old = Arc::clone(self.calendar.fleet());
            let moved = |arrival: &mut Arrival| translate(arrival, &old, &world.fleet);
            self.postponed.retain_mut(|(_, _, _, arrival)| moved(arrival));
            for jobs in self.waiting.values_mut() {
                jobs.retain_mut(|job| match job {
                    Job::Disk => true,
                    Job::Turn(arrival, _) => moved(arrival),
                });
            }
            self.calendar.change(Arc::clone(&world.fleet));
        }
        self.world = world;
        let world = Arc::clone(&self.world);
        self.settled.retain(|decky, _| world.sites.contains_key(decky));
        self.desk.keep_only(|decky| world.sites.contains_key(decky));
        for site in world.sites.values() {
            if site.incarnation.is_some() && self.settled.get(&site.id) != site.incarnation.as_ref() {
                self.settled.remove(&site.id);
                let jobs = self.waiting.entry(site.id.clone()).or_default();
                if !jobs.iter().any(|job| matches!(job, Job::Disk)) && !self.busy.contains(&site.id) {
                    jobs.push_front(Job::Disk);
                }
            }
        }
    }

    /// Begins what is due, as far as there is room.
    fn begin(&mut self) {
        let now = self.desk.ctx.now();
        while let Some(arrival) = self.calendar.due(now) {
            let due = arrival.at;
            self.queue(arrival, due);
        }
        let (ready, later): (Vec<_>, Vec<_>) = self.postponed.drain(..).partition(|(at, ..)| *at <= now);
        self.postponed = later;
        for (_, due, _, arrival) in ready {
            self.queue(arrival, due);
        }
        while self.jobs.len() < AT_ONCE {
            let free =
                |(decky, jobs): &(&String, &VecDeque<Job>)| !jobs.is_empty() && !self.busy.contains(*decky);
            let Some(decky) = self.waiting.iter().find(free).map(|(decky, _)| decky.clone()) else { break };
            let job = self.waiting.get_mut(&decky).and_then(VecDeque::pop_front);
            self.waiting.retain(|_, jobs| !jobs.is_empty());
            if let Some(job) = job {
                self.start(decky, job);
            }
        }
        let depth = self.waiting.values().map(VecDeque::len).sum::<usize>();
        self.desk.ctx.progress_handle().queue_depth(depth as u64);
    }

    fn queue(&mut self, arrival: Arrival, due: DateTime<Utc>) {
        let Some(place) = self.world.fleet.places().get(arrival.place) else { return };
        let jobs = self.waiting.entry(place.machine.id.clone()).or_default();
        // One that could not be begun for so long would come in a volley with all the others.
        if jobs.len() < WAITING {
            jobs.push_back(Job::Turn(Box::new(arrival), due));
        }
    }

    fn start(&mut self, decky: String, job: Job) {
        let Some(site) = self.world.sites.get(&decky).cloned() else { return };
        let settled = self.settled.get(&decky).is_some_and(|disk| Some(disk) == site.incarnation.as_ref());
        let (desk, world, texts) = (Arc::clone(&self.desk), Arc::clone(&self.world), Arc::clone(&self.texts));
        self.busy.insert(decky.clone());
        let whose = decky.clone();
        let handle = self.jobs.spawn(async move {
            let done = async {
                let db = desk.ctx.db().await?;
                anyhow::Ok(match job {
                    Job::Disk => Ended::Disk(disk::settle(&desk, &db, &world, &site).await?),
                    Job::Turn(arrival, due) => {
                        let turn = turn::take(&desk, &db, &world, &site, &arrival, &texts, settled).await?;
                        Ended::Turn(arrival, due, Arc::clone(&world.fleet), turn)
                    }
                })
            };
            let ended = done.await.unwrap_or_else(|error| {
                tracing::warn!(%decky, error = format!("{error:#}"), "a turn failed; the next one tries again");
                Ended::Failed
            });
            (decky, ended)
        });
        self.at_work.insert(handle.id(), whose);
    }

    fn end(&mut self, decky: &str, ended: Ended) {
        self.busy.remove(decky);
        self.desk.ctx.progress();
        match ended {
            Ended::Disk(true) => {
                let disk = self.world.sites.get(decky).and_then(|site| site.incarnation.clone());
                if let Some(disk) = disk {
                    self.settled.insert(decky.to_owned(), disk);
                }
            }
            // The next look at the world tries again.
            Ended::Disk(false) => {}
            Ended::Failed | Ended::Turn(.., Turn::Unsettled) => {
                self.settled.remove(decky);
            }
            Ended::Turn(mut arrival, due, fleet, Turn::Postponed) => {
                let known = self.calendar.fleet();
                if Arc::ptr_eq(&fleet, known) || translate(&mut arrival, &fleet, known) {
                    self.postpone(decky, *arrival, due);
                }
            }
            Ended::Turn(arrival, .., turn) => {
                tracing::debug!(decky, strand = ?arrival.strand, ?turn, "a turn");
            }
        }
    }

    /// Seven to twenty-three minutes later, by the arrival's own dice.
    fn postpone(&mut self, decky: &str, mut arrival: Arrival, due: DateTime<Utc>) {
        let of_decky = self.postponed.iter().filter(|(_, _, other, _)| other == decky).count();
        let wait = 7 * 60 + i64::from(arrival.seed[0]) * 4 - i64::from(arrival.seed[1] % 60);
        arrival.at = self.desk.ctx.now() + TimeDelta::seconds(wait);
        arrival.seed.rotate_left(1);
        if of_decky < POSTPONED && arrival.at - due < PATIENCE {
            self.postponed.push((arrival.at, due, decky.to_owned(), arrival));
        }
    }
}

/// Makes an arrival of one fleet into one of another; false if its machine or person is not there any more.
fn translate(arrival: &mut Arrival, from: &Fleet, to: &Fleet) -> bool {
    let place = from.places().get(arrival.place).and_then(|place| to.place_of(&place.machine.id));
    let person = arrival.person.map(|person| {
        let who = &from.people().get(person)?.persona;
        to.people()
            .iter()
            .position(|other| other.persona.email == who.email && other.persona.name == who.name)
    });
    match (place, person) {
        (Some(place), None) => arrival.place = place,
        (Some(place), Some(Some(person))) => (arrival.place, arrival.person) = (place, Some(person)),
        _ => return false,
    }
    true
}
