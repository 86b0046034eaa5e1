//! Commands by which Redis hosts are taken over: saving to a file of one's own choosing, following a master, loading
//! modules, crashing the server.
//!
//! They change memory only, and each is told as a fact, so that every step of a takeover is on record.

use super::{
    call::{Call, Fact, Outcome},
    reply::Reply,
    shared::Role,
};

/// Runs a command of this family.
pub fn run(call: &mut Call<'_>, name: &str) -> Option<Outcome> {
    Some(match name {
        "save" => {
            save(call);
            Ok(Reply::ok())
        }
        "bgsave" => {
            save(call);
            Ok(Reply::Simple("Background saving started".to_owned()))
        }
        "bgrewriteaof" => {
            save(call);
            Ok(Reply::Simple("Background append only file rewriting started".to_owned()))
        }
        "slaveof" | "replicaof" => slaveof(call),
        "sync" | "psync" => Ok(sync(call, name)),
        "module" => module(call),
        "debug" => debug(call),
        "shutdown" => shutdown(call),
        "migrate" => migrate(call),
        _ => return None,
    })
}

/// "Writes" the keyspace. When the file is of the client's choosing, what it would hold is evidence.
fn save(call: &mut Call<'_>) {
    call.shared.saved_at = call.now;
    call.shared.store.dirty = 0;
    call.shared.stats.saves += 1;
    let path = call.shared.config.dump_path();
    if path == "/var/lib/redis/dump.rdb" {
        return;
    }
    let mut bytes = Vec::new();
    for (key, value) in call.shared.store.foreign() {
        if let super::store::Value::Str(content) = value {
            bytes.extend_from_slice(key);
            bytes.push(b'\n');
            bytes.extend_from_slice(content);
            bytes.push(b'\n');
        }
    }
    call.facts.push(Fact::Rce { technique: "file_write", detail: path.clone() });
    call.facts.push(Fact::Dump { path, bytes });
}

fn slaveof(call: &mut Call<'_>) -> Outcome {
    let host = String::from_utf8_lossy(call.arg(1)).into_owned();
    if host.eq_ignore_ascii_case("no") && call.arg(2).eq_ignore_ascii_case(b"one") {
        call.shared.role = Role::Master;
        return Ok(Reply::ok());
    }
    let port = super::request::number(call.arg(2)).and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or_else(|| {
        if call.shared.release.since(600) {
            Reply::err("Invalid master port")
        } else {
            Reply::err("value is not an integer or out of range")
        }
    })?;
    call.facts.push(Fact::Rce { technique: "rogue_master", detail: format!("{host}:{port}") });
    if matches!(&call.shared.role, Role::Replica { host: old, port: old_port, .. } if *old == host && *old_port == port)
    {
        return Ok(Reply::Simple("OK Already connected to specified master".to_owned()));
    }
    call.shared.role = Role::Replica { host, port, since: call.now };
    Ok(Reply::ok())
}

/// An empty snapshot: enough for a tool to see that copying works, nothing to take away.
fn sync(call: &mut Call<'_>, name: &str) -> Reply {
    call.facts.push(Fact::Rce { technique: "replica_dump", detail: name.to_owned() });
    let rdb: &[u8] = if call.shared.release.since(700) { b"REDIS0010\xff" } else { b"REDIS0009\xff" };
    let mut out = Vec::new();
    if name == "psync" {
        out.extend_from_slice(
            format!("+FULLRESYNC {} {}\r\n", call.shared.facts.replid, call.shared.facts.repl_offset)
                .as_bytes(),
        );
    }
    // A checksum of zero means "not computed".
    out.extend_from_slice(format!("${}\r\n", rdb.len() + 8).as_bytes());
    out.extend_from_slice(rdb);
    out.extend_from_slice(&[0; 8]);
    Reply::Raw(out)
}

fn module(call: &mut Call<'_>) -> Outcome {
    let allowed = !call.shared.release.since(700) || call.shared.config.get("enable-module-command") == "yes";
    let sub = call.upper(1);
    if matches!(sub.as_str(), "LOAD" | "LOADEX" | "UNLOAD") {
        let words: Vec<_> =
            call.rest(2).iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        call.facts.push(Fact::Rce { technique: "module_load", detail: format!("{sub} {}", words.join(" ")) });
        if !allowed {
            return Err(Reply::err(
                "MODULE command not allowed. If the enable-module-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.",
            ));
        }
    }
    match sub.as_str() {
        "LIST" => Ok(Reply::Array(Vec::new())),
        "LOAD" | "LOADEX" if call.args.len() > 2 => {
            Err(Reply::err("Error loading the extension. Please check the server logs."))
        }
        "UNLOAD" if call.args.len() == 3 => {
            Err(Reply::err("Error unloading module: no such module with that name"))
        }
        _ => Err(Reply::Error(call.shared.release.unknown_subcommand("module", call.arg(1)))),
    }
}

fn debug(call: &mut Call<'_>) -> Outcome {
    let words: Vec<_> = call.rest(1).iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    call.facts.push(Fact::Rce { technique: "debug", detail: words.join(" ") });
    if call.shared.release.since(700) {
        return Err(Reply::err(
            "DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.",
        ));
    }
    match call.upper(1).as_str() {
        // It would stop the server: claim that it did nothing.
        "SLEEP" | "SET-ACTIVE-EXPIRE" | "JMAP" => Ok(Reply::ok()),
        "SEGFAULT" | "PANIC" | "RESTART" | "CRASH-AND-RECOVER" => {
            call.session.closing = true;
            Ok(Reply::Raw(Vec::new()))
        }
        "OBJECT" => Err(Reply::err("no such key")),
        _ => Err(Reply::Error(call.shared.release.unknown_subcommand("debug", call.arg(1)))),
    }
}

fn shutdown(call: &mut Call<'_>) -> Outcome {
    if call.rest(1).iter().any(|word| {
        !["nosave", "save", "now", "force", "abort"]
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
    }) {
        return Err(Reply::err("syntax error"));
    }
    // systemd would start it again at once; the client only sees its connection end.
    call.session.closing = true;
    Ok(Reply::Raw(Vec::new()))
}

fn migrate(call: &mut Call<'_>) -> Outcome {
    call.facts.push(Fact::Rce {
        technique: "migrate",
        detail: format!("{}:{}", String::from_utf8_lossy(call.arg(1)), String::from_utf8_lossy(call.arg(2))),
    });
    Err(Reply::Error("IOERR error or timeout connecting to the client".to_owned()))
}
