//! Where live frames meet their listeners: a broadcast that never waits for a slow one, and a short memory of bus events
//! for those who come back.
//!
//! A position is `<run>-<event>-<line>`: the run of this process, the last bus event, and the last log row. Log rows can
//! always be read again from the database; bus events only as far as the memory reaches.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Notify, broadcast};
use uuid::Uuid;

/// Frames that wait for a slow listener.
const WAITING: usize = 1024;
/// Bus events remembered.
const REMEMBERED: usize = 2048;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A log row.
    Log,
    /// An event of the bus.
    Event,
    /// Statistics that have changed: nothing is lost when one is missed.
    Stats,
    /// Something was missed: read again.
    Resync,
}

/// One message to all listeners.
#[derive(Debug)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// Name of the SSE event.
    pub name: String,
    /// Its JSON.
    pub data: String,
    /// Where a listener is after it.
    pub position: Position,
    /// Time of the log row in microseconds, for listeners with a time filter.
    pub at: i64,
}

/// Where a listener is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Run of the process, shortened.
    pub run: u32,
    /// Last bus event.
    pub event: u64,
    /// Last log row.
    pub line: i64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08x}-{}-{}", self.run, self.event, self.line)
    }
}

impl std::str::FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(3, '-');
        let mut part = || parts.next().ok_or(());
        let run = u32::from_str_radix(part()?, 16).map_err(drop)?;
        let event = part()?.parse().map_err(drop)?;
        let line: i64 = part()?.parse().map_err(drop)?;
        if line < 0 { Err(()) } else { Ok(Self { run, event, line }) }
    }
}

/// What a listener that comes back has missed.
#[derive(Debug, Default)]
pub struct Backlog {
    /// Bus events since its position.
    pub events: Vec<Arc<Frame>>,
    /// The memory does not reach back to its position.
    pub gap: bool,
}

struct State {
    events: VecDeque<Arc<Frame>>,
    event: u64,
    line: Option<i64>,
}

/// The meeting place.
pub struct Hub {
    run: u32,
    sender: broadcast::Sender<Arc<Frame>>,
    state: Mutex<State>,
    nudge: Notify,
}

impl Hub {
    pub(crate) fn new(run: Uuid) -> Self {
        // The low bits of a v7 id are its random part.
        let [.., a, b, c, d] = run.into_bytes();
        Self {
            run: u32::from_be_bytes([a, b, c, d]),
            sender: broadcast::Sender::new(WAITING),
            state: Mutex::new(State { events: VecDeque::new(), event: 0, line: None }),
            nudge: Notify::new(),
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anybody listens. If nobody does, the tail of the log table ends: the next listener starts it where the table
    /// is then, instead of getting everything since.
    pub fn has_listeners(&self) -> bool {
        let mut state = self.locked();
        let any = self.sender.receiver_count() > 0;
        if !any {
            state.line = None;
        }
        any
    }

    /// The last log row that was sent; `None` while the table is not being followed.
    pub fn line(&self) -> Option<i64> {
        self.locked().line
    }

    /// Starts the tail of the log table behind `line`, unless it is being followed already.
    pub fn start_line(&self, line: i64) {
        self.locked().line.get_or_insert(line);
    }

    /// Says that the log table may have grown.
    pub fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// Waits for [`Self::nudge`].
    pub async fn nudged(&self) {
        self.nudge.notified().await;
    }

    /// Sends an event of the bus and remembers it.
    pub fn send_event(&self, name: String, data: String) {
        let mut state = self.locked();
        state.event += 1;
        let frame = self.send(&state, Kind::Event, name, data, 0);
        if state.events.len() >= REMEMBERED {
            state.events.pop_front();
        }
        state.events.push_back(frame);
    }

    /// Sends a log row.
    pub fn send_line(&self, id: i64, at: i64, data: String) {
        let mut state = self.locked();
        state.line = Some(id);
        self.send(&state, Kind::Log, "log".to_owned(), data, at);
    }

    /// Sends something that needs no memory.
    pub fn send_passing(&self, kind: Kind, name: &str, data: String) {
        self.send(&self.locked(), kind, name.to_owned(), data, 0);
    }

    fn send(&self, state: &State, kind: Kind, name: String, data: String, at: i64) -> Arc<Frame> {
        let position = self.position(state);
        let frame = Arc::new(Frame { kind, name, data, position, at });
        // Nobody listening is no failure.
        let _ = self.sender.send(Arc::clone(&frame));
        frame
    }

    fn position(&self, state: &State) -> Position {
        Position { run: self.run, event: state.event, line: state.line.unwrap_or(0) }
    }

    /// Begins to listen: the frames from now on, and the bus events that were missed since `from`. Both are of one instant,
    /// so that nothing is between them.
    pub fn listen(&self, from: Option<Position>) -> (broadcast::Receiver<Arc<Frame>>, Backlog) {
        let state = self.locked();
        let backlog = from.map(|from| self.missed(&state, from)).unwrap_or_default();
        (self.sender.subscribe(), backlog)
    }

    /// Where the hub is now; `None` while the log table is not being followed.
    pub fn here(&self) -> Option<Position> {
        let state = self.locked();
        state.line.map(|_| self.position(&state))
    }

    fn missed(&self, state: &State, from: Position) -> Backlog {
        if from.run != self.run || from.event > state.event {
            return Backlog { events: Vec::new(), gap: true };
        }
        let events: Vec<_> =
            state.events.iter().filter(|frame| frame.position.event > from.event).cloned().collect();
        let all = u64::try_from(events.len()).unwrap_or(u64::MAX) == state.event - from.event;
        Backlog { events, gap: !all }
    }
}

#[cfg(test)]
mod tests {
    use decnet_core::{IdSource, SystemIds};

    use super::*;

    fn hub() -> Hub {
        Hub::new(SystemIds.next_id())
    }

    #[test]
    fn a_position_comes_back_from_its_text() {
        let position = Position { run: 0xdead_beef, event: 7, line: 12 };
        assert_eq!(position.to_string().parse(), Ok(position));
        for bad in ["", "1", "x-1-2", "1-2", "1-2--3", "1-2-x", "00000001-1-99999999999999999999"] {
            assert!(bad.parse::<Position>().is_err(), "{bad}");
        }
    }

    #[test]
    fn who_comes_back_gets_exactly_what_was_missed() {
        let hub = hub();
        let send = |n: u64| hub.send_event("x".into(), n.to_string());
        (0..5).for_each(send);
        assert!(hub.here().is_none());
        hub.start_line(3);
        let here = hub.here().unwrap();
        assert_eq!((here.event, here.line), (5, 3));
        (5..8).for_each(send);
        let (mut live, missed) = hub.listen(Some(here));
        send(8);
        let old: Vec<_> = missed.events.iter().map(|frame| frame.data.as_str()).collect();
        assert_eq!((old, missed.gap), (vec!["5", "6", "7"], false));
        assert_eq!(live.try_recv().unwrap().data, "8");
        assert!(live.try_recv().is_err());
    }

    #[test]
    fn an_unwatched_tail_starts_anew() {
        let hub = hub();
        let (listener, _) = hub.listen(None);
        hub.start_line(5);
        hub.start_line(9);
        assert!(hub.has_listeners());
        assert_eq!(hub.line(), Some(5));
        drop(listener);
        assert!(!hub.has_listeners());
        assert_eq!(hub.line(), None);
    }

    #[test]
    fn a_gap_is_told() {
        let hub = hub();
        hub.start_line(0);
        let start = hub.here().unwrap();
        for n in 0..=REMEMBERED {
            hub.send_event("x".into(), n.to_string());
        }
        assert!(hub.listen(Some(start)).1.gap);
        let foreign = Position { run: start.run ^ 1, ..start };
        assert!(hub.listen(Some(foreign)).1.gap);
        let ahead = Position { event: u64::MAX, ..start };
        assert!(hub.listen(Some(ahead)).1.gap);
    }
}
