//! The live stream's inside: one hub per process that all connections listen to, the slots that bound them, and the
//! feeders that fill the hub from the bus and the log table.
//!
//! The HTTP side is [`crate::routes::stream`].

mod feed;
mod hub;
mod slots;

pub(crate) use feed::line_json;
pub use feed::{Figures, follow_bus, follow_logs, snapshot};
pub use hub::{Backlog, Frame, Hub, Kind, Position};
pub use slots::{Slot, Slots};
