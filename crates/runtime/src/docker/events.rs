//! Listens to what the engine tells about our containers, and wakes whoever looks after them. Reconnects for ever: an engine
//! that was away has restarted what it runs, so after each connection every decky is looked at.

use std::{sync::Arc, time::Duration};

use bollard::query_parameters::EventsOptionsBuilder;
use decnet_core::{Clock, DeckyName};
use futures_util::StreamExt;

use super::{Shared, labels::DECKY};

/// First pause before the engine is asked again; doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// What changes a decky's state. Files and commands of ours go in and out all the time.
const MATTERS: [&str; 10] =
    ["create", "start", "restart", "die", "stop", "kill", "destroy", "oom", "pause", "unpause"];

/// Listens until the runtime goes.
pub(super) async fn listen(shared: Arc<Shared>) {
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::select! {
            biased;
            () = shared.host.detach.cancelled() => return,
            heard = hear(&shared) => if heard {
                pause = FIRST_PAUSE;
            },
        }
        // Whatever was known may be wrong now.
        shared.host.changed();
        tokio::select! {
            biased;
            () = shared.host.detach.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Listens until the connection breaks; true if there was one.
async fn hear(shared: &Shared) -> bool {
    let Ok(docker) = shared.host.engine.docker().await else { return false };
    let mut filter = shared.host.ours.filter(None);
    filter.insert("type".to_owned(), vec!["container".to_owned()]);
    // From now on, whenever the engine takes the request up: what happens until then is not missed.
    let now = shared.host.clock.now();
    let since = format!("{}.{:09}", now.timestamp(), now.timestamp_subsec_nanos());
    let options = EventsOptionsBuilder::new().since(&since).filters(&filter).build();
    let mut events = docker.events(Some(options));
    shared.look_at_all();
    let mut event = events.next().await;
    loop {
        match event {
            Some(Ok(message)) => {
                let action = message.action.as_deref().unwrap_or_default();
                let decky = message.actor.and_then(|actor| actor.attributes?.remove(DECKY));
                if MATTERS.contains(&action)
                    && let Some(name) = decky.and_then(|name| DeckyName::parse(&name).ok())
                {
                    shared.look_at(&name);
                    shared.host.changed();
                }
            }
            Some(Err(error)) => {
                let error = shared.host.engine.failure("listen to", &error);
                tracing::warn!(%error, "the engine's events are not heard; asking again");
                return true;
            }
            None => return true,
        }
        event = events.next().await;
    }
}
