//! Planned actions a second on one core: `plan_bench [DECKIES] [DAYS]` plans the life of an invented fleet, texts included, and
//! keeps its state, as the orchestrator does between acts. Run it in release.

use std::time::Instant;

use anyhow::Context;
use decnet_realism::{
    Pool,
    lab::{Life, Line},
    persona::parse::{Mode, strict},
};

fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args().skip(1);
    let deckies = numbers.next().map_or(Ok(200), |text| text.parse()).context("DECKIES is a number")?;
    let days = numbers.next().map_or(Ok(14), |text| text.parse()).context("DAYS is a number")?;
    let people = include_bytes!("../../../docs/examples/personas.json");
    let pool = Pool::new(strict(people, "en", Mode::Read)?.personas);
    let start = "2026-03-23T00:00:00Z".parse()?;
    let began = Instant::now();
    let actions = Life::new(&pool, deckies, days, 1, start).count();
    let planned = began.elapsed();
    let began = Instant::now();
    let mut life = Life::new(&pool, deckies, days, 1, start);
    let mut bytes = 0;
    while let Some(action) = life.next() {
        bytes += serde_json::to_vec(&Line::of(&action, life.fleet()))?.len();
    }
    let printed = began.elapsed();
    println!(
        "{actions} actions of {deckies} deckies in {days} days: {:.0} a second planned; {:.0} a second as lines ({} MiB)",
        per_second(actions, planned),
        per_second(actions, printed),
        bytes >> 20,
    );
    Ok(())
}

fn per_second(count: usize, time: std::time::Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / time.as_secs_f64()
}
