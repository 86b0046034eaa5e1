//! Commands on keys whatever their type: listing, removal, expiry, renaming, OBJECT.

use super::{
    call::{Call, Outcome},
    glob::matches,
    reply::Reply,
    store::{DATABASES, Value},
};

/// Runs a command of this family.
pub fn run(call: &mut Call<'_>, name: &str) -> Option<Outcome> {
    Some(match name {
        "keys" => Ok(keys(call)),
        "dbsize" => Ok(Reply::count(call.shared.store.size(call.db()).0)),
        "randomkey" => Ok(randomkey(call)),
        "exists" | "touch" => {
            Ok(count(call, |call, key| call.shared.store.look(call.session.db, key).is_some()))
        }
        "del" | "unlink" => Ok(count(call, |call, key| {
            let gone = call.shared.store.remove(call.session.db, key).is_some();
            call.shared.store.dirty += u64::from(gone);
            gone
        })),
        "type" => {
            let kind = call.shared.store.look(call.session.db, call.arg(1)).map_or("none", Value::kind);
            Ok(Reply::Simple(kind.to_owned()))
        }
        "ttl" => Ok(ttl(call, |left, _| (left + 500) / 1000)),
        "pttl" => Ok(ttl(call, |left, _| left)),
        "expiretime" => Ok(ttl(call, |_, at| at / 1000)),
        "pexpiretime" => Ok(ttl(call, |_, at| at)),
        "expire" => expire(call, 1000, true),
        "pexpire" => expire(call, 1, true),
        "expireat" => expire(call, 1000, false),
        "pexpireat" => expire(call, 1, false),
        "persist" => {
            let had =
                call.shared.store.get(call.db(), call.arg(1)).is_some_and(|entry| entry.expires.is_some());
            Ok(Reply::Int(i64::from(had && call.shared.store.set_expiry(call.session.db, call.arg(1), None))))
        }
        "rename" => rename(call, false),
        "renamenx" => rename(call, true),
        "copy" => copy(call),
        "dump" => Ok(dump(call)),
        "restore" => Err(Reply::err("DUMP payload version or checksum are wrong")),
        "object" => object(call),
        "flushdb" | "flushall" => flush(call, name),
        "select" => select(call),
        "swapdb" => swapdb(call),
        _ => return None,
    })
}

fn keys(call: &Call<'_>) -> Reply {
    let pattern = call.arg(1);
    Reply::list(
        call.shared.store.keys(call.db()).filter(|key| matches(pattern, key, false)).map(<[u8]>::to_vec),
    )
}

fn randomkey(call: &Call<'_>) -> Reply {
    let count = call.shared.store.size(call.db()).0;
    let at = usize::try_from(call.now.unsigned_abs()).unwrap_or(0).checked_rem(count).unwrap_or(0);
    call.shared.store.keys(call.db()).nth(at).map_or(Reply::Null, Reply::bulk)
}

fn count(call: &mut Call<'_>, mut test: impl FnMut(&mut Call<'_>, &[u8]) -> bool) -> Reply {
    Reply::count(call.rest(1).iter().filter(|key| test(call, key)).count())
}

fn ttl(call: &Call<'_>, shown: impl FnOnce(i64, i64) -> i64) -> Reply {
    Reply::Int(match call.shared.store.get(call.db(), call.arg(1)) {
        None => -2,
        Some(entry) => entry.expires.map_or(-1, |at| shown(at - call.now, at)),
    })
}

fn expire(call: &mut Call<'_>, unit: i64, relative: bool) -> Outcome {
    let number = call.int(2)?;
    let name = String::from_utf8_lossy(call.arg(0)).to_lowercase();
    let invalid = || Reply::Error(call.shared.release.invalid_expire(&name));
    let at = number
        .checked_mul(unit)
        .and_then(|at| at.checked_add(if relative { call.now } else { 0 }))
        .ok_or_else(invalid)?;
    let old = match call.shared.store.get(call.db(), call.arg(1)) {
        None => return Ok(Reply::Int(0)),
        Some(entry) => entry.expires,
    };
    let allowed = match call.upper(3).as_str() {
        "" => true,
        "NX" => old.is_none(),
        "XX" => old.is_some(),
        "GT" => old.is_some_and(|old| at > old),
        "LT" => old.is_none_or(|old| at < old),
        other => return Err(Reply::err(format!("Unsupported option {other}"))),
    };
    if !allowed {
        return Ok(Reply::Int(0));
    }
    let db = call.db();
    if at <= call.now {
        call.shared.store.remove(db, call.arg(1));
    } else {
        call.shared.store.set_expiry(db, call.arg(1), Some(at));
    }
    Ok(Reply::Int(1))
}

fn rename(call: &mut Call<'_>, only_new: bool) -> Outcome {
    let (db, from, to) = (call.db(), call.arg(1), call.arg(2));
    if call.shared.store.get(db, from).is_none() {
        return Err(Reply::err("no such key"));
    }
    if only_new && call.shared.store.get(db, to).is_some() {
        return Ok(Reply::Int(0));
    }
    if let Some(entry) = call.shared.store.remove(db, from) {
        call.shared.store.put(db, to, entry);
        call.shared.store.dirty += 1;
    }
    Ok(if only_new { Reply::Int(1) } else { Reply::ok() })
}

fn copy(call: &mut Call<'_>) -> Outcome {
    call.room()?;
    let db = call.db();
    let replace = call.rest(3).iter().any(|word| word.eq_ignore_ascii_case(b"replace"));
    let Some(mut entry) = call.shared.store.get(db, call.arg(1)).cloned() else { return Ok(Reply::Int(0)) };
    if !replace && call.shared.store.get(db, call.arg(2)).is_some() {
        return Ok(Reply::Int(0));
    }
    entry.foreign = true;
    call.shared.store.put(db, call.arg(2), entry);
    Ok(Reply::Int(1))
}

/// Serialised form of a string; other types are rarely dumped and answer like a missing key.
fn dump(call: &Call<'_>) -> Reply {
    let Some(entry) = call.shared.store.get(call.db(), call.arg(1)) else { return Reply::Null };
    let Value::Str(bytes) = &entry.value else { return Reply::Null };
    let mut out = vec![0];
    match bytes.len() {
        length @ 0..64 => out.push(u8::try_from(length).unwrap_or(0)),
        length @ 64..16384 => {
            let length = u16::try_from(length).unwrap_or(0) | 0x4000;
            out.extend_from_slice(&length.to_be_bytes());
        }
        length => {
            out.push(0x80);
            out.extend_from_slice(&u32::try_from(length).unwrap_or(0).to_be_bytes());
        }
    }
    out.extend_from_slice(bytes);
    let rdb: u16 = if call.shared.release.since(702) {
        11
    } else if call.shared.release.since(700) {
        10
    } else {
        9
    };
    out.extend_from_slice(&rdb.to_le_bytes());
    let checksum = crc64(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    Reply::Bulk(out)
}

/// CRC-64 as RDB uses it (polynomial of Jones, reflected).
fn crc64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0u64, |crc, byte| {
        (0..8).fold(crc ^ u64::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0x95ac_9329_ac4b_c9b5 } else { crc >> 1 }
        })
    })
}

fn object(call: &mut Call<'_>) -> Outcome {
    let db = call.db();
    let modern = call.shared.release.since(700);
    let found = call.shared.store.get(db, call.arg(2)).map(|entry| encoding(&entry.value, modern));
    match (call.upper(1).as_str(), call.args.len()) {
        ("HELP", 2) => Ok(Reply::lines(&[
            "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
            "ENCODING <key>",
            "    Return the kind of internal representation used in order to store the value",
            "    associated with a <key>.",
            "FREQ <key>",
            "    Return the access frequency index of the <key>. The returned integer is",
            "    proportional to the logarithm of the recent access frequency of the key.",
            "IDLETIME <key>",
            "    Return the idle time of the <key>, that is the approximated number of",
            "    seconds elapsed since the last access to the key.",
            "REFCOUNT <key>",
            "    Return the number of references of the value associated with the specified",
            "    <key>.",
            "HELP",
            "    Prints this help.",
        ])),
        ("ENCODING", 3) => Ok(found.map_or(Reply::Null, Reply::bulk)),
        ("REFCOUNT", 3) => Ok(found.map_or(Reply::Null, |_| Reply::Int(1))),
        ("IDLETIME", 3) => Ok(found.map_or(Reply::Null, |_| Reply::Int(0))),
        ("FREQ", 3) if found.is_none() => Ok(Reply::Null),
        ("FREQ", 3) => Err(Reply::err(
            "An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
        )),
        _ => Err(Reply::Error(call.shared.release.unknown_subcommand("object", call.arg(1)))),
    }
}

fn encoding(value: &Value, modern: bool) -> &'static str {
    let short = |longest: usize, count: usize, most: usize| longest <= 64 && count <= most;
    match value {
        Value::Str(bytes) if super::request::number(bytes).is_some() => "int",
        Value::Str(bytes) if bytes.len() <= 44 => "embstr",
        Value::Str(_) => "raw",
        Value::List(_) => "quicklist",
        Value::Set(members)
            if members.len() <= 512
                && members.iter().all(|member| super::request::number(member).is_some()) =>
        {
            "intset"
        }
        Value::Hash(pairs)
            if short(
                pairs.iter().map(|(key, value)| key.len().max(value.len())).max().unwrap_or(0),
                pairs.len(),
                512,
            ) =>
        {
            if modern {
                "listpack"
            } else {
                "ziplist"
            }
        }
        Value::Set(_) | Value::Hash(_) => "hashtable",
        Value::Zset(members)
            if short(
                members.iter().map(|(_, member)| member.len()).max().unwrap_or(0),
                members.len(),
                128,
            ) =>
        {
            if modern {
                "listpack"
            } else {
                "ziplist"
            }
        }
        Value::Zset(_) => "skiplist",
    }
}

fn flush(call: &mut Call<'_>, name: &str) -> Outcome {
    if call.args.len() > 2 || (call.args.len() == 2 && !matches!(call.upper(1).as_str(), "ASYNC" | "SYNC")) {
        return Err(Reply::err("syntax error"));
    }
    let databases = if name == "flushall" { 0..DATABASES } else { call.db()..call.db() + 1 };
    for db in databases {
        call.shared.store.clear(db);
    }
    Ok(Reply::ok())
}

fn database(call: &Call<'_>, at: usize, wrong: &str) -> Result<usize, Reply> {
    let number = super::request::number(call.arg(at)).ok_or_else(|| Reply::err(wrong))?;
    usize::try_from(number)
        .ok()
        .filter(|db| *db < DATABASES)
        .ok_or_else(|| Reply::err("DB index is out of range"))
}

fn select(call: &mut Call<'_>) -> Outcome {
    let wrong = if call.shared.release.since(602) {
        "value is not an integer or out of range"
    } else {
        "invalid DB index"
    };
    call.session.db = database(call, 1, wrong)?;
    Ok(Reply::ok())
}

fn swapdb(call: &mut Call<'_>) -> Outcome {
    let first = database(call, 1, "invalid first DB index")?;
    let second = database(call, 2, "invalid second DB index")?;
    call.shared.store.swap(first, second);
    Ok(Reply::ok())
}

#[cfg(test)]
mod tests {
    /// Check value of CRC-64 with this polynomial.
    #[test]
    fn crc_is_that_of_rdb() {
        assert_eq!(super::crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }
}
