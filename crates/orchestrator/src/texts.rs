//! Texts that a language model wrote ahead of time, in place of the templates': for new files of people and for letters.

use decnet_db::Db;
use decnet_realism::{
    Planned,
    plan::{Arrival, Shelf},
};

use crate::world::World;

/// The pool, if there is a model.
#[derive(Debug, Default)]
pub(crate) struct Texts {}

impl Texts {
    /// Replaces the template's words in what was planned, where a text is at hand. Returns the model that wrote it.
    pub(crate) async fn dress(
        &self,
        _db: &Db,
        _world: &World,
        _arrival: &Arrival,
        _shelf: &Shelf,
        _planned: &mut [Planned],
    ) -> Option<String> {
        None
    }
}
