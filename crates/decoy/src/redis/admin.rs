//! Commands on the connection and the server: AUTH, HELLO, CLIENT, pub/sub, ACL, diagnostics.
//!
//! What would touch the machine or another one is in `danger`.

use super::{
    call::{Call, Fact, Outcome},
    client,
    reply::Reply,
    shared::Role,
    table,
};

/// Runs a command of this family.
pub fn run(call: &mut Call<'_>, name: &str) -> Option<Outcome> {
    Some(match name {
        "ping" => ping(call),
        "echo" => Ok(Reply::bulk(call.arg(1))),
        "quit" => {
            call.session.closing = true;
            Ok(Reply::ok())
        }
        "reset" => Ok(reset(call)),
        "auth" => auth(call),
        "hello" => hello(call),
        "client" => client::run(call),
        "command" => table::run(call),
        "time" => {
            Ok(Reply::list([(call.now / 1000).to_string(), ((call.now % 1000) * 1000 + 417).to_string()]))
        }
        "lolwut" => Ok(Reply::Verbatim(format!("Redis ver. {}\n", call.shared.release.version))),
        "watch" if call.session.queue.is_some() => Err(Reply::err("WATCH inside MULTI is not allowed")),
        "watch" | "unwatch" | "replconf" | "monitor" => Ok(Reply::ok()),
        "wait" | "publish" => Ok(Reply::Int(0)),
        "subscribe" | "psubscribe" => Ok(subscribe(call, name)),
        "unsubscribe" | "punsubscribe" => Ok(unsubscribe(call, name)),
        "pubsub" => pubsub(call),
        "lastsave" => Ok(Reply::Int(call.shared.last_save(call.now) / 1000)),
        "role" => Ok(role(call)),
        "memory" => memory(call),
        "slowlog" => slowlog(call),
        "latency" => latency(call),
        "acl" => acl(call),
        "cluster" => Err(Reply::err("This instance has cluster support disabled")),
        _ => return None,
    })
}

fn ping(call: &Call<'_>) -> Outcome {
    match call.args.len() {
        1 if !call.session.channels.is_empty() && !call.session.resp3 => Ok(Reply::list(["pong", ""])),
        1 => Ok(Reply::Simple("PONG".to_owned())),
        2 => Ok(Reply::bulk(call.arg(1))),
        _ => Err(Call::arity("ping")),
    }
}

fn reset(call: &mut Call<'_>) -> Reply {
    let session = &mut *call.session;
    (session.db, session.resp3, session.queue, session.silent) = (0, false, None, false);
    session.channels.clear();
    session.authenticated = call.shared.config.get("requirepass").is_empty();
    Reply::Simple("RESET".to_owned())
}

fn auth(call: &mut Call<'_>) -> Outcome {
    if call.args.len() > 3 || (call.args.len() == 3 && !call.shared.release.since(600)) {
        return Err(if call.shared.release.since(600) {
            Reply::err("syntax error")
        } else {
            Call::arity("auth")
        });
    }
    let user = (call.args.len() == 3).then(|| call.arg(1));
    let password = call.args.last().map(Vec::as_slice).unwrap_or_default();
    login(call, user, password).map(|()| Reply::ok())
}

fn login(call: &mut Call<'_>, user: Option<&[u8]>, password: &[u8]) -> Result<(), Reply> {
    let required = call.shared.config.get("requirepass").to_owned();
    let default = user.is_none_or(|name| name == b"default");
    // Without a password the default user takes any, but AUTH with one word says that there is none.
    let success = default && (password == required.as_bytes() || (required.is_empty() && user.is_some()));
    let success = success && !(required.is_empty() && user.is_none());
    call.facts.push(Fact::Auth { user: user.map(<[u8]>::to_vec), password: password.to_vec(), success });
    if success {
        call.session.authenticated = true;
        return Ok(());
    }
    Err(Reply::Error(
        if required.is_empty() && user.is_none() {
            call.shared.release.no_password()
        } else {
            call.shared.release.wrong_password()
        }
        .to_owned(),
    ))
}

fn hello(call: &mut Call<'_>) -> Outcome {
    let mut resp3 = call.session.resp3;
    let mut at = 1;
    if call.args.len() > 1 {
        let wrong = "Protocol version is not an integer or out of range";
        match super::request::number(call.arg(1)).ok_or_else(|| Reply::err(wrong))? {
            2 => resp3 = false,
            3 => resp3 = true,
            _ => return Err(Reply::Error("NOPROTO unsupported protocol version".to_owned())),
        }
        at = 2;
    }
    while at < call.args.len() {
        match (call.upper(at).as_str(), call.args.len() - at) {
            ("AUTH", 3..) => {
                login(call, Some(call.arg(at + 1)), call.arg(at + 2))?;
                at += 3;
            }
            ("SETNAME", 2..) => {
                client::set_name(call, call.arg(at + 1))?;
                at += 2;
            }
            _ => {
                return Err(Reply::err(format!(
                    "Syntax error in HELLO option '{}'",
                    String::from_utf8_lossy(call.arg(at))
                )));
            }
        }
    }
    if !call.session.authenticated {
        return Err(Reply::Error("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time".to_owned()));
    }
    call.session.resp3 = resp3;
    let role = if call.shared.role == Role::Master { "master" } else { "replica" };
    let server = if call.shared.release.valkey.is_some() { "valkey" } else { "redis" };
    let version = call.shared.release.valkey.unwrap_or(&call.shared.release.version);
    Ok(Reply::Map(vec![
        (Reply::bulk("server"), Reply::bulk(server)),
        (Reply::bulk("version"), Reply::bulk(version)),
        (Reply::bulk("proto"), Reply::Int(if resp3 { 3 } else { 2 })),
        (Reply::bulk("id"), Reply::Int(i64::try_from(call.session.id).unwrap_or(0))),
        (Reply::bulk("mode"), Reply::bulk("standalone")),
        (Reply::bulk("role"), Reply::bulk(role)),
        (Reply::bulk("modules"), Reply::Array(Vec::new())),
    ]))
}

fn subscribe(call: &mut Call<'_>, name: &str) -> Reply {
    /// Channels of one client.
    const MOST: usize = 1024;
    let pattern = name.starts_with('p');
    let mut out = Vec::new();
    for channel in call.rest(1) {
        let wanted = (pattern, channel.clone());
        if !call.session.channels.contains(&wanted) && call.session.channels.len() < MOST {
            call.session.channels.push(wanted);
        }
        out.push(Reply::Push(vec![
            Reply::bulk(name),
            Reply::bulk(channel.clone()),
            Reply::count(call.session.channels.len()),
        ]));
    }
    Reply::Many(out)
}

fn unsubscribe(call: &mut Call<'_>, name: &str) -> Reply {
    let pattern = name.starts_with('p');
    let named = call.rest(1).to_vec();
    let mine =
        call.session.channels.iter().filter(|(kind, _)| *kind == pattern).map(|(_, channel)| channel.clone());
    let gone: Vec<Vec<u8>> = if named.is_empty() { mine.collect() } else { named };
    if gone.is_empty() {
        return Reply::Push(vec![Reply::bulk(name), Reply::Null, Reply::count(call.session.channels.len())]);
    }
    let mut out = Vec::new();
    for channel in gone {
        call.session.channels.retain(|(kind, known)| *kind != pattern || *known != channel);
        out.push(Reply::Push(vec![
            Reply::bulk(name),
            Reply::Bulk(channel),
            Reply::count(call.session.channels.len()),
        ]));
    }
    Reply::Many(out)
}

fn pubsub(call: &Call<'_>) -> Outcome {
    match call.upper(1).as_str() {
        "CHANNELS" | "SHARDCHANNELS" => Ok(Reply::Array(Vec::new())),
        "NUMPAT" => Ok(Reply::Int(0)),
        "NUMSUB" | "SHARDNUMSUB" => Ok(Reply::Array(
            call.rest(2).iter().flat_map(|channel| [Reply::bulk(channel.clone()), Reply::Int(0)]).collect(),
        )),
        _ => Err(Reply::Error(call.shared.release.unknown_subcommand("pubsub", call.arg(1)))),
    }
}

fn role(call: &Call<'_>) -> Reply {
    match &call.shared.role {
        Role::Master => Reply::Array(vec![
            Reply::bulk("master"),
            Reply::Int(call.shared.facts.repl_offset),
            Reply::Array(Vec::new()),
        ]),
        Role::Replica { host, port, .. } => Reply::Array(vec![
            Reply::bulk("slave"),
            Reply::bulk(host.as_str()),
            Reply::Int(i64::from(*port)),
            Reply::bulk("connect"),
            Reply::Int(-1),
        ]),
    }
}

fn memory(call: &mut Call<'_>) -> Outcome {
    match (call.upper(1).as_str(), call.args.len()) {
        ("USAGE", 3..) => {
            let key = call.arg(2);
            let found = call.shared.store.get(call.session.db, key);
            Ok(found.map_or(Reply::Null, |entry| Reply::count(48 + key.len() + entry.value.size())))
        }
        ("DOCTOR", 2) => Ok(Reply::Verbatim("Hi Sam, this instance is empty or is using very little memory, my issues detector can't be used in these conditions. Please, leave for your mission on Earth and fill it with some data. The new Sam and I will be back to our programming as soon as I finished rebooting.\n".to_owned())),
        ("PURGE", 2) => Ok(Reply::ok()),
        _ => Err(Reply::Error(call.shared.release.unknown_subcommand("memory", call.arg(1)))),
    }
}

fn slowlog(call: &Call<'_>) -> Outcome {
    match call.upper(1).as_str() {
        "GET" => Ok(Reply::Array(Vec::new())),
        "LEN" => Ok(Reply::Int(0)),
        "RESET" => Ok(Reply::ok()),
        _ => Err(Reply::Error(call.shared.release.unknown_subcommand("slowlog", call.arg(1)))),
    }
}

fn latency(call: &Call<'_>) -> Outcome {
    match call.upper(1).as_str() {
        "LATEST" | "HISTORY" => Ok(Reply::Array(Vec::new())),
        "RESET" => Ok(Reply::Int(0)),
        "DOCTOR" => Ok(Reply::Verbatim("I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Redis instance. You may use \"CONFIG SET latency-monitor-threshold <milliseconds>.\" in order to enable it. If we weren't in a deep space mission I'd suggest to take a look at https://redis.io/topics/latency-monitor.\n".to_owned())),
        _ => Err(Reply::Error(call.shared.release.unknown_subcommand("latency", call.arg(1)))),
    }
}

fn acl(call: &mut Call<'_>) -> Outcome {
    let modern = call.shared.release.since(700);
    let password = call.shared.config.get("requirepass").to_owned();
    let secret = if password.is_empty() {
        "nopass".to_owned()
    } else {
        format!("#{}", hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&password)))
    };
    match (call.upper(1).as_str(), call.args.len()) {
        ("WHOAMI", 2) => Ok(Reply::bulk("default")),
        ("USERS", 2) => Ok(Reply::list(["default"])),
        ("LIST", 2) => Ok(Reply::list([format!(
            "user default on {secret} ~*{} +@all",
            if call.shared.release.since(602) { " &*" } else { "" }
        )])),
        ("CAT", 2) => Ok(Reply::list([
            "keyspace",
            "read",
            "write",
            "set",
            "sortedset",
            "list",
            "hash",
            "string",
            "bitmap",
            "hyperloglog",
            "geo",
            "stream",
            "pubsub",
            "admin",
            "fast",
            "slow",
            "blocking",
            "dangerous",
            "connection",
            "transaction",
            "scripting",
        ])),
        ("GENPASS", 2..=3) => Ok(Reply::bulk(hex::encode(decnet_core::secret::entropy::<32>()))),
        ("LOG", 2..=3) => Ok(Reply::Array(Vec::new())),
        ("SETUSER", 3..) => {
            let words: Vec<_> =
                call.rest(2).iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            call.facts.push(Fact::Rce { technique: "acl_user", detail: words.join(" ") });
            Ok(Reply::ok())
        }
        ("DELUSER", 3..) => Ok(Reply::Int(0)),
        ("GETUSER", 3) if call.arg(2) == b"default" => {
            let passwords: Vec<String> = secret.strip_prefix('#').map(str::to_owned).into_iter().collect();
            let flags: Vec<&str> = if password.is_empty() { vec!["on", "nopass"] } else { vec!["on"] };
            let mut parts = vec![
                (Reply::bulk("flags"), Reply::list(flags)),
                (Reply::bulk("passwords"), Reply::list(passwords)),
                (Reply::bulk("commands"), Reply::bulk("+@all")),
                (Reply::bulk("keys"), if modern { Reply::bulk("~*") } else { Reply::list(["*"]) }),
            ];
            if modern {
                parts.push((Reply::bulk("channels"), Reply::bulk("&*")));
                parts.push((Reply::bulk("selectors"), Reply::Array(Vec::new())));
            }
            Ok(Reply::Map(parts))
        }
        ("GETUSER", 3) => Ok(Reply::Null),
        _ => Err(Reply::Error(call.shared.release.unknown_subcommand("acl", call.arg(1)))),
    }
}
