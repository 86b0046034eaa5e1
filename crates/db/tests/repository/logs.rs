//! Reading lines: the query language against a filter in memory, pages, the live tail, the histogram.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use decnet_db::{LogQuery, LogRow, NewLog, Origin, Paging, Search, Term};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use crate::lines::{batch, line, start};
use crate::place::{Place, on_each};

const WORDS: [&str; 14] = [
    "root",
    "admin",
    "a b",
    "100%",
    "under_score",
    "back\\slash",
    "quo\"te",
    "o'hara",
    "bang!",
    "ünïcode",
    "x:y",
    "$.k",
    "*",
    "{}",
];
const KEYS: [&str; 5] = ["user", "path", "user.name", "dash-key", "n"];
const DECKIES: [&str; 3] = ["web-01", "web-02", "db_01"];
const SERVICES: [&str; 3] = ["ssh", "http", "redis"];
const IPS: [&str; 4] = ["198.51.100.1", "198.51.100.11", "2001:db8::1", "::ffff:203.0.113.5"];

/// Sixty lines that differ in everything a query can ask for.
fn corpus() -> Vec<NewLog> {
    (0..60u64)
        .map(|n| {
            let at = usize::try_from(n).unwrap();
            let mut log = NewLog {
                decky: DECKIES[at % 3].into(),
                service: SERVICES[at / 3 % 3].into(),
                event_type: ["auth", "command"][at % 2].into(),
                ..line("corpus", n, IPS[at % 4])
            };
            log.fields.insert(KEYS[at % 5].into(), Value::String(WORDS[at % 14].into()));
            log.fields.insert(KEYS[(at + 2) % 5].into(), Value::String(WORDS[(at * 5 + 3) % 14].into()));
            log.raw_line = format!(
                "Line {n} {} {}",
                WORDS[at * 3 % 14],
                WORDS[at * 11 % 14].to_uppercase().replace('Ü', "ü").replace('Ï', "ï")
            );
            log
        })
        .collect()
}

/// What the language means, in plain Rust.
fn matches(row: &LogRow, term: &Term) -> bool {
    let within = |text: &str, word: &str| text.to_ascii_lowercase().contains(&word.to_ascii_lowercase());
    match term {
        Term::Decky(name) => row.decky == *name,
        Term::Service(slug) => row.service == *slug,
        Term::Event(kind) => row.event_type == *kind,
        Term::Attacker(ip) => {
            ip.parse::<std::net::IpAddr>().map_or_else(|_| ip.clone(), |ip| ip.to_canonical().to_string())
                == row.attacker_ip
        }
        Term::Field(key, value) => row.fields.get(key).and_then(Value::as_str) == Some(value),
        Term::Word(word) => {
            [&row.raw_line, &row.decky, &row.service, &row.attacker_ip].iter().any(|text| within(text, word))
        }
    }
}

/// A word as a careful person would write it, or as a careless one would.
fn spelled(word: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![
        Just(format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))),
        Just(word.replace('\\', "\\\\").replace(' ', "\\ ").replace('"', "\\\"").replace('\'', "\\'")),
        Just(word.to_owned()),
    ]
}

fn term() -> impl Strategy<Value = String> {
    let word = || prop::sample::select(&WORDS[..]).prop_flat_map(spelled);
    prop_oneof![
        3 => word(),
        2 => "[a-zA-Z0-9%_!.*-]{1,4}",
        2 => (prop::sample::select(&KEYS[..]), word()).prop_map(|(key, word)| format!("{key}:{word}")),
        1 => (prop::sample::select(&["decky", "user", "service", "event", "attacker", "attacker-ip", "attacker_ip"][..]), prop::sample::select(&["web-01", "db_01", "ssh", "http", "auth", "198.51.100.1", "203.0.113.5", "2001:DB8::1", "%", ""][..]))
            .prop_map(|(key, value)| format!("{key}:{value}")),
        1 => "\\PC{0,6}",
    ]
}

async fn everything(place: &Place) -> Vec<LogRow> {
    place.db.logs().after_id(0, &Search::default(), 1000).await.unwrap()
}

#[tokio::test]
async fn the_query_language_agrees_with_a_filter_in_memory() {
    on_each(async |place| {
        place.db.ingest(&batch(corpus()), |_| Vec::new()).await.unwrap();
        let all = everything(place).await;
        assert_eq!(all.len(), 60);
        let mut runner = TestRunner::default();
        let queries = prop::collection::vec(term(), 0..4).prop_map(|terms| terms.join(" "));
        let mut hits = 0;
        for _ in 0..400 {
            let text = queries.new_tree(&mut runner).unwrap().current();
            let Ok(search) = Search::parse(&text) else { continue };
            let expected: Vec<i64> = all
                .iter()
                .rev()
                .filter(|row| search.terms.iter().all(|term| matches(row, term)))
                .map(|row| row.id)
                .collect();
            let query = LogQuery {
                search: search.clone(),
                paging: Paging { limit: 1000, offset: 0 },
                ..LogQuery::default()
            };
            let page = place.db.logs().page(&query).await.unwrap();
            let found: Vec<i64> = page.data.iter().map(|row| row.id).collect();
            assert_eq!(found, expected, "{} of {text:?}: {search:?}", place.db.kind());
            assert_eq!(page.total, expected.len() as u64);
            hits += usize::from(!expected.is_empty() && expected.len() < 60);
        }
        assert!(hits > 50, "only {hits} queries told lines apart: the generator is too wild");
    })
    .await;
}

#[tokio::test]
async fn two_fields_are_both_asked_for() {
    on_each(async |place| {
        let mut log = line("a", 0, IPS[0]);
        log.fields.insert("user".into(), Value::String("root".into()));
        log.fields.insert("path".into(), Value::String("/tmp".into()));
        place.db.ingest(&batch(vec![log, line("a", 1, IPS[0])]), |_| Vec::new()).await.unwrap();
        for (text, expected) in
            [("user:root path:/tmp", 1), ("user:root path:/etc", 0), ("user:admin path:/tmp", 0)]
        {
            let query = LogQuery { search: Search::parse(text).unwrap(), ..LogQuery::default() };
            assert_eq!(place.db.logs().count(&query).await.unwrap(), (expected, false), "{text}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_line_comes_back_as_it_went_in() {
    on_each(async |place| {
        let mut log = corpus().remove(7);
        log.msg = Some("free text".into());
        log.trace_id = Some("4bf92f3577b34da6a3ce929d0e0e4736".into());
        log.span_id = Some("00f067aa0ba902b7".into());
        log.conn_id = Some("0190".into());
        log.fields.insert("headers".into(), serde_json::json!({"Host": "x", "Accept": "y", "A": ["b"]}));
        place.db.ingest(&batch(vec![log.clone()]), |_| Vec::new()).await.unwrap();
        let row = everything(place).await.remove(0);
        assert_eq!(row.timestamp, log.timestamp, "microseconds are kept");
        assert_eq!(
            serde_json::to_string(&row.fields).unwrap(),
            serde_json::to_string(&log.fields).unwrap(),
            "order is kept"
        );
        assert_eq!(row.attacker_ip, "203.0.113.5", "addresses are canonical");
        assert_eq!((row.decky, row.service, row.event_type), (log.decky, log.service, log.event_type));
        assert_eq!(
            (row.raw_line, row.msg, row.trace_id, row.span_id),
            (log.raw_line, log.msg, log.trace_id, log.span_id)
        );
        assert_eq!(
            (row.src_port, row.conn_id, row.origin, row.forged),
            (log.src_port, log.conn_id, Origin::Attacker, false)
        );
        assert_eq!((row.host_uuid, row.source, row.seq), (log.host_uuid, log.source, log.seq));
        assert_eq!(place.db.logs().get(row.id).await.unwrap().map(|row| row.id), Some(row.id));
    })
    .await;
}

#[tokio::test]
async fn pages_by_cursor_miss_nothing_while_lines_arrive() {
    on_each(async |place| {
        place.db.ingest(&batch(corpus()), |_| Vec::new()).await.unwrap();
        let all: Vec<i64> = everything(place).await.iter().rev().map(|row| row.id).collect();
        let (mut seen, mut before_id) = (Vec::new(), None);
        loop {
            let query = LogQuery { before_id, paging: Paging { limit: 7, offset: 0 }, ..LogQuery::default() };
            let page = place.db.logs().page(&query).await.unwrap();
            let Some(last) = page.data.last() else { break };
            before_id = Some(last.id);
            seen.extend(page.data.iter().map(|row| row.id));
            let n = 1000 + seen.len() as u64;
            place.db.ingest(&batch(vec![line("late", n, IPS[0])]), |_| Vec::new()).await.unwrap();
        }
        assert_eq!(seen, all);
        let tail = place.db.logs().after_id(all[0], &Search::default(), 1000).await.unwrap();
        assert_eq!(tail.len(), 9, "the tail has the late lines, oldest first");
        assert!(tail.windows(2).all(|pair| pair[0].id < pair[1].id));
        assert_eq!(place.db.logs().last_id().await.unwrap(), tail[8].id);
    })
    .await;
}

#[tokio::test]
async fn times_and_origins_bound_a_query() {
    on_each(async |place| {
        let mut logs = corpus();
        logs[3].origin = Origin::Life;
        place.db.ingest(&batch(logs), |_| Vec::new()).await.unwrap();
        let query = LogQuery {
            start_time: Some(start() + TimeDelta::seconds(10)),
            end_time: Some(start() + TimeDelta::seconds(20)),
            ..LogQuery::default()
        };
        assert_eq!(place.db.logs().count(&query).await.unwrap(), (10, false));
        let life = LogQuery { origin: Some(Origin::Life), ..LogQuery::default() };
        assert_eq!(place.db.logs().count(&life).await.unwrap(), (1, false));
        assert_eq!(place.db.logs().of_attacker(IPS[0], "auth", 200).await.unwrap().len(), 15);
    })
    .await;
}

#[tokio::test]
async fn the_histogram_counts_every_line_in_its_interval() {
    on_each(async |place| {
        let mut logs = corpus();
        for (n, log) in (0i64..).zip(&mut logs) {
            log.timestamp = start() + TimeDelta::seconds(n * n * 7);
        }
        let mut expected: BTreeMap<i64, u64> = BTreeMap::new();
        for log in &logs {
            *expected.entry(log.timestamp.timestamp() / 900 * 900).or_default() += 1;
        }
        place.db.ingest(&batch(logs), |_| Vec::new()).await.unwrap();
        let buckets = place.db.logs().histogram(&LogQuery::default(), TimeDelta::minutes(15)).await.unwrap();
        let found: BTreeMap<i64, u64> =
            buckets.iter().map(|bucket| (bucket.time.timestamp(), bucket.count)).collect();
        assert_eq!(found, expected);
        assert!(buckets.windows(2).all(|pair| pair[0].time < pair[1].time));
    })
    .await;
}

#[tokio::test]
async fn old_lines_are_pruned_in_steps() {
    on_each(async |place| {
        place.db.ingest(&batch(corpus()), |_| Vec::new()).await.unwrap();
        let before = start() + TimeDelta::seconds(25);
        let mut steps = Vec::new();
        loop {
            let gone = place.db.logs().prune(before, 10).await.unwrap();
            if gone == 0 {
                break;
            }
            steps.push(gone);
        }
        assert_eq!(steps, vec![10, 10, 5]);
        assert!(everything(place).await.iter().all(|row| row.timestamp >= before));
    })
    .await;
}
