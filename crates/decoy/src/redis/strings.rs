//! Commands on strings and counters.

use super::{
    call::{Call, Outcome, range, wrong_type},
    reply::{Reply, double},
    store::{Entry, Value},
};

/// Longest string that APPEND and SETRANGE may make.
const STRING_MAX: usize = super::request::BULK_MAX;

/// Runs a command of this family.
pub fn run(call: &mut Call<'_>, name: &str) -> Option<Outcome> {
    Some(match name {
        "get" => call.string(call.arg(1)).map(or_null),
        "set" => set(call),
        "setnx" => setnx(call),
        "setex" => setex(call, "setex", 1000),
        "psetex" => setex(call, "psetex", 1),
        "getset" => getset(call),
        "getdel" => getdel(call),
        "mget" => Ok(mget(call)),
        "mset" => mset(call, false),
        "msetnx" => mset(call, true),
        "append" => append(call),
        "strlen" => call.string(call.arg(1)).map(|value| Reply::count(value.unwrap_or_default().len())),
        "getrange" | "substr" => getrange(call),
        "setrange" => setrange(call),
        "incr" => add(call, Ok(1)),
        "decr" => add(call, Ok(-1)),
        "incrby" => add(call, call.int(2)),
        "decrby" => add(call, call.int(2).map(i64::wrapping_neg)),
        "incrbyfloat" => incrbyfloat(call),
        _ => return None,
    })
}

fn or_null(value: Option<Vec<u8>>) -> Reply {
    value.map_or(Reply::Null, Reply::Bulk)
}

fn set(call: &mut Call<'_>) -> Outcome {
    let (key, value) = (call.arg(1), call.arg(2).to_vec());
    let (mut only_new, mut only_old, mut keep, mut get) = (false, false, false, false);
    let mut expires = None;
    let mut at = 3;
    while at < call.args.len() {
        match call.upper(at).as_str() {
            "NX" if !only_old => only_new = true,
            "XX" if !only_new => only_old = true,
            "KEEPTTL" if expires.is_none() && call.shared.release.since(600) => keep = true,
            "GET" if call.shared.release.since(602) => get = true,
            unit @ ("EX" | "PX" | "EXAT" | "PXAT")
                if expires.is_none() && !keep && at + 1 < call.args.len() =>
            {
                at += 1;
                let number = call.int(at)?;
                expires = Some(
                    expiry(unit, number, call.now)
                        .ok_or_else(|| Reply::Error(call.shared.release.invalid_expire("set")))?,
                );
            }
            _ => return Err(Reply::err("syntax error")),
        }
        at += 1;
    }
    call.room()?;
    let before = call.shared.store.get(call.db(), key).cloned();
    let old = match &before {
        Some(Entry { value: Value::Str(bytes), .. }) => Reply::Bulk(bytes.clone()),
        Some(_) if get => return Err(wrong_type()),
        _ => Reply::Null,
    };
    let blocked = (only_new && before.is_some()) || (only_old && before.is_none());
    if !blocked {
        let kept = before.and_then(|entry| entry.expires).filter(|_| keep);
        call.set(key, value, expires.or(kept));
    }
    Ok(match (get, blocked) {
        (true, _) => old,
        (false, true) => Reply::Null,
        (false, false) => Reply::ok(),
    })
}

/// When a key ends; `None` for a time that makes no sense.
pub fn expiry(unit: &str, number: i64, now: i64) -> Option<i64> {
    if number <= 0 {
        return None;
    }
    match unit {
        "EX" => number.checked_mul(1000)?.checked_add(now),
        "PX" => number.checked_add(now),
        "EXAT" => number.checked_mul(1000),
        _ => Some(number),
    }
}

fn setnx(call: &mut Call<'_>) -> Outcome {
    call.room()?;
    let key = call.arg(1);
    if call.shared.store.get(call.db(), key).is_some() {
        return Ok(Reply::Int(0));
    }
    call.set(key, call.arg(2).to_vec(), None);
    Ok(Reply::Int(1))
}

fn setex(call: &mut Call<'_>, name: &str, unit: i64) -> Outcome {
    let number = call.int(2)?;
    let at = (number > 0).then(|| number.checked_mul(unit)?.checked_add(call.now)).flatten();
    let at = at.ok_or_else(|| Reply::Error(call.shared.release.invalid_expire(name)))?;
    call.room()?;
    call.set(call.arg(1), call.arg(3).to_vec(), Some(at));
    Ok(Reply::ok())
}

fn getset(call: &mut Call<'_>) -> Outcome {
    call.room()?;
    let old = call.string(call.arg(1))?;
    call.set(call.arg(1), call.arg(2).to_vec(), None);
    Ok(or_null(old))
}

fn getdel(call: &mut Call<'_>) -> Outcome {
    let old = call.string(call.arg(1))?;
    if old.is_some() {
        call.shared.store.remove(call.db(), call.arg(1));
        call.shared.store.dirty += 1;
    }
    Ok(or_null(old))
}

fn mget(call: &mut Call<'_>) -> Reply {
    let items = call.rest(1).iter().map(|key| or_null(call.string(key).ok().flatten())).collect();
    Reply::Array(items)
}

fn mset(call: &mut Call<'_>, only_new: bool) -> Outcome {
    let pairs = call.rest(1);
    if !pairs.len().is_multiple_of(2) {
        return Err(if call.shared.release.since(700) {
            Call::arity(if only_new { "msetnx" } else { "mset" })
        } else {
            Reply::err("wrong number of arguments for MSET")
        });
    }
    call.room()?;
    let db = call.db();
    if only_new
        && pairs
            .chunks_exact(2)
            .any(|pair| pair.first().is_some_and(|key| call.shared.store.get(db, key).is_some()))
    {
        return Ok(Reply::Int(0));
    }
    for pair in pairs.chunks_exact(2) {
        if let [key, value] = pair {
            call.set(key, value.clone(), None);
        }
    }
    Ok(if only_new { Reply::Int(1) } else { Reply::ok() })
}

fn append(call: &mut Call<'_>) -> Outcome {
    call.room()?;
    let tail = call.arg(2);
    let length = call.change(
        call.arg(1),
        || Value::Str(Vec::new()),
        |value| match value {
            Value::Str(bytes) if bytes.len() + tail.len() > STRING_MAX => Some(None),
            Value::Str(bytes) => {
                bytes.extend_from_slice(tail);
                Some(Some(bytes.len()))
            }
            _ => None,
        },
    )?;
    length.map(Reply::count).ok_or_else(too_long)
}

fn too_long() -> Reply {
    Reply::err("string exceeds maximum allowed size (proto-max-bulk-len)")
}

fn getrange(call: &mut Call<'_>) -> Outcome {
    let (start, stop) = (call.int(2)?, call.int(3)?);
    let bytes = call.string(call.arg(1))?.unwrap_or_default();
    let part = range(start, stop, bytes.len()).and_then(|(from, to)| bytes.get(from..=to));
    Ok(Reply::bulk(part.unwrap_or_default()))
}

fn setrange(call: &mut Call<'_>) -> Outcome {
    let offset = usize::try_from(call.int(2)?).map_err(|_| Reply::err("offset is out of range"))?;
    let part = call.arg(3);
    call.room()?;
    if part.is_empty() {
        return Ok(Reply::count(call.string(call.arg(1))?.unwrap_or_default().len()));
    }
    let end = offset.checked_add(part.len()).filter(|end| *end <= STRING_MAX).ok_or_else(too_long)?;
    let length = call.change(
        call.arg(1),
        || Value::Str(Vec::new()),
        |value| match value {
            Value::Str(bytes) => {
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes.splice(offset..end, part.iter().copied());
                Some(bytes.len())
            }
            _ => None,
        },
    )?;
    Ok(Reply::count(length))
}

fn add(call: &mut Call<'_>, by: Result<i64, Reply>) -> Outcome {
    let by = by?;
    call.room()?;
    let not_integer = || Reply::err("value is not an integer or out of range");
    let old = call.string(call.arg(1))?.unwrap_or_else(|| b"0".to_vec());
    let old = super::request::number(&old).ok_or_else(not_integer)?;
    let new = old.checked_add(by).ok_or_else(|| Reply::err("increment or decrement would overflow"))?;
    rewrite(call, new.to_string().into_bytes())?;
    Ok(Reply::Int(new))
}

fn incrbyfloat(call: &mut Call<'_>) -> Outcome {
    let by = call.float(2)?;
    call.room()?;
    let old = call.string(call.arg(1))?.unwrap_or_else(|| b"0".to_vec());
    let new = super::call::float(&old).ok_or_else(|| Reply::err("value is not a valid float"))? + by;
    if !new.is_finite() {
        return Err(Reply::err("increment would produce NaN or Infinity"));
    }
    rewrite(call, double(new).into_bytes())?;
    Ok(Reply::bulk(double(new)))
}

/// Replaces a string but keeps its time to live.
fn rewrite(call: &mut Call<'_>, bytes: Vec<u8>) -> Result<(), Reply> {
    call.change(
        call.arg(1),
        || Value::Str(Vec::new()),
        |value| match value {
            Value::Str(old) => {
                *old = bytes;
                Some(())
            }
            _ => None,
        },
    )
}
