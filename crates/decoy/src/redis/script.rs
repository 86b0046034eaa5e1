//! EVAL and its relatives: the few scripts that tools send to see whether scripting works, and errors for the rest.
//!
//! There is no interpreter. `return <literal>` and `return redis.call(<literals>)` are answered, so are scripts that
//! reach for what the sandbox lacks; any other script answers nil. Every script is evidence and is flagged when it
//! smells of an escape (CVE-2022-0543, CVE-2024-46981 and the like).

use sha1::{Digest, Sha1};

use super::{
    call::{Call, Fact, Outcome},
    reply::Reply,
    request::number,
};

/// Scripts that are remembered.
const SCRIPTS_MAX: usize = 256;
/// Names that exist outside the sandbox only.
const OUTSIDE: [&str; 8] =
    ["package", "io", "os", "require", "dofile", "loadfile", "debug", "collectgarbage"];

/// Runs a command of this family.
pub fn run(call: &mut Call<'_>, name: &str) -> Option<Outcome> {
    Some(match name {
        "eval" | "eval_ro" => eval(call),
        "evalsha" | "evalsha_ro" => evalsha(call),
        "script" => script(call),
        "function" => function(call),
        _ => return None,
    })
}

fn sha(script: &[u8]) -> String {
    hex::encode(Sha1::digest(script))
}

fn check_keys(call: &Call<'_>) -> Result<(), Reply> {
    let keys = call.int(2)?;
    match usize::try_from(keys) {
        Err(_) => Err(Reply::err("Number of keys can't be negative")),
        Ok(keys) if keys > call.args.len() - 3 => {
            Err(Reply::err("Number of keys can't be greater than number of args"))
        }
        Ok(_) => Ok(()),
    }
}

fn eval(call: &mut Call<'_>) -> Outcome {
    check_keys(call)?;
    let script = call.arg(1).to_vec();
    remember(call, &script);
    execute(call, &script)
}

fn evalsha(call: &mut Call<'_>) -> Outcome {
    check_keys(call)?;
    let wanted = String::from_utf8_lossy(call.arg(1)).to_lowercase();
    match call.shared.scripts.get(&wanted).cloned() {
        Some(script) => execute(call, &script),
        None => Err(Reply::Error("NOSCRIPT No matching script. Please use EVAL.".to_owned())),
    }
}

fn remember(call: &mut Call<'_>, script: &[u8]) -> String {
    let name = sha(script);
    if call.shared.scripts.len() < SCRIPTS_MAX && script.len() <= 64 * 1024 {
        call.shared.scripts.insert(name.clone(), script.to_vec());
    }
    name
}

fn script(call: &mut Call<'_>) -> Outcome {
    match (call.upper(1).as_str(), call.args.len()) {
        ("LOAD", 3) => {
            let script = call.arg(2).to_vec();
            compile(call, &script)?;
            Ok(Reply::bulk(remember(call, &script)))
        }
        ("EXISTS", 3..) => Ok(Reply::Array(
            call.rest(2)
                .iter()
                .map(|name| {
                    Reply::Int(i64::from(
                        call.shared.scripts.contains_key(&String::from_utf8_lossy(name).to_lowercase()),
                    ))
                })
                .collect(),
        )),
        ("FLUSH", 2..=3) => {
            call.shared.scripts.clear();
            Ok(Reply::ok())
        }
        ("KILL", 2) => Err(Reply::Error("NOTBUSY No scripts in execution right now.".to_owned())),
        _ => Err(Reply::Error(call.shared.release.unknown_subcommand("script", call.arg(1)))),
    }
}

fn function(call: &mut Call<'_>) -> Outcome {
    match (call.upper(1).as_str(), call.args.len()) {
        ("LIST", 2..) => Ok(Reply::Array(Vec::new())),
        ("FLUSH", 2..=3) => Ok(Reply::ok()),
        ("LOAD", 3..) => {
            call.facts.push(Fact::Rce {
                technique: "function_load",
                detail: excerpt(call.args.last().map(Vec::as_slice).unwrap_or_default()),
            });
            Err(Reply::err("Missing library metadata"))
        }
        _ => Err(Reply::Error(call.shared.release.unknown_subcommand("function", call.arg(1)))),
    }
}

/// A mistake that even a reader without a grammar sees.
fn compile(call: &Call<'_>, script: &[u8]) -> Result<(), Reply> {
    let parts = |byte: u8| script.split(|b| *b == byte).count();
    if parts(b'(') <= parts(b')') {
        return Ok(());
    }
    let line = parts(b'\n');
    let text =
        format!("Error compiling script (new function): user_script:{line}: unexpected symbol near '<eof>'");
    Err(if call.shared.release.since(700) { Reply::err(text) } else { Reply::err(format!("{text} ")) })
}

fn execute(call: &mut Call<'_>, script: &[u8]) -> Outcome {
    compile(call, script)?;
    let text = String::from_utf8_lossy(script).into_owned();
    if let Some(name) = OUTSIDE.iter().find(|name| reaches(&text, name)) {
        call.facts.push(Fact::Rce { technique: "lua_escape", detail: excerpt(script) });
        return Err(Reply::Error(nonexistent(call, name, script)));
    }
    let body = text.trim().trim_end_matches(';').trim();
    let Some(value) = body.strip_prefix("return").map(str::trim) else { return Ok(Reply::Null) };
    if let Some(words) = value
        .strip_prefix("redis.call(")
        .or_else(|| value.strip_prefix("redis.pcall("))
        .and_then(|rest| rest.strip_suffix(')'))
    {
        return inner_call(call, words);
    }
    Ok(literal(value, call).unwrap_or(Reply::Null))
}

/// `name.` or `name(` as a word of its own.
fn reaches(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text.get(..at).and_then(|head| head.chars().next_back());
        let after = text.get(at + name.len()..).and_then(|tail| tail.chars().next());
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '\'' | '"'))
            && matches!(after, Some('.' | '(' | '[' | ' '))
    })
}

fn nonexistent(call: &Call<'_>, name: &str, script: &[u8]) -> String {
    let sha = sha(script);
    if call.shared.release.since(700) {
        format!(
            "ERR user_script:1: Script attempted to access nonexistent global variable '{name}' script: {sha}, on @user_script:1."
        )
    } else {
        format!(
            "ERR Error running script (call to f_{sha}): @enable_strict_lua:15: user_script:1: Script attempted to access nonexistent global variable '{name}' "
        )
    }
}

/// Executes a command with literal words.
fn inner_call(call: &mut Call<'_>, words: &str) -> Outcome {
    let mut args = Vec::new();
    for word in words.split(',') {
        match literal(word.trim(), call) {
            Some(Reply::Bulk(bytes)) => args.push(bytes),
            Some(Reply::Int(value)) => args.push(value.to_string().into_bytes()),
            _ => return Ok(Reply::Null),
        }
    }
    let name = args.first().map(|name| String::from_utf8_lossy(name).to_lowercase()).unwrap_or_default();
    // Scripts inside scripts and whatever changes the connection are not allowed there.
    if matches!(
        name.as_str(),
        "eval"
            | "evalsha"
            | "eval_ro"
            | "evalsha_ro"
            | "multi"
            | "exec"
            | "subscribe"
            | "auth"
            | "hello"
            | "select"
            | "quit"
            | "reset"
    ) {
        return Err(Reply::err("This Redis command is not allowed from script"));
    }
    let mut inner =
        Call { args: &args, now: call.now, shared: call.shared, session: call.session, facts: Vec::new() };
    let outcome = inner.dispatch(&name);
    let facts = std::mem::take(&mut inner.facts);
    call.facts.extend(facts);
    outcome
}

/// A literal, `KEYS[n]` or `ARGV[n]`.
fn literal(text: &str, call: &Call<'_>) -> Option<Reply> {
    let quoted = |quote: char| {
        text.strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
            .filter(|inner| !inner.contains([quote, '\\']))
    };
    if let Some(inner) = quoted('"').or_else(|| quoted('\'')) {
        return Some(Reply::bulk(inner));
    }
    let keys = usize::try_from(call.int(2).ok()?).ok()?;
    let index = |name: &str| {
        text.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?.parse::<usize>().ok()?.checked_sub(1)
    };
    if let Some(at) = index("KEYS") {
        return call.args.get(3 + at).filter(|_| at < keys).map(|word| Reply::bulk(word.clone()));
    }
    if let Some(at) = index("ARGV") {
        return call.args.get(3 + keys + at).map(|word| Reply::bulk(word.clone()));
    }
    match text {
        "true" => Some(Reply::Int(1)),
        "false" | "nil" => Some(Reply::Null),
        "{}" => Some(Reply::Array(Vec::new())),
        "_VERSION" => Some(Reply::bulk("Lua 5.1")),
        _ => number(text.as_bytes()).map(Reply::Int),
    }
}

fn excerpt(script: &[u8]) -> String {
    String::from_utf8_lossy(script.get(..script.len().min(400)).unwrap_or_default()).into_owned()
}
