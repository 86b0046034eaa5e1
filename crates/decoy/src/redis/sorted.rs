//! Commands on sorted sets, and the SCAN family.

use super::{
    call::{Call, Outcome, float, range, score},
    glob::matches,
    reply::Reply,
    request::number,
    store::Value,
};

type Members = Vec<(f64, Vec<u8>)>;

/// Runs a command of this family.
pub fn run(call: &mut Call<'_>, name: &str) -> Option<Outcome> {
    Some(match name {
        "zadd" => zadd(call),
        "zincrby" => zincrby(call),
        "zrem" => zrem(call),
        "zcard" => zset(call, |members, _| Ok(Reply::count(members.len()))),
        "zscore" => zset(call, |members, call| {
            Ok(members
                .iter()
                .find(|(_, member)| member == call.arg(2))
                .map_or(Reply::Null, |(score, _)| Reply::Double(*score)))
        }),
        "zrank" => zset(call, |members, call| {
            Ok(members.iter().position(|(_, member)| member == call.arg(2)).map_or(Reply::Null, Reply::count))
        }),
        "zcount" => zset(call, |members, call| {
            let (low, high) = (limit(call, 2)?, limit(call, 3)?);
            Ok(Reply::count(
                members.iter().filter(|(score, _)| low.below(*score) && high.above(*score)).count(),
            ))
        }),
        "zrange" | "zrevrange" => zset(call, |members, call| zrange(members, call, call_is_reversed(call))),
        "zrangebyscore" => zset(call, |members, call| {
            let (low, high) = (limit(call, 2)?, limit(call, 3)?);
            let hits = members
                .iter()
                .filter(|(score, _)| low.below(*score) && high.above(*score))
                .cloned()
                .collect();
            Ok(shown(hits, call, 4))
        }),
        "scan" => scan(call),
        "hscan" | "sscan" | "zscan" => scan_inside(call, name),
        _ => return None,
    })
}

fn call_is_reversed(call: &Call<'_>) -> bool {
    call.upper(0) == "ZREVRANGE"
}

fn zset(call: &mut Call<'_>, read: impl FnOnce(&Members, &Call<'_>) -> Outcome) -> Outcome {
    let members = call.view(call.arg(1), Members::new(), |value| match value {
        Value::Zset(members) => Some(members.clone()),
        _ => None,
    })?;
    read(&members, call)
}

fn zset_mut<R>(call: &mut Call<'_>, change: impl FnOnce(&mut Members) -> R) -> Result<R, Reply> {
    call.change(
        call.arg(1),
        || Value::Zset(Vec::new()),
        |value| match value {
            Value::Zset(members) => {
                let result = change(members);
                members.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
                Some(result)
            }
            _ => None,
        },
    )
}

fn zadd(call: &mut Call<'_>) -> Outcome {
    let mut at = 2;
    let (mut only_new, mut only_old, mut changed) = (false, false, false);
    loop {
        match call.upper(at).as_str() {
            "NX" => only_new = true,
            "XX" => only_old = true,
            "CH" => changed = true,
            _ => break,
        }
        at += 1;
    }
    let given = call.rest(at);
    if given.is_empty() || !given.len().is_multiple_of(2) {
        return Err(Reply::err("syntax error"));
    }
    if only_new && only_old {
        return Err(Reply::err("XX and NX options at the same time are not compatible"));
    }
    let mut parsed = Vec::new();
    for pair in given.chunks_exact(2) {
        if let [score, member] = pair {
            parsed.push((float(score).ok_or_else(|| Reply::err("value is not a valid float"))?, member));
        }
    }
    call.room()?;
    let count = zset_mut(call, |members| {
        let (mut added, mut updated) = (0, 0);
        for (score, member) in parsed {
            match members.iter_mut().find(|(_, known)| known == member) {
                Some(known) if !only_new => {
                    updated += usize::from((known.0 - score).abs() > 0.0);
                    known.0 = score;
                }
                None if !only_old => {
                    members.push((score, member.clone()));
                    added += 1;
                }
                _ => {}
            }
        }
        if changed { added + updated } else { added }
    })?;
    Ok(Reply::count(count))
}

fn zincrby(call: &mut Call<'_>) -> Outcome {
    let (by, member) = (call.float(2)?, call.arg(3));
    call.room()?;
    let new = zset_mut(call, |members| {
        if let Some(known) = members.iter_mut().find(|(_, known)| known == member) {
            known.0 += by;
            return known.0;
        }
        members.push((by, member.to_vec()));
        by
    })?;
    Ok(Reply::Double(new))
}

fn zrem(call: &mut Call<'_>) -> Outcome {
    let gone = call.rest(2);
    let count = zset_mut(call, |members| {
        let before = members.len();
        members.retain(|(_, member)| !gone.contains(member));
        before - members.len()
    })?;
    Ok(Reply::count(count))
}

fn zrange(members: &Members, call: &Call<'_>, reversed: bool) -> Outcome {
    let (start, stop) = (call.int(2)?, call.int(3)?);
    let mut ordered = members.clone();
    if reversed {
        ordered.reverse();
    }
    let hits =
        range(start, stop, ordered.len()).and_then(|(from, to)| ordered.get(from..=to)).unwrap_or_default();
    Ok(shown(hits.to_vec(), call, 4))
}

/// Members, with their scores if asked for.
fn shown(members: Members, call: &Call<'_>, at: usize) -> Reply {
    let with_scores = (at..call.args.len()).any(|at| call.upper(at) == "WITHSCORES");
    if with_scores && call.session.resp3 {
        return Reply::Array(
            members
                .into_iter()
                .map(|(score, member)| Reply::Array(vec![Reply::Bulk(member), Reply::Double(score)]))
                .collect(),
        );
    }
    let flat = members
        .into_iter()
        .flat_map(|(value, member)| if with_scores { vec![member, score(value)] } else { vec![member] });
    Reply::list(flat)
}

/// One end of a range of scores.
struct Limit {
    value: f64,
    open: bool,
}

impl Limit {
    fn below(&self, score: f64) -> bool {
        if self.open { self.value < score } else { self.value <= score }
    }

    fn above(&self, score: f64) -> bool {
        if self.open { self.value > score } else { self.value >= score }
    }
}

fn limit(call: &Call<'_>, at: usize) -> Result<Limit, Reply> {
    let text = call.arg(at);
    let (open, digits) = text.strip_prefix(b"(").map_or((false, text), |rest| (true, rest));
    let value = float(digits).ok_or_else(|| Reply::err("min or max is not a float"))?;
    Ok(Limit { value, open })
}

/// What a scan was asked for.
struct Wanted {
    cursor: u64,
    count: usize,
    pattern: Option<Vec<u8>>,
    kind: Option<Vec<u8>>,
}

fn wanted(call: &Call<'_>, at: usize, typed: bool) -> Result<Wanted, Reply> {
    let cursor = std::str::from_utf8(call.arg(at))
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Reply::err("invalid cursor"))?;
    let mut wanted = Wanted { cursor, count: 10, pattern: None, kind: None };
    let mut at = at + 1;
    while at < call.args.len() {
        let value = call.args.get(at + 1).ok_or_else(|| Reply::err("syntax error"))?;
        match call.upper(at).as_str() {
            "COUNT" => {
                let count =
                    number(value).ok_or_else(|| Reply::err("value is not an integer or out of range"))?;
                wanted.count = usize::try_from(count)
                    .ok()
                    .filter(|count| *count > 0)
                    .ok_or_else(|| Reply::err("syntax error"))?;
            }
            "MATCH" => wanted.pattern = Some(value.clone()),
            "TYPE" if typed => wanted.kind = Some(value.to_ascii_lowercase()),
            _ => return Err(Reply::err("syntax error")),
        }
        at += 2;
    }
    Ok(wanted)
}

fn scan(call: &mut Call<'_>) -> Outcome {
    let wanted = wanted(call, 1, call.shared.release.since(600))?;
    let db = call.db();
    let (next, keys) = call.shared.store.scan(db, wanted.cursor, wanted.count);
    let hits = keys.into_iter().filter(|key| {
        wanted.pattern.as_ref().is_none_or(|pattern| matches(pattern, key, false))
            && wanted.kind.as_ref().is_none_or(|kind| {
                call.shared.store.get(db, key).is_some_and(|entry| entry.value.kind().as_bytes() == kind)
            })
    });
    Ok(Reply::Array(vec![Reply::bulk(next.to_string()), Reply::list(hits.collect::<Vec<_>>())]))
}

/// Small collections come in one piece, as they do upstream.
fn scan_inside(call: &mut Call<'_>, name: &str) -> Outcome {
    let wanted = wanted(call, 2, false)?;
    let items = call.view(call.arg(1), Vec::new(), |value| match (value, name) {
        (Value::Hash(pairs), "hscan") => {
            Some(pairs.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect())
        }
        (Value::Set(members), "sscan") => Some(members.iter().map(|member| (member.clone(), None)).collect()),
        (Value::Zset(members), "zscan") => {
            Some(members.iter().map(|(value, member)| (member.clone(), Some(score(*value)))).collect())
        }
        _ => None,
    })?;
    let hits = items
        .into_iter()
        .filter(|(key, _)| wanted.pattern.as_ref().is_none_or(|pattern| matches(pattern, key, false)))
        .flat_map(|(key, value)| std::iter::once(key).chain(value));
    Ok(Reply::Array(vec![Reply::bulk("0"), Reply::list(hits)]))
}
