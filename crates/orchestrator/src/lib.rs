//! Life injection: the planner of `decnet_realism`, acted out on real deckies.
//!
//! Deciding is the planner's and pure. Here is what surrounds it: who lives where ([`world`]), what comes next (`calendar`), one
//! action from intent to event (`desk`, `hands`), and a disk that has a past (`history`, `disk`). Acting goes through the agent.

mod agent;
mod calendar;
mod connect;
mod deed;
mod desk;
mod disk;
mod hands;
mod history;
mod orchestrate;
mod people;
mod prune;
mod reach;
mod shelf;
mod texts;
mod trial;
mod turn;
mod world;

pub use orchestrate::orchestrate;

use decnet_core::Seed;

/// What only this worker is told on its command line.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The fleet's node for life; absent = the fleet secret's.
    pub seed: Option<Seed>,
    /// A model is used, or not, whatever the settings say.
    pub llm: Option<bool>,
    /// Everything that is due now, and then the end.
    pub once: bool,
    /// The plan of the next day is printed, and nothing is touched.
    pub dry_run: bool,
    /// The longest sleep between two looks at the clock; absent = half a second. For clocks that are set by hand.
    pub nap: Option<std::time::Duration>,
}
