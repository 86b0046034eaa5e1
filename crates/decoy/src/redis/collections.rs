//! Commands on hashes, lists and sets.

use std::collections::VecDeque;

use super::{
    call::{Call, Outcome, range},
    reply::Reply,
    store::Value,
};

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Runs a command of this family.
pub fn run(call: &mut Call<'_>, name: &str) -> Option<Outcome> {
    Some(match name {
        "hset" | "hmset" => hset(call, name),
        "hsetnx" => hsetnx(call),
        "hget" => hash(call, |pairs, call| find(pairs, call.arg(2)).map_or(Reply::Null, Reply::bulk)),
        "hmget" => hash(call, |pairs, call| {
            Reply::Array(
                call.rest(2)
                    .iter()
                    .map(|field| find(pairs, field).map_or(Reply::Null, Reply::bulk))
                    .collect(),
            )
        }),
        "hgetall" => hash(call, |pairs, _| {
            Reply::Map(
                pairs
                    .iter()
                    .map(|(key, value)| (Reply::bulk(key.clone()), Reply::bulk(value.clone())))
                    .collect(),
            )
        }),
        "hkeys" => hash(call, |pairs, _| Reply::list(pairs.iter().map(|(key, _)| key.clone()))),
        "hvals" => hash(call, |pairs, _| Reply::list(pairs.iter().map(|(_, value)| value.clone()))),
        "hlen" => hash(call, |pairs, _| Reply::count(pairs.len())),
        "hexists" => hash(call, |pairs, call| Reply::Int(i64::from(find(pairs, call.arg(2)).is_some()))),
        "hstrlen" => hash(call, |pairs, call| Reply::count(find(pairs, call.arg(2)).map_or(0, <[u8]>::len))),
        "hdel" => hdel(call),
        "hincrby" => hincrby(call),
        "lpush" | "rpush" | "lpushx" | "rpushx" => push(call, name),
        "lpop" | "rpop" => pop(call, name == "lpop"),
        "llen" => list(call, |items, _| Ok(Reply::count(items.len()))),
        "lrange" => list(call, |items, call| {
            let (start, stop) = (call.int(2)?, call.int(3)?);
            Ok(Reply::list(
                range(start, stop, items.len())
                    .map_or_else(Vec::new, |(from, to)| items.range(from..=to).cloned().collect()),
            ))
        }),
        "lindex" => list(call, |items, call| {
            let at = call.int(2)?;
            Ok(range(at, at, items.len())
                .and_then(|(from, _)| items.get(from))
                .map_or(Reply::Null, |item| Reply::bulk(item.clone())))
        }),
        "lset" => lset(call),
        "lrem" => lrem(call),
        "ltrim" => ltrim(call),
        "sadd" => sadd(call),
        "srem" => srem(call),
        "scard" => set(call, |members, _| Reply::count(members.len())),
        "smembers" => set(call, |members, _| {
            Reply::Set(members.iter().map(|member| Reply::bulk(member.clone())).collect())
        }),
        "sismember" => set(call, |members, call| {
            Reply::Int(i64::from(members.iter().any(|member| member == call.arg(2))))
        }),
        "smismember" => set(call, |members, call| {
            Reply::Array(
                call.rest(2).iter().map(|one| Reply::Int(i64::from(members.contains(one)))).collect(),
            )
        }),
        "srandmember" => set(call, |members, call| {
            let at =
                usize::try_from(call.now.unsigned_abs()).unwrap_or(0).checked_rem(members.len()).unwrap_or(0);
            members.get(at).map_or(Reply::Null, |member| Reply::bulk(member.clone()))
        }),
        _ => return None,
    })
}

fn find<'p>(pairs: &'p Pairs, field: &[u8]) -> Option<&'p [u8]> {
    pairs.iter().find(|(key, _)| key == field).map(|(_, value)| value.as_slice())
}

/// A reading command on a hash.
fn hash(call: &mut Call<'_>, read: impl FnOnce(&Pairs, &Call<'_>) -> Reply) -> Outcome {
    let pairs = call.view(call.arg(1), Pairs::new(), |value| match value {
        Value::Hash(pairs) => Some(pairs.clone()),
        _ => None,
    })?;
    Ok(read(&pairs, call))
}

/// A reading command on a list.
fn list(call: &mut Call<'_>, read: impl FnOnce(&VecDeque<Vec<u8>>, &Call<'_>) -> Outcome) -> Outcome {
    let items = call.view(call.arg(1), VecDeque::new(), |value| match value {
        Value::List(items) => Some(items.clone()),
        _ => None,
    })?;
    read(&items, call)
}

/// A reading command on a set.
fn set(call: &mut Call<'_>, read: impl FnOnce(&Vec<Vec<u8>>, &Call<'_>) -> Reply) -> Outcome {
    let members = call.view(call.arg(1), Vec::new(), |value| match value {
        Value::Set(members) => Some(members.clone()),
        _ => None,
    })?;
    Ok(read(&members, call))
}

fn hash_mut<R>(call: &mut Call<'_>, change: impl FnOnce(&mut Pairs) -> R) -> Result<R, Reply> {
    call.change(
        call.arg(1),
        || Value::Hash(Vec::new()),
        |value| match value {
            Value::Hash(pairs) => Some(change(pairs)),
            _ => None,
        },
    )
}

fn list_mut<R>(call: &mut Call<'_>, change: impl FnOnce(&mut VecDeque<Vec<u8>>) -> R) -> Result<R, Reply> {
    call.change(
        call.arg(1),
        || Value::List(VecDeque::new()),
        |value| match value {
            Value::List(items) => Some(change(items)),
            _ => None,
        },
    )
}

fn put(pairs: &mut Pairs, field: &[u8], value: &[u8]) -> bool {
    if let Some((_, old)) = pairs.iter_mut().find(|(key, _)| key == field) {
        *old = value.to_vec();
        return false;
    }
    pairs.push((field.to_vec(), value.to_vec()));
    true
}

fn hset(call: &mut Call<'_>, name: &str) -> Outcome {
    let given = call.rest(2);
    if !given.len().is_multiple_of(2)
        || (name == "hset" && given.len() > 2 && !call.shared.release.since(400))
    {
        return Err(if call.shared.release.since(700) || name == "hset" {
            Call::arity(name)
        } else {
            Reply::err("wrong number of arguments for HMSET")
        });
    }
    call.room()?;
    let added = hash_mut(call, |pairs| {
        given
            .chunks_exact(2)
            .filter(|pair| matches!(pair, [field, value] if put(pairs, field, value)))
            .count()
    })?;
    Ok(if name == "hmset" { Reply::ok() } else { Reply::count(added) })
}

fn hsetnx(call: &mut Call<'_>) -> Outcome {
    call.room()?;
    let (field, value) = (call.arg(2), call.arg(3));
    let added = hash_mut(call, |pairs| find(pairs, field).is_none() && put(pairs, field, value))?;
    Ok(Reply::Int(i64::from(added)))
}

fn hdel(call: &mut Call<'_>) -> Outcome {
    let fields = call.rest(2);
    let gone = hash_mut(call, |pairs| {
        let before = pairs.len();
        pairs.retain(|(key, _)| !fields.contains(key));
        before - pairs.len()
    })?;
    Ok(Reply::count(gone))
}

fn hincrby(call: &mut Call<'_>) -> Outcome {
    let (field, by) = (call.arg(2), call.int(3)?);
    call.room()?;
    hash_mut(call, |pairs| {
        let old = find(pairs, field)
            .map_or(Some(0), super::request::number)
            .ok_or_else(|| Reply::err("hash value is not an integer"))?;
        let new = old.checked_add(by).ok_or_else(|| Reply::err("increment or decrement would overflow"))?;
        put(pairs, field, new.to_string().as_bytes());
        Ok(Reply::Int(new))
    })?
}

fn push(call: &mut Call<'_>, name: &str) -> Outcome {
    call.room()?;
    let values = call.rest(2);
    if name.ends_with('x') && call.shared.store.get(call.db(), call.arg(1)).is_none() {
        return Ok(Reply::Int(0));
    }
    let front = name.starts_with('l');
    let length = list_mut(call, |items| {
        for value in values {
            if front {
                items.push_front(value.clone());
            } else {
                items.push_back(value.clone());
            }
        }
        items.len()
    })?;
    Ok(Reply::count(length))
}

fn pop(call: &mut Call<'_>, front: bool) -> Outcome {
    let count = if call.args.len() > 2 {
        Some(
            usize::try_from(call.int(2)?)
                .map_err(|_| Reply::err("value is out of range, must be positive"))?,
        )
    } else {
        None
    };
    let missing = call.shared.store.get(call.db(), call.arg(1)).is_none();
    let taken = list_mut(call, |items| {
        let take = count.unwrap_or(1).min(items.len());
        (0..take).filter_map(|_| if front { items.pop_front() } else { items.pop_back() }).collect::<Vec<_>>()
    })?;
    Ok(match count {
        Some(_) if missing => Reply::NullArray,
        Some(_) => Reply::list(taken),
        None => taken.into_iter().next().map_or(Reply::Null, Reply::Bulk),
    })
}

fn lset(call: &mut Call<'_>) -> Outcome {
    let at = call.int(2)?;
    let value = call.arg(3).to_vec();
    if call.shared.store.get(call.db(), call.arg(1)).is_none() {
        return Err(Reply::err("no such key"));
    }
    list_mut(call, |items| match range(at, at, items.len()).and_then(|(from, _)| items.get_mut(from)) {
        Some(item) => {
            *item = value;
            Ok(Reply::ok())
        }
        None => Err(Reply::err("index out of range")),
    })?
}

fn lrem(call: &mut Call<'_>) -> Outcome {
    let (count, value) = (call.int(2)?, call.arg(3));
    let gone = list_mut(call, |items| {
        let limit = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        let limit = if count == 0 { usize::MAX } else { limit };
        let mut gone = 0;
        let mut keep = |item: &Vec<u8>| {
            let hit = item == value && gone < limit;
            gone += usize::from(hit);
            !hit
        };
        if count < 0 {
            let mut kept: Vec<Vec<u8>> = items.drain(..).rev().filter(|item| keep(item)).collect();
            kept.reverse();
            items.extend(kept);
        } else {
            items.retain(|item| keep(item));
        }
        gone
    })?;
    Ok(Reply::count(gone))
}

fn ltrim(call: &mut Call<'_>) -> Outcome {
    let (start, stop) = (call.int(2)?, call.int(3)?);
    list_mut(call, |items| match range(start, stop, items.len()) {
        Some((from, to)) => {
            items.truncate(to + 1);
            items.drain(..from);
        }
        None => items.clear(),
    })?;
    Ok(Reply::ok())
}

fn sadd(call: &mut Call<'_>) -> Outcome {
    call.room()?;
    let values = call.rest(2);
    let added = call.change(
        call.arg(1),
        || Value::Set(Vec::new()),
        |value| match value {
            Value::Set(members) => {
                let before = members.len();
                for value in values {
                    if !members.contains(value) {
                        members.push(value.clone());
                    }
                }
                Some(members.len() - before)
            }
            _ => None,
        },
    )?;
    Ok(Reply::count(added))
}

fn srem(call: &mut Call<'_>) -> Outcome {
    let values = call.rest(2);
    let gone = call.change(
        call.arg(1),
        || Value::Set(Vec::new()),
        |value| match value {
            Value::Set(members) => {
                let before = members.len();
                members.retain(|member| !values.contains(member));
                Some(before - members.len())
            }
            _ => None,
        },
    )?;
    Ok(Reply::count(gone))
}
