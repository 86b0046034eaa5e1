//! Looking at what runs: whoever compares (the reconciler) is told when it looks different from the last time.
//!
//! It compares nothing with what should run and writes no row.

use std::{collections::BTreeMap, sync::Arc};

use decnet_bus::{Topic, payload::Empty};
use decnet_core::DeckyName;
use decnet_fleet::DeckyState;
use decnet_kit::Ctx;
use decnet_runtime::{DeckyStatus, HostRuntime};

/// What others could want to know of a decky.
type Sight = (DeckyState, Option<String>, Option<String>);

/// Who looks.
pub(crate) struct Lookout {
    ctx: Ctx,
    runtime: Arc<dyn HostRuntime>,
    last: Option<BTreeMap<DeckyName, Sight>>,
    /// What was said of a runtime that does not answer.
    complaint: Option<String>,
}

impl Lookout {
    pub(crate) fn new(ctx: Ctx, runtime: Arc<dyn HostRuntime>) -> Self {
        Self { ctx, runtime, last: None, complaint: None }
    }

    /// Looks. True if something is on its way up, which says nothing when it has arrived.
    pub(crate) async fn look(&mut self) -> bool {
        let statuses = match self.runtime.inspect().await {
            Ok(statuses) => statuses,
            Err(error) => {
                let text = error.to_string();
                if self.complaint.as_ref() == Some(&text) {
                    tracing::debug!(%error, "what runs is still not known");
                } else {
                    tracing::warn!(%error, "what runs is not known now; the states of the deckies stay as they are");
                    self.complaint = Some(text);
                }
                return false;
            }
        };
        if self.complaint.take().is_some() {
            tracing::info!("what runs is known again");
        }
        let unsettled = statuses.iter().any(|status| status.state == DeckyState::Pending);
        let now: BTreeMap<DeckyName, Sight> = statuses.into_iter().map(sight).collect();
        if self.last.as_ref() != Some(&now) {
            self.last = Some(now);
            let topic = Topic::NoticeDeckies { host: self.ctx.settings().host.clone() };
            self.ctx.bus().publish(&topic, &Empty {}).await;
        }
        unsettled
    }
}

fn sight(status: DeckyStatus) -> (DeckyName, Sight) {
    (status.name, (status.state, status.last_error, status.plan_hash))
}
