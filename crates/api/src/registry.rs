//! The workers panel's memory: the last beat of each worker of this release, judged by the clock it is given.
//!
//! A beat from any other name is dropped, so that a rogue publisher cannot add rows. The API vouches for itself, and for
//! the broker while its own connection stands, since neither sends beats that reach it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use decnet_bus::{Bus, BusStatus, Topic, Worker, payload::Heartbeat};
use decnet_core::Clock;
use serde_json::{Map, Value};

/// Three beats.
pub const STALE_AFTER: TimeDelta = TimeDelta::seconds(90);

/// How a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkerStatus {
    /// Heard less than 90 seconds ago.
    Ok,
    /// Not heard for 90 seconds or longer.
    Stale,
    /// Never heard.
    Unknown,
}

/// What is known of a worker.
#[derive(Debug, Clone)]
pub struct Sign {
    /// Which.
    pub worker: Worker,
    /// How it is.
    pub status: WorkerStatus,
    /// Its last beat.
    pub last: Option<DateTime<Utc>>,
    /// What the beat said besides name and time.
    pub extra: Map<String, Value>,
}

#[derive(Debug, Clone)]
struct Beat {
    at: DateTime<Utc>,
    extra: Map<String, Value>,
}

/// The last beats.
pub struct Registry {
    clock: Arc<dyn Clock>,
    beats: Mutex<BTreeMap<&'static str, Beat>>,
}

impl Registry {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, beats: Mutex::default() }
    }

    /// Takes in a beat. The name is the subject's, which the broker's permissions guard; an older beat than the one known
    /// is ignored, a time in the future counts as now.
    pub fn hear(&self, topic: &Topic, beat: &Heartbeat) {
        let Topic::SystemHealth { worker, .. } = topic else { return };
        let known = Worker::parse(worker.as_str()).filter(|worker| Worker::BUILT.contains(worker));
        let Some(known) = known else {
            tracing::debug!(%worker, "dropped the beat of a name outside the registry");
            return;
        };
        let now = self.clock.now();
        let at = time_of(beat.ts).map_or(now, |at| at.min(now));
        let mut extra = match serde_json::to_value(beat) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        };
        extra.retain(|key, _| key != "worker" && key != "ts");
        self.note(known, Beat { at, extra });
    }

    fn note(&self, worker: Worker, beat: Beat) {
        let mut beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        match beats.get(worker.as_str()) {
            Some(known) if known.at > beat.at => {}
            _ => {
                beats.insert(worker.as_str(), beat);
            }
        }
    }

    /// The rows of the panel, in the registry's order.
    pub fn signs(&self, bus: &Bus) -> Vec<Sign> {
        let now = self.clock.now();
        let told = |text: &str| Map::from_iter([("observed_by".to_owned(), Value::from(text))]);
        let mut extra = told("itself");
        extra.insert("version".to_owned(), Value::from(env!("CARGO_PKG_VERSION")));
        extra.insert("pid".to_owned(), Value::from(std::process::id()));
        self.note(Worker::Api, Beat { at: now, extra });
        if let BusStatus::Connected { version, connects } = &*bus.status().borrow() {
            let mut extra = told("the API's own connection");
            extra.insert("version".to_owned(), Value::from(version.as_str()));
            extra.insert("connects".to_owned(), Value::from(*connects));
            self.note(Worker::Bus, Beat { at: now, extra });
        }
        let beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        let sign = |worker: Worker| match beats.get(worker.as_str()) {
            None => Sign { worker, status: WorkerStatus::Unknown, last: None, extra: Map::new() },
            Some(beat) => {
                let fresh = now - beat.at < STALE_AFTER;
                let status = if fresh { WorkerStatus::Ok } else { WorkerStatus::Stale };
                Sign { worker, status, last: Some(beat.at), extra: beat.extra.clone() }
            }
        };
        Worker::KNOWN.iter().copied().filter(|worker| Worker::BUILT.contains(worker)).map(sign).collect()
    }

    /// How one worker is.
    pub fn status_of(&self, worker: Worker, bus: &Bus) -> WorkerStatus {
        self.signs(bus)
            .iter()
            .find(|sign| sign.worker == worker)
            .map_or(WorkerStatus::Unknown, |sign| sign.status)
    }
}

fn time_of(seconds: f64) -> Option<DateTime<Utc>> {
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates; the result is checked")]
    let micros = (seconds * 1e6) as i64;
    DateTime::from_timestamp_micros(micros).filter(|_| seconds > 0.0)
}

#[cfg(test)]
mod tests {
    use decnet_bus::{BusIdentity, Token};
    use decnet_core::{HostId, ManualClock};

    use super::*;

    fn topic(worker: &str) -> Topic {
        Topic::SystemHealth { host: HostId::default(), worker: Token::parse(worker).unwrap() }
    }

    fn beat(worker: &str, at: DateTime<Utc>) -> Heartbeat {
        let ts = decnet_bus::epoch_seconds(at);
        Heartbeat { worker: worker.to_owned(), ts, pid: Some(7), ..Heartbeat::default() }
    }

    #[test]
    fn a_worker_goes_stale_at_ninety_seconds_exactly() {
        let clock = ManualClock::at(DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
        let registry = Registry::new(Arc::new(clock.clone()));
        let bus = Bus::null(BusIdentity::local(Worker::Api));
        let status = || registry.status_of(Worker::Collector, &bus);
        assert_eq!(status(), WorkerStatus::Unknown);
        registry.hear(&topic("collector"), &beat("collector", clock.now()));
        clock.advance(TimeDelta::milliseconds(89_999));
        assert_eq!(status(), WorkerStatus::Ok);
        clock.advance(TimeDelta::milliseconds(1));
        assert_eq!(status(), WorkerStatus::Stale);
    }

    #[test]
    fn only_known_names_have_rows_and_old_beats_change_nothing() {
        use WorkerStatus::{Ok, Unknown};
        let clock = ManualClock::at(DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
        let registry = Registry::new(Arc::new(clock.clone()));
        let bus = Bus::null(BusIdentity::local(Worker::Api));
        for name in ["rogue", "listener", "cli", "sniffer"] {
            registry.hear(&topic(name), &beat(name, clock.now()));
        }
        registry.hear(&topic("agent"), &beat("rogue", clock.now()));
        registry.hear(&topic("agent"), &beat("agent", clock.now() - TimeDelta::hours(1)));
        // A clock ahead of ours must not keep a dead worker fresh.
        registry.hear(&topic("orchestrator"), &beat("orchestrator", clock.now() + TimeDelta::hours(1)));
        let rows: Vec<_> =
            registry.signs(&bus).into_iter().map(|sign| (sign.worker.as_str(), sign.status)).collect();
        assert_eq!(
            rows,
            [
                ("api", Ok),
                ("bus", Unknown),
                ("collector", Unknown),
                ("reconciler", Unknown),
                ("webhook", Unknown),
                ("orchestrator", Ok),
                ("agent", Ok)
            ]
        );
        let agent = registry.signs(&bus).pop().unwrap();
        assert_eq!(agent.extra.get("pid"), Some(&Value::from(7)));
        assert!(!agent.extra.contains_key("ts"));
        clock.advance(STALE_AFTER);
        assert_eq!(registry.status_of(Worker::Orchestrator, &bus), WorkerStatus::Stale);
    }
}
