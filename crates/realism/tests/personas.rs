//! Pools of people: what is refused, in which words and where; what is forgiven; which login everybody gets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use decnet_realism::{
    Pool,
    persona::{
        PoolError,
        parse::{Mode, lenient, strict},
        to_json,
    },
};
use serde_json::{Value, json};

fn good() -> Value {
    json!({"name": "Ada Park", "email": "ada@nova.example", "role": "engineer"})
}

fn but(field: &str, value: Value) -> Value {
    let mut person = good();
    person[field] = value;
    person
}

fn faults(list: &Value, mode: Mode) -> Vec<String> {
    match strict(list.to_string().as_bytes(), "en", mode) {
        Ok(_) => Vec::new(),
        Err(PoolError::Faults(faults)) => faults.iter().map(ToString::to_string).collect(),
        Err(other) => panic!("{other}"),
    }
}

/// The place of each fault, without its words.
fn places(list: &Value, mode: Mode) -> Vec<String> {
    faults(list, mode).iter().map(|fault| fault.split(": ").next().unwrap().to_owned()).collect()
}

#[test]
fn all_faults_of_all_entries_come_in_one_go() {
    let list = json!([
        good(),
        {"name": "", "email": "ada@nova", "role": 5, "tone": "silly", "uses_llms_heavily": "yes", "language": "english-uk"},
        7,
        null,
        {"mannerisms": ["a", 3, "b\u{7}"], "tone": "custom", "timezone": "Mars/Base", "work_days": ["mon", "Tue", 3]},
        {"name": "x".repeat(129), "email": "a@b.c", "role": "é".repeat(128), "login": "Root", "uid": -1, "os": "beos"},
        {"name": "A\nB", "email": "a b@c.d", "role": "x", "signature": "ü".repeat(513), "reply_latency": "soon",
         "active_hours": "x".repeat(33), "tone_custom": "x".repeat(129), "mannerisms": "none"},
    ]);
    assert_eq!(
        places(&list, Mode::Read),
        [
            "personas[1].name",
            "personas[1].email",
            "personas[1].role",
            "personas[1].tone",
            "personas[1].language",
            "personas[1].uses_llms_heavily",
            "personas[2]",
            "personas[3]",
            "personas[4].name",
            "personas[4].email",
            "personas[4].role",
            "personas[4].tone_custom",
            "personas[4].mannerisms[1]",
            "personas[4].mannerisms[2]",
            "personas[4].timezone",
            "personas[4].work_days",
            "personas[4].work_days",
            "personas[5].name",
            "personas[5].login",
            "personas[5].uid",
            "personas[5].os",
            "personas[6].name",
            "personas[6].email",
            "personas[6].tone_custom",
            "personas[6].mannerisms",
            "personas[6].signature",
            "personas[6].active_hours",
            "personas[6].reply_latency",
        ]
    );
    for fault in faults(&list, Mode::Read) {
        assert!(!fault.contains('\n') && fault.split_once(": ").unwrap().1.len() > 8, "{fault}");
    }
}

#[test]
fn addresses_lead_to_one_folder_and_one_header() {
    for email in [
        "a@b",
        "@b.c",
        "a@",
        "ab.c",
        "a b@c.d",
        "a@b.c\n",
        "a/b@c.d",
        "a@c.d/..",
        "a\\b@c.d",
        "..@c.d",
        "a..b@c.d",
        "a@..",
        "a@.c",
        "a@c.",
        "<a@b.c>",
        "a,b@c.d",
        "é@\u{a0}.c",
        "a\u{0}@b.c",
        "",
    ] {
        assert_eq!(
            places(&json!([but("email", json!(email))]), Mode::Read),
            ["personas[0].email"],
            "{email:?}"
        );
    }
    for email in ["a@b.c", "a@b@c.d", "jörg@bücher.example", "o'neil+x@a.b"] {
        assert!(faults(&json!([but("email", json!(email))]), Mode::Write).is_empty(), "{email}");
    }
    let long = format!("{}@b.cd", "x".repeat(251));
    assert_eq!(places(&json!([but("email", json!(long))]), Mode::Read), ["personas[0].email"]);
    assert!(faults(&json!([but("email", json!(&long[1..]))]), Mode::Read).is_empty());
}

#[test]
fn bounds_are_of_characters_and_inclusive() {
    for (field, most) in
        [("name", 128), ("role", 128), ("tone_custom", 128), ("signature", 512), ("language", 8)]
    {
        assert!(faults(&json!([but(field, json!("é".repeat(most)))]), Mode::Write).is_empty(), "{field}");
        assert_eq!(
            places(&json!([but(field, json!("é".repeat(most + 1)))]), Mode::Read),
            [format!("personas[0].{field}")]
        );
    }
    let habits = |many: usize| json!([but("mannerisms", json!(vec!["short sentences"; many]))]);
    assert!(faults(&habits(12), Mode::Write).is_empty());
    assert_eq!(places(&habits(13), Mode::Write), ["personas[0].mannerisms"]);
}

#[test]
fn control_characters_are_refused_wherever_they_stand() {
    for field in
        ["name", "email", "role", "tone_custom", "language", "signature", "active_hours", "login", "timezone"]
    {
        for bad in ["a\u{1b}", "a\u{7f}", "a\rb", "\u{85}a"] {
            let found = places(&json!([but(field, json!(bad))]), Mode::Write);
            assert_eq!(found, [format!("personas[0].{field}")], "{field} {bad:?}");
        }
    }
    // A signature has lines.
    let two = but("signature", json!("Ada\r\nNova"));
    let read = strict(json!([two]).to_string().as_bytes(), "en", Mode::Write).unwrap();
    assert_eq!(read.personas[0].signature.as_deref(), Some("Ada\nNova"));
}

#[test]
fn reading_forgives_what_writing_does_not() {
    let list = json!([but("active_hours", json!("9-18")), but("name", json!("Another"))]);
    assert_eq!(places(&list, Mode::Write), ["personas[0].active_hours", "personas[1].email"]);
    let read = strict(list.to_string().as_bytes(), "en", Mode::Read).unwrap();
    assert_eq!(read.personas.len(), 2);
    assert!(read.personas[0].hours().is_always());
    let warnings: Vec<String> = read.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings[0].starts_with("personas[0].active_hours: "), "{warnings:?}");
    let same = json!([good(), but("email", json!("ADA@nova.example"))]);
    assert_eq!(places(&same, Mode::Write), ["personas[1].email"]);
}

#[test]
fn what_is_no_list_is_named() {
    let error = strict(b"[\n  {\"name\": }\n]", "en", Mode::Read).unwrap_err();
    assert!(error.to_string().starts_with("line 2, column 12: "), "{error}");
    assert!(matches!(strict(b"", "en", Mode::Read), Err(PoolError::NotJson { line: 1, column: 1, .. })));
    assert!(matches!(strict(b"[{\"name\": \"\xff\"}]", "en", Mode::Read), Err(PoolError::NotJson { .. })));
    assert_eq!(strict(b"{}", "en", Mode::Read), Err(PoolError::NotAList("an object")));
    assert_eq!(strict(b"null", "en", Mode::Read), Err(PoolError::NotAList("null")));
    assert!(strict(b"[]", "en", Mode::Write).unwrap().personas.is_empty());
}

#[test]
fn lenient_reading_drops_and_names_bad_entries() {
    for nothing in ["", " \n", "null", "[]"] {
        assert!(lenient(nothing.as_bytes(), "en").unwrap().personas.is_empty(), "{nothing:?}");
    }
    assert!(lenient(b"nonsense", "en").is_err());
    assert_eq!(lenient(b"\"x\"", "en"), Err(PoolError::NotAList("a string")));
    let list = json!([but("tone", json!("silly")), good(), 3, but("active_hours", json!(""))]);
    let read = lenient(list.to_string().as_bytes(), "fr").unwrap();
    assert_eq!(read.personas.len(), 2);
    assert_eq!(read.personas[0].language, "fr");
    let indices: Vec<usize> = read.warnings.iter().map(|warning| warning.index).collect();
    assert_eq!(indices, [0, 2, 3]);
}

#[test]
fn defaults_are_filled_in_and_unknown_keys_ignored() {
    let mut person = good();
    person["shoe_size"] = json!(43);
    for absent in ["tone_custom", "language", "signature", "login", "uid", "timezone", "work_days"] {
        person[absent] = Value::Null;
    }
    let read = strict(json!([person]).to_string().as_bytes(), "de", Mode::Write).unwrap();
    let written = to_json(&read.personas);
    assert_eq!(strict(written.as_bytes(), "en", Mode::Write).unwrap().personas, read.personas);
    let back: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(
        back,
        json!([{
            "name": "Ada Park", "email": "ada@nova.example", "role": "engineer", "tone": "formal", "mannerisms": [],
            "language": "de", "active_hours": "09:00-18:00", "reply_latency": "normal", "uses_llms_heavily": false,
            "work_days": ["mon", "tue", "wed", "thu", "fri"], "os": "linux",
        }])
    );
}

#[test]
fn the_worked_example_is_good() {
    let text = include_bytes!("../../../docs/examples/personas.json");
    let read = strict(text, "en", Mode::Write).unwrap();
    assert_eq!(read.personas.len(), 12);
    assert!(read.warnings.is_empty());
}

#[test]
fn everybody_gets_a_login_of_his_own() {
    let person = |name: &str, email: &str, login: Option<&str>| json!({"name": name, "email": email, "role": "x", "login": login});
    let list = json!([
        person("John Smith", "a@b.c", None),
        person("Johnsmith", "b@b.c", None),
        person("JOHN  SMITH", "c@b.c", None),
        person("Tom O'Connell", "tom.oconnell@b.c", None),
        person("李雷", "李雷@b.c", None),
        person("王芳", "+@b.c", None),
        person("3D Printer", "9@b.c", None),
        person("Eve", "eve@b.c", Some("johnsmith2")),
        person("Mallory", "m@b.c", Some("johnsmith2")),
        person(&"Ab".repeat(40), "long@b.c", None),
        person(&"Ab".repeat(41), "long2@b.c", None),
    ]);
    let pool = Pool::new(strict(list.to_string().as_bytes(), "en", Mode::Write).unwrap().personas);
    let logins: Vec<&str> = pool.0.iter().map(|persona| persona.login.as_deref().unwrap()).collect();
    let long = "ab".repeat(16);
    let second = format!("{}2", &long[..31]);
    assert_eq!(
        logins,
        [
            "johnsmith",
            "johnsmith3",
            "johnsmith4",
            "tomoconnell",
            "user",
            "user2",
            "user3",
            "johnsmith2",
            "mallory",
            &long,
            &second,
        ]
    );
}

proptest::proptest! {
    /// Whatever stands in the file, reading it ends, and what it lets through can be written and read again.
    #[test]
    fn no_entry_slips_through(name in ".{0,140}", email in "[a-z@./ \\\\]{0,20}", role in ".{0,9}", login in "[a-zA-Z0-9_-]{0,34}") {
        let list = json!([{"name": name, "email": email, "role": role, "login": login}]);
        match strict(list.to_string().as_bytes(), "en", Mode::Write) {
            Err(PoolError::Faults(faults)) => proptest::prop_assert!(!faults.is_empty()),
            Err(other) => panic!("{other}"),
            Ok(read) => {
                let persona = &read.personas[0];
                proptest::prop_assert!((1..=128).contains(&persona.name.chars().count()));
                let (local, domain) = persona.email.rsplit_once('@').unwrap();
                proptest::prop_assert!(!local.is_empty() && domain.contains('.'));
                proptest::prop_assert!(!persona.email.contains([' ', '/', '\\']) && !persona.email.contains(".."));
                let again = strict(to_json(&read.personas).as_bytes(), "en", Mode::Write).unwrap();
                proptest::prop_assert_eq!(again.personas, read.personas);
            }
        }
    }
}
