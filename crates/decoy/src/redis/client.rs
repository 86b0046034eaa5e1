//! CLIENT: who is connected. The list holds real connections of this decky and its own applications.
//!
//! Killing a client is acknowledged but touches only the sender's own connection.

use super::{
    call::{Call, Outcome},
    reply::Reply,
    shared::Client,
};

/// Runs CLIENT.
pub fn run(call: &mut Call<'_>) -> Outcome {
    let unknown =
        |call: &Call<'_>| Reply::Error(call.shared.release.unknown_subcommand("client", call.arg(1)));
    match (call.upper(1).as_str(), call.args.len()) {
        ("ID", 2) => Ok(Reply::Int(i64::try_from(call.session.id).unwrap_or(0))),
        ("GETNAME", 2) => {
            let name = call
                .shared
                .clients
                .get(&call.session.id)
                .map(|client| client.name.clone())
                .unwrap_or_default();
            Ok(if name.is_empty() { Reply::Null } else { Reply::bulk(name) })
        }
        ("SETNAME", 3) => {
            set_name(call, call.arg(2))?;
            Ok(Reply::ok())
        }
        ("LIST", _) => {
            let lines: Vec<String> =
                call.shared.clients.iter().map(|(id, client)| line(call, *id, client)).collect();
            Ok(Reply::Verbatim(lines.concat()))
        }
        ("INFO", 2) if call.shared.release.since(602) => {
            let id = call.session.id;
            Ok(call
                .shared
                .clients
                .get(&id)
                .map_or(Reply::Null, |client| Reply::Verbatim(line(call, id, client))))
        }
        ("SETINFO", 4) if call.shared.release.since(702) => set_info(call),
        ("KILL", 3..) => {
            let own = call.rest(2).iter().any(|word| {
                call.shared.clients.get(&call.session.id).is_some_and(|client| client.addr.as_bytes() == word)
            });
            call.session.closing |= own;
            Ok(if call.args.len() == 3 {
                if own { Reply::ok() } else { return Err(Reply::err("No such client")) }
            } else {
                Reply::Int(i64::from(own))
            })
        }
        ("REPLY", 3) => match call.upper(2).as_str() {
            "ON" => {
                call.session.silent = false;
                Ok(Reply::ok())
            }
            "OFF" | "SKIP" => {
                call.session.silent = call.upper(2) == "OFF";
                Ok(Reply::Raw(Vec::new()))
            }
            _ => Err(Reply::err("syntax error")),
        },
        ("NO-EVICT" | "NO-TOUCH" | "PAUSE" | "UNPAUSE" | "TRACKING", _) => Ok(Reply::ok()),
        ("GETREDIR", 2) => Ok(Reply::Int(-1)),
        ("UNBLOCK", 3..) => Ok(Reply::Int(0)),
        _ => Err(unknown(call)),
    }
}

/// Names a client.
pub fn set_name(call: &mut Call<'_>, name: &[u8]) -> Result<(), Reply> {
    if name.iter().any(|b| !(b'!'..=b'~').contains(b)) {
        return Err(Reply::err("Client names cannot contain spaces, newlines or special characters."));
    }
    let id = call.session.id;
    if let Some(client) = call.shared.clients.get_mut(&id) {
        client.name =
            String::from_utf8_lossy(name.get(..name.len().min(256)).unwrap_or_default()).into_owned();
    }
    Ok(())
}

fn set_info(call: &mut Call<'_>) -> Outcome {
    let at = match call.upper(2).as_str() {
        "LIB-NAME" => 0,
        "LIB-VER" => 1,
        _ => {
            return Err(Reply::err(format!(
                "Unrecognized option '{}'",
                String::from_utf8_lossy(call.arg(2))
            )));
        }
    };
    let value = call.arg(3);
    if value.iter().any(|b| !(b'!'..=b'~').contains(b)) {
        return Err(Reply::err(format!(
            "{} cannot contain spaces, newlines or special characters.",
            String::from_utf8_lossy(call.arg(2)).to_lowercase()
        )));
    }
    let id = call.session.id;
    if let Some(slot) = call.shared.clients.get_mut(&id).and_then(|client| client.lib.get_mut(at)) {
        *slot = String::from_utf8_lossy(value.get(..value.len().min(256)).unwrap_or_default()).into_owned();
    }
    Ok(Reply::ok())
}

/// Seconds since the last command; the machine's own applications are never idle for long.
fn idle_of(call: &Call<'_>, id: u64, client: &Client) -> i64 {
    let seconds = (call.now - client.active) / 1000;
    if client.resident { (seconds + i64::try_from(id).unwrap_or(0)) % 9 } else { seconds }
}

fn line(call: &Call<'_>, id: u64, client: &Client) -> String {
    let release = &call.shared.release;
    let own = id == call.session.id;
    let (age, idle) = ((call.now - client.since) / 1000, if own { 0 } else { idle_of(call, id, client) });
    let command = match (own, release.since(700)) {
        (true, true) => format!("client|{}", call.upper(1).to_lowercase()),
        (true, false) => "client".to_owned(),
        (false, true) => client.command.clone(),
        (false, false) => client.command.split('|').next().unwrap_or_default().to_owned(),
    };
    let subscribed = |pattern: bool| {
        if own { call.session.channels.iter().filter(|(kind, _)| *kind == pattern).count() } else { 0 }
    };
    let (sub, psub) = (subscribed(false), subscribed(true));
    let (qbuf, free) = if own { (26, 20_448) } else { (0, 0) };
    let (name, db, addr, laddr) = (&client.name, client.db, &client.addr, &client.laddr);
    let fd = 7 + id % 20;
    if release.since(700) {
        let lib = if release.since(702) {
            format!(
                " lib-name={} lib-ver={}",
                client.lib.first().map(String::as_str).unwrap_or_default(),
                client.lib.last().map(String::as_str).unwrap_or_default()
            )
        } else {
            String::new()
        };
        let memory = if own { 37_658 } else { 1_928 };
        format!(
            "id={id} addr={addr} laddr={laddr} fd={fd} name={name} age={age} idle={idle} flags=N db={db} sub={sub} psub={psub} ssub=0 multi=-1 qbuf={qbuf} qbuf-free={free} argv-mem={} multi-mem=0 rbs={} rbp={} obl=0 oll=0 omem=0 tot-mem={memory} events=r cmd={command} user=default redir=-1 resp={}{lib}\n",
            if own { 10 } else { 0 },
            if own { 16_384 } else { 1_024 },
            if own { 16_384 } else { 0 },
            client.resp
        )
    } else if release.since(600) {
        let (laddr, tail) = if release.since(602) {
            (
                format!(" laddr={laddr}"),
                format!(
                    " argv-mem={} obl=0 oll=0 omem=0 tot-mem={} events=r cmd={command} user=default redir=-1",
                    if own { 10 } else { 0 },
                    if own { 61_466 } else { 20_512 }
                ),
            )
        } else {
            (String::new(), format!(" obl=0 oll=0 omem=0 events=r cmd={command} user=default"))
        };
        format!(
            "id={id} addr={addr}{laddr} fd={fd} name={name} age={age} idle={idle} flags=N db={db} sub={sub} psub={psub} multi=-1 qbuf={qbuf} qbuf-free={free}{tail}\n"
        )
    } else {
        format!(
            "id={id} addr={addr} fd={fd} name={name} age={age} idle={idle} flags=N db={db} sub={sub} psub={psub} multi=-1 qbuf={qbuf} qbuf-free={free} obl=0 oll=0 omem=0 events=r cmd={command}\n"
        )
    }
}
