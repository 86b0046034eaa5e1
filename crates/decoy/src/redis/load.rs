//! The work that the machine's own applications give this server: counters that grow unevenly, differently on every
//! decky, and never step back over a restart.
//!
//! Each counter is a sum over the hours since the server started, with a keyed weight for every hour and every
//! minute of the current one. Whoever knows this source but not the seed finds no ratio that all deckies share.
//! What clients really do is counted elsewhere.

use decnet_core::Seed;

/// One of the counters.
#[derive(Debug, Clone, Copy)]
pub enum Counter {
    /// Commands.
    Commands,
    /// Connections.
    Connections,
    /// Bytes read.
    BytesIn,
    /// Bytes written.
    BytesOut,
    /// Keys found.
    Hits,
    /// Keys not found.
    Misses,
    /// Commands that change something.
    Writes,
    /// Keys that ended.
    Expired,
    /// Milliseconds spent on ending keys.
    ExpireCpu,
    /// Microseconds in the system.
    CpuSys,
    /// Microseconds in the program.
    CpuUser,
    /// Buffers given back.
    Shrinks,
}

/// The load of one decky.
#[derive(Debug, Clone)]
pub struct Load {
    key: u64,
    /// Events in a million seconds, by counter.
    rates: [u64; 12],
}

impl Load {
    /// The load of this node of the keyed tree.
    pub fn new(seed: &Seed) -> Self {
        let seed = seed.child("load");
        let draw = |label: &str, range| seed.child(label).range(range);
        let commands = draw("commands", 400_000..=9_000_000);
        let hits = commands / 100 * draw("hits", 38..=76);
        Self {
            key: seed.child("key").u64(),
            rates: [
                commands,
                draw("connections", 9_000..=60_000),
                commands * draw("bytes in", 34..=110),
                commands * draw("bytes out", 60..=900),
                hits,
                hits / draw("misses", 4..=40),
                commands / 100 * draw("writes", 3..=22),
                draw("expired", 300..=4_000),
                draw("expire cpu", 12_000..=60_000),
                draw("cpu sys", 700..=2_900) * 1_000_000,
                draw("cpu user", 600..=3_300) * 1_000_000,
                draw("shrinks", 8_000..=40_000),
            ],
        }
    }

    /// The counter after so many seconds. Grows with `seconds`.
    pub fn total(&self, counter: Counter, seconds: u64) -> u64 {
        let rate = u128::from(self.rates.get(counter as usize).copied().unwrap_or_default());
        let (hours, rest) = (seconds / 3600, seconds % 3600);
        let (minute, second) = (rest / 60, rest % 60);
        // Weights are thousandths around 1000; the result is in millionths of an event times 1000.
        let past: u128 = (0..hours).map(|hour| self.weight(counter, hour, 61)).sum::<u128>() * rate * 3600;
        let in_hour: u128 = (0..60).map(|at| self.weight(counter, hours, at)).sum();
        let so_far: u128 = (0..minute).map(|at| self.weight(counter, hours, at)).sum();
        let now = self.weight(counter, hours, minute);
        let this_hour = self.weight(counter, hours, 61) * rate * 3600;
        let partial = this_hour * (so_far * 60 + now * u128::from(second)) / (in_hour * 60).max(1);
        u64::try_from((past + partial) / 1_000_000_000).unwrap_or(u64::MAX)
    }

    /// What happens in a second, in thousandths.
    pub fn per_second(&self, counter: Counter, seconds: u64) -> u64 {
        let from = seconds.saturating_sub(60);
        let grown = self.total(counter, seconds) - self.total(counter, from);
        let base = grown * 1000 / (seconds - from).max(1);
        // The server looks ten times a second at what came in: it never comes evenly.
        base * (700 + self.mix(counter as u64 + 100, seconds) % 601) / 1000
    }

    /// A number that is this decky's own for a label and a moment.
    pub fn mix(&self, label: u64, at: u64) -> u64 {
        // SplitMix64: cheap, and nothing is guarded by it but the look of noise under a secret key.
        let mut z =
            self.key ^ label.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ at.wrapping_mul(0xd6e8_feb8_6659_fd93);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Weight of an hour (`part` 61) or of one of its minutes, around 1000.
    fn weight(&self, counter: Counter, hour: u64, part: u64) -> u128 {
        // Busy hours are busy for every counter; the smaller part is the counter's own.
        let shared = 500 + self.mix(1000 + part, hour) % 801;
        let own = 50 + self.mix(counter as u64 + 2000 + part * 64, hour) % 101;
        u128::from(shared + own)
    }
}

#[cfg(test)]
mod tests {
    use decnet_core::FleetSecret;

    use super::*;

    const ALL: [Counter; 12] = [
        Counter::Commands,
        Counter::Connections,
        Counter::BytesIn,
        Counter::BytesOut,
        Counter::Hits,
        Counter::Misses,
        Counter::Writes,
        Counter::Expired,
        Counter::ExpireCpu,
        Counter::CpuSys,
        Counter::CpuUser,
        Counter::Shrinks,
    ];

    #[test]
    fn counters_only_grow_and_unevenly() {
        let load = Load::new(&FleetSecret::from_number(1).seed());
        for counter in ALL {
            let mut last = 0;
            for seconds in (0..20_000).step_by(7) {
                let total = load.total(counter, seconds);
                assert!(total >= last, "{counter:?} steps back at {seconds}");
                last = total;
            }
        }
        let hour =
            |n: u64| load.total(Counter::Commands, n * 3600) - load.total(Counter::Commands, (n - 1) * 3600);
        assert_ne!(hour(5), hour(6));
    }

    #[test]
    fn no_ratio_is_shared_by_all_deckies() {
        let at = 1_234_567;
        let ratios = |one: Counter, other: Counter| {
            let seen: std::collections::BTreeSet<u64> = (0..20)
                .map(|n| Load::new(&FleetSecret::from_number(n).seed()))
                .map(|load| load.total(one, at) * 1_000_000 / load.total(other, at))
                .collect();
            seen.len()
        };
        for counter in ALL.into_iter().skip(1) {
            assert_eq!(ratios(counter, Counter::Commands), 20, "{counter:?}");
        }
        assert_eq!(ratios(Counter::CpuSys, Counter::CpuUser), 20);
    }
}
