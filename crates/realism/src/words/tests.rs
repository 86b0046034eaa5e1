//! What every table of every language has to keep.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{TimeZone, Utc};
use decnet_core::FleetSecret;

use super::*;
use crate::Persona;

/// Words that belong to this project, and signs that only typesetters use.
const BANNED: [&str; 16] = [
    "decnet",
    "decky",
    "deckies",
    "decoy",
    "honeypot",
    "honey",
    "synthetic",
    "lorem",
    "canary",
    "\u{2013}",
    "\u{2014}",
    "\u{2026}",
    "\u{2018}",
    "\u{2019}",
    "\u{201c}",
    "\u{201d}",
];

pub(super) fn persona(name: &str, role: &str, language: &str) -> Persona {
    serde_json::from_value(serde_json::json!({
        "name": name, "email": format!("{}@nova.example", name.to_lowercase().replace(' ', ".")), "role": role, "language": language,
    }))
    .unwrap()
}

/// Every template of a language with where it stands.
fn templates(lexicon: &'static Lexicon) -> Vec<(String, &'static str)> {
    let mut all = Vec::new();
    let mut add = |place: &str, list: &'static [&'static str]| {
        all.extend(list.iter().map(|template| (format!("{} {place}", lexicon.code), *template)));
    };
    for (name, list) in lexicon.slots {
        add(&format!("slot {name}"), list);
    }
    for (place, list) in [
        ("notes", lexicon.notes),
        ("tasks", lexicon.tasks),
        ("heads", lexicon.draft_heads),
        ("sentences", lexicon.draft_sentences),
        ("ends", lexicon.draft_ends),
        ("comments", lexicon.comments),
        ("greetings", lexicon.greetings),
        ("greetings", lexicon.greetings_formal),
        ("closings", lexicon.closings),
        ("closings", lexicon.closings_formal),
        ("openings", lexicon.answer_openings),
        ("answers", lexicon.answer_sentences),
    ] {
        add(place, list);
    }
    for topic in lexicon.topics {
        for list in [topic.subjects, topic.openings, topic.details, topic.answers] {
            add(topic.id, list);
        }
    }
    all
}

#[test]
fn every_template_of_every_language_resolves() {
    let mut rng = FleetSecret::from_number(1).seed().rng();
    let colleagues: Vec<Arc<Persona>> =
        ["Ada Park", "Tom Reyes", "Eva Lind"].map(|name| Arc::new(persona(name, "Clerk", "en"))).into();
    let hosts = ["web-17".to_owned(), "db-03".to_owned()];
    let when = Utc.with_ymd_and_hms(2026, 3, 23, 10, 0, 0).unwrap().with_timezone(&chrono_tz::Tz::UTC);
    let mut faults = Vec::new();
    for lexicon in ALL {
        let me = persona("Ivo Keller", "Office Manager", lexicon.code);
        let mut voice = Voice::new(&me, &colleagues, &hosts, when);
        assert_eq!(voice.lexicon.code, lexicon.code);
        for (place, template) in templates(lexicon) {
            let mut fault = |what: &str| faults.push(format!("{place}: {template:?}: {what}"));
            for slot in template.split('{').skip(1) {
                match slot.split_once('}') {
                    Some((name, _)) if voice.knows(name.trim_start_matches('^')) => {}
                    Some((name, _)) => fault(&format!("no slot {name}")),
                    None => fault("a brace is open"),
                }
            }
            for round in 0..6 {
                voice.ahead = round % 2 == 0;
                let text = voice.fill(template, &mut rng);
                let lower = text.to_lowercase();
                if text.trim().is_empty() || text.contains(['{', '}', '|', '\n', '\t']) || text.contains("  ")
                {
                    fault(&format!("becomes {text:?}"));
                }
                if let Some(word) = BANNED.iter().find(|word| lower.contains(**word)) {
                    fault(&format!("says {word:?}"));
                }
                if text.starts_with(' ') || text.ends_with(' ') || text.len() > 400 {
                    fault(&format!("is ragged: {text:?}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn lists_have_no_entry_twice_and_prefixes_name_known_kinds() {
    let mut faults = Vec::new();
    for lexicon in ALL {
        let mut seen = BTreeMap::new();
        for (place, template) in templates(lexicon) {
            let once = ["sentences", "notes", "tasks", "comments"].iter().any(|list| place.ends_with(list));
            if once && let Some(before) = seen.insert(template.split('|').next_back(), place.clone()) {
                faults.push(format!("{place}: {template:?} is in {before} too"));
            }
            if let Some((kinds, _)) = template.split_once('|') {
                for kind in kinds.split(',') {
                    if !roles::FIELDS.contains(&kind) && !["formal", "casual"].contains(&kind) {
                        faults.push(format!("{place}: {template:?}: {kind:?} is no kind"));
                    }
                }
            }
        }
        let ids: BTreeSet<&str> = lexicon.topics.iter().map(|topic| topic.id).collect();
        if ids.len() != lexicon.topics.len() {
            faults.push(format!("{}: a topic twice", lexicon.code));
        }
        for topic in lexicon.topics {
            if topic.subjects.len() < 2
                || topic.openings.len() < 3
                || topic.details.len() < 6
                || topic.answers.len() < 4
            {
                faults.push(format!("{} {}: too little to say", lexicon.code, topic.id));
            }
            if !topic.roles.iter().all(|role| roles::FIELDS.contains(role))
                || !topic.months.iter().all(|month| (1..=12).contains(month))
            {
                faults.push(format!("{} {}: roles or months", lexicon.code, topic.id));
            }
        }
        for field in roles::FIELDS {
            for (what, list) in
                [("notes", lexicon.notes), ("tasks", lexicon.tasks), ("comments", lexicon.comments)]
            {
                if pool(list, field).len() < 25 {
                    faults.push(format!("{} {what}: {} for {field}", lexicon.code, pool(list, field).len()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// A template without a slot, or with numbers only, would be the same sentence in many files.
#[test]
fn english_sentences_vary_in_words() {
    let numbers = [
        "n", "nn", "nnn", "time", "amount", "percent", "date", "soon", "past", "room", "version", "rate",
        "digit", "nights",
    ];
    let lexicon = &en::LEXICON;
    let lists = [
        lexicon.notes,
        lexicon.tasks,
        lexicon.draft_heads,
        lexicon.draft_sentences,
        lexicon.draft_ends,
        lexicon.comments,
    ];
    let mut poor: Vec<&str> = Vec::new();
    for template in lists.into_iter().flatten() {
        let slots: Vec<&str> = template
            .split('{')
            .skip(1)
            .filter_map(|slot| slot.split_once('}'))
            .map(|(name, _)| name)
            .collect();
        if slots.is_empty() || slots.len() < 2 && numbers.contains(&slots[0]) {
            poor.push(template);
        }
    }
    assert!(poor.is_empty(), "{poor:#?}");
    assert!(lexicon.notes.len() >= 120 && lexicon.tasks.len() >= 120 && lexicon.comments.len() >= 60);
    assert!(
        lexicon.draft_heads.len() >= 25
            && lexicon.draft_sentences.len() >= 140
            && lexicon.draft_ends.len() >= 40
    );
    assert!(lexicon.topics.len() >= 60);
}

#[test]
fn stems_are_plain_and_no_class_begins_with_one_of_another() {
    let mut stems: Vec<(&str, &str, &str)> = Vec::new();
    for lexicon in ALL {
        for (class, list) in [
            ("note", lexicon.note_stems),
            ("todo", lexicon.todo_stems),
            ("draft", lexicon.draft_stems),
            ("script", lexicon.script_stems),
        ] {
            assert!(list.len() >= 40, "{} {class}: {}", lexicon.code, list.len());
            stems.extend(list.iter().map(|stem| (lexicon.code, class, *stem)));
        }
    }
    let mut faults = Vec::new();
    for (code, class, stem) in &stems {
        if stem.is_empty()
            || !stem.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        {
            faults.push(format!("{code} {class} {stem:?}: lower-case letters, digits and hyphens only"));
        }
        for (other_code, other_class, other) in &stems {
            if class != other_class
                && (other == stem || other.strip_prefix(stem).is_some_and(|rest| rest.starts_with('-')))
            {
                faults.push(format!("{code} {class} {stem:?} begins {other_code} {other_class} {other:?}"));
            }
        }
        if BANNED.iter().any(|word| stem.contains(word)) {
            faults.push(format!("{code} {class} {stem:?}: says what it must not"));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn a_code_finds_its_language() {
    assert_eq!(lexicon("EN-gb").code, "en");
    assert_eq!(lexicon("tlh").code, "en");
    assert_eq!(lexicon("").code, "en");
    for known in ALL {
        assert_eq!(lexicon(&format!("{}_XX", known.code.to_uppercase())).code, known.code);
        assert!(known.weekdays.iter().chain(&known.months).all(|name| !name.is_empty()));
        assert!(known.date.contains("{d}") && known.date.contains("{month}"), "{}", known.code);
        assert!(
            known.time.contains("{h}") && known.time.contains("{mm}") && known.amount.contains("{euros}"),
            "{}",
            known.code
        );
        assert!(known.quoting.contains("{to}") && known.quoting.contains("{date}"), "{}", known.code);
    }
}

#[test]
fn the_engine_fills_what_it_knows() {
    let colleagues: Vec<Arc<Persona>> =
        ["Ada Park", "Tom Reyes", "Ivo Keller"].map(|name| Arc::new(persona(name, "Clerk", "en"))).into();
    let hosts = ["web-17".to_owned(), "db-03".to_owned()];
    let when = Utc.with_ymd_and_hms(2026, 3, 23, 10, 0, 0).unwrap().with_timezone(&chrono_tz::Tz::UTC);
    let me = persona("Ivo Keller", "Sales Manager", "en");
    let mut voice = Voice::new(&me, &colleagues, &hosts, when);
    voice.to = "Eva";
    voice.topic = "the fence";
    assert_eq!(voice.field, "sales");
    let mut rng = FleetSecret::from_number(2).seed().rng();
    for _ in 0..200 {
        let text = voice.fill("{who}/{other}/{host}/{host}", &mut rng);
        let parts: Vec<&str> = text.split('/').collect();
        assert!(parts[0] != parts[1] && parts[2] != parts[3], "{text}");
        assert!(!text.contains("Ivo"), "{text}");
        let day = voice.fill("{soon}", &mut rng);
        assert!(day.starts_with("March ") || day.starts_with("April "), "{day}");
    }
    let alone = [Arc::new(me.clone())];
    assert!(
        (0..50)
            .all(|_| !Voice::new(&me, &alone, &hosts, when).fill("{who} {other}", &mut rng).contains("Ivo"))
    );
    let told = ["decky-07".to_owned()];
    assert!(!Voice::new(&me, &colleagues, &told, when).fill("{host}", &mut rng).contains("decky"));
    assert_eq!(voice.fill("{to}, {^topic} and {me}", &mut rng), "Eva, The fence and Ivo");
    assert_eq!(voice.fill("ops|{to}", &mut rng), "Eva");
    assert_eq!(en::LEXICON.amount_text(12_050), "12,050 EUR");
    assert_eq!(en::LEXICON.quoting_text(when, "Tom Reyes"), "On March 23 at 10:00, Tom Reyes wrote:");
    let matter = voice.about(b"thread 7");
    let told: BTreeSet<String> =
        (0..50).map(|_| matter.fill("{supplier} {sum} {who} {city} {host}", &mut rng)).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_ne!(
        voice.about(b"thread 8").fill("{supplier} {sum}", &mut rng),
        matter.fill("{supplier} {sum}", &mut rng)
    );
    voice.tone = crate::persona::Tone::Casual;
    assert_eq!(voice.fill("I will not, and I do not care.", &mut rng), "I'll not, and I don't care.");
}
