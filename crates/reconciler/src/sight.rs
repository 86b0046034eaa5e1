//! What a pass compares: the state file, and what the agent says runs. Read so that the two belong together.
//!
//! It judges nothing. What cannot be read or is not answered is unknown, and why is told once.

use std::time::Duration;

use decnet_bus::{
    Topic,
    payload::{DeckyInspection, InspectReply, InspectRequest},
};
use decnet_fleet::{
    StateFile, StateStore,
    reconcile::{Observation, Wanted},
};
use decnet_kit::Ctx;

/// How long the agent may take; it bounds itself to 8 s.
const PATIENCE: Duration = Duration::from_secs(9);
/// How often it is looked again because the state file changed meanwhile.
const MOST_LOOKS: u32 = 3;

/// What was seen.
#[derive(Debug)]
pub struct Sight {
    /// The state file; an error means that nobody knows what should run.
    pub file: Result<Option<StateFile>, String>,
    /// What runs; an error means that nobody knows.
    pub observed: Result<Vec<Observation>, String>,
}

impl Sight {
    /// What should run.
    pub fn wanted(&self) -> Wanted<'_> {
        match &self.file {
            Ok(file) => Wanted::Known(file.as_ref()),
            Err(_) => Wanted::Unknown,
        }
    }

    /// What runs.
    pub fn observed(&self) -> Option<&[Observation]> {
        self.observed.as_deref().ok()
    }

    /// Why something is not known: what should run, what runs.
    pub(crate) fn unknown(&self) -> Vec<String> {
        self.file.as_ref().err().into_iter().chain(self.observed.as_ref().err()).cloned().collect()
    }

    /// Looks. The state file is read before and after the agent is asked: while a deploy goes on, an answer from before it
    /// and a file from after it would make deckies torn down that are being started.
    pub(crate) async fn of(ctx: &Ctx) -> Self {
        let store = StateStore::new(&ctx.settings().state_file);
        let mut file = read(&store).await;
        for _ in 0..MOST_LOOKS {
            let observed = ask(ctx).await;
            let before = std::mem::replace(&mut file, read(&store).await);
            if before == file {
                return Self { file, observed };
            }
        }
        // A state file that changes all the time: what was seen does not belong to it.
        Self { file, observed: Err("deploys follow each other too quickly to look in between".to_owned()) }
    }
}

async fn read(store: &StateStore) -> Result<Option<StateFile>, String> {
    let store = store.clone();
    match tokio::task::spawn_blocking(move || store.known()).await {
        Ok(known) => known.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

async fn ask(ctx: &Ctx) -> Result<Vec<Observation>, String> {
    let topic = Topic::AskInspect { host: ctx.settings().host.clone() };
    let reply = ctx.bus().request(&topic, &InspectRequest::default(), PATIENCE).await;
    let reply: InspectReply = reply.map_err(|error| error.to_string())?;
    reply.deckies.into_iter().map(observation).collect()
}

/// What the agent says of one decky.
pub fn observation(decky: DeckyInspection) -> Result<Observation, String> {
    let state =
        decky.state.parse().map_err(|error| format!("{error}; are agent and reconciler of one version?"))?;
    Ok(Observation { name: decky.name, state, last_error: decky.last_error, plan_hash: decky.plan_hash })
}
