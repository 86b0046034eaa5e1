//! Prints samples of what the invented people write: `cargo run -p decnet-realism --example texts -- [language [class [seed]]]`.
//!
//! Classes are `note todo draft script history names topics`; without one, all of them. For operators who want to see what
//! their fleet will say before it does, and for whoever adds a language.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{TimeZone, Utc};
use decnet_core::FleetSecret;
use decnet_realism::{
    Class, Persona, Resident,
    content::{self, Pen},
    words::{self, Voice},
};
use rand::RngExt;

const PEOPLE: &[(&str, &str, &str)] = &[
    ("Ada Park", "Systems Administrator", "technical"),
    ("Tom Reyes", "Financial Controller", "formal"),
    ("Julia Brandt", "Sales Manager", "casual"),
    ("Marek Nowak", "Backend Developer", "direct"),
    ("Sophie Laurent", "HR Manager", "formal"),
    ("Ivo Keller", "Office Manager", "casual"),
];

fn residents(language: &str) -> Result<Vec<Resident>, serde_json::Error> {
    PEOPLE
        .iter()
        .map(|(name, role, tone)| {
            let login = name.to_lowercase().replace(' ', ".");
            let value = serde_json::json!({
                "name": name, "email": format!("{login}@nova.example"), "role": role, "tone": tone, "language": language,
            });
            let persona: Persona = serde_json::from_value(value)?;
            Ok(Resident { persona: Arc::new(persona), home: format!("/home/{login}"), login, uid: 1000, gid: 1000 })
        })
        .collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let language = arguments.next().unwrap_or_else(|| "en".to_owned());
    let class = arguments.next().unwrap_or_default();
    let seed = arguments.next().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let residents = residents(&language)?;
    let everyone: Vec<Arc<Persona>> =
        residents.iter().map(|resident| Arc::clone(&resident.persona)).collect();
    let hosts: Vec<String> =
        ["web-17", "srv-nova-42", "db-03", "files-02", "mx-01"].map(str::to_owned).into();
    let mut rng = FleetSecret::from_number(seed).seed().rng();
    for resident in &residents {
        let when = Utc.timestamp_opt(1_774_000_000 + rng.random_range(0..20_000_000), 0).unwrap();
        let pen = Pen {
            resident,
            colleagues: &everyone,
            hosts: &hosts,
            when: when.with_timezone(&chrono_tz::Tz::UTC),
        };
        println!("==== {} ({}), {}", resident.persona.name, resident.persona.role, when.date_naive());
        let mut paths = Vec::new();
        for kind in [Class::Note, Class::Todo, Class::Draft, Class::Script] {
            for _ in 0..5 {
                if let Ok(Some(path)) =
                    content::path(kind, &pen, &|path| paths.contains(&path.to_owned()), &mut rng)
                {
                    if class.is_empty() || class == kind.as_str() {
                        let mut body = content::body(kind, &path, &pen, &mut rng)?;
                        if let Ok(Some(edited)) = content::edit(kind, &path, &body, &pen, &mut rng) {
                            body = edited;
                        }
                        println!("---- {path}\n{body}");
                    }
                    paths.push(path);
                }
            }
        }
        if class.is_empty() || class == "names" {
            println!("---- names\n{}", paths.join("\n"));
        }
        if class.is_empty() || class == "history" {
            println!("---- history\n{}", content::shell_history(&pen, &paths, &mut rng));
        }
        if class.is_empty() || class == "topics" {
            let mut voice = Voice::new(&resident.persona, &everyone, &hosts, pen.when);
            voice.to = "Maria";
            for topic in voice.topics().into_iter().take(12) {
                let voice = voice.about(topic.id.as_bytes());
                println!("---- {}: {}", topic.id, voice.say(topic.subjects, &mut rng));
                let letter: BTreeSet<String> = (0..3).map(|_| voice.say(topic.details, &mut rng)).collect();
                let letter: Vec<String> = letter.into_iter().collect();
                println!("{} {}", voice.say(topic.openings, &mut rng), letter.join(" "));
                println!(
                    "> {} {}",
                    voice.say(voice.lexicon.answer_openings, &mut rng),
                    voice.say(topic.answers, &mut rng)
                );
            }
        }
    }
    println!("languages: {}", words::ALL.iter().map(|lexicon| lexicon.code).collect::<Vec<_>>().join(" "));
    Ok(())
}
