//! The shape of somebody's day: slow at both ends of his hours, busy between, quieter at noon; little on days off.

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;

use crate::{Draw, hours::Presence};

/// How busy a day off is beside a day of work.
const OFF: f64 = 0.10;
/// Weights of equal parts of a working window.
const SHIFT: [f64; 12] = [0.55, 0.95, 1.25, 1.2, 1.05, 0.6, 0.8, 1.15, 1.2, 1.1, 0.9, 0.55];
/// Weights of the hours of somebody who is always on.
const ROUND_THE_CLOCK: [f64; 24] = [
    0.4, 0.3, 0.25, 0.25, 0.3, 0.4, 0.6, 0.9, 1.2, 1.5, 1.6, 1.5, 1.2, 1.3, 1.5, 1.5, 1.4, 1.3, 1.1, 1.0,
    0.9, 0.8, 0.7, 0.5,
];

/// A part of a window that lies in the day.
#[derive(Debug, Clone, Copy)]
struct Piece {
    /// The whole window.
    start: DateTime<Utc>,
    nanos: f64,
    /// The part, as masses of the window.
    from: f64,
    to: f64,
    /// The part, as instants.
    first: DateTime<Utc>,
    end: DateTime<Utc>,
    weight: f64,
}

/// Somebody's presence on one UTC day.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    parts: &'static [f64],
    pieces: Vec<Piece>,
    units: f64,
    usual: f64,
}

impl Shape {
    /// The shape of the day that begins at `start`.
    pub(super) fn of(presence: Presence, start: DateTime<Utc>) -> Self {
        let parts: &'static [f64] = if presence.hours().is_always() { &ROUND_THE_CLOCK } else { &SHIFT };
        let end = start + TimeDelta::days(1);
        let pieces: Vec<Piece> = presence
            .windows(start, end)
            .filter_map(|window| {
                let nanos = to_float((window.end - window.start).num_nanoseconds()?);
                let fraction =
                    |at: DateTime<Utc>| Some(to_float((at - window.start).num_nanoseconds()?) / nanos);
                let (first, last) = (window.start.max(start), window.end.min(end));
                Some(Piece {
                    start: window.start,
                    nanos,
                    from: mass(parts, fraction(first)?),
                    to: mass(parts, fraction(last)?),
                    first,
                    end: last,
                    weight: if window.work { 1.0 } else { OFF },
                })
            })
            .collect();
        let units = pieces.iter().map(Piece::units).sum();
        let work = f64::from(presence.days_of_work());
        Self { parts, pieces, units, usual: (work + (7.0 - work) * OFF) / 7.0 }
    }

    /// How much of a day's work falls in the day.
    pub(super) const fn units(&self) -> f64 {
        self.units
    }

    /// The same on an average day of the week.
    pub(super) const fn usual(&self) -> f64 {
        self.usual
    }

    /// Whether he is in then, on this day.
    pub(super) fn holds(&self, at: DateTime<Utc>) -> bool {
        self.pieces.iter().any(|piece| piece.first <= at && at < piece.end)
    }

    /// A time of the day at which he is in.
    pub(super) fn draw(&self, rng: &mut Draw) -> Option<DateTime<Utc>> {
        let mut target = rng.random_range(0.0..1.0) * self.units;
        let piece = self
            .pieces
            .iter()
            .find(|piece| {
                target -= piece.units();
                target < 0.0
            })
            .or(self.pieces.last())?;
        let at = piece.from + rng.random_range(0.0..1.0) * (piece.to - piece.from);
        #[expect(clippy::cast_possible_truncation, reason = "a day in nanoseconds")]
        let into = (place(self.parts, at) * piece.nanos) as i64;
        let found = piece.start + TimeDelta::nanoseconds(into);
        // Rounding may touch an edge.
        Some(found.max(piece.first).min(piece.end - TimeDelta::nanoseconds(1)))
    }
}

impl Piece {
    fn units(&self) -> f64 {
        self.weight * (self.to - self.from)
    }
}

/// The mass of the window before a fraction of it; all of it is 1.
fn mass(parts: &[f64], fraction: f64) -> f64 {
    let mut left = fraction.clamp(0.0, 1.0) * to_float_len(parts);
    let mut sum = 0.0;
    for part in parts {
        sum += part * left.clamp(0.0, 1.0);
        left -= 1.0;
    }
    sum / parts.iter().sum::<f64>()
}

/// The fraction of the window at which a mass is reached.
fn place(parts: &[f64], mass: f64) -> f64 {
    let mut left = mass.clamp(0.0, 1.0) * parts.iter().sum::<f64>();
    let mut whole = 0.0;
    for part in parts {
        if left < *part {
            return (whole + left / part) / to_float_len(parts);
        }
        left -= part;
        whole += 1.0;
    }
    1.0
}

#[expect(clippy::cast_precision_loss, reason = "two dozen at most")]
fn to_float_len(parts: &[f64]) -> f64 {
    parts.len() as f64
}

#[expect(clippy::cast_precision_loss, reason = "a fraction of a day: a few nanoseconds do not matter")]
fn to_float(nanos: i64) -> f64 {
    nanos as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mass_and_place_undo_each_other() {
        for parts in [&SHIFT[..], &ROUND_THE_CLOCK[..]] {
            for step in 0..=100 {
                let fraction = f64::from(step) / 100.0;
                assert!((place(parts, mass(parts, fraction)) - fraction).abs() < 1e-9, "{fraction}");
            }
        }
    }
}
