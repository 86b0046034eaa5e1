//! Pools of people for the checks: whoever makes hours and zones hard.

use decnet_realism::{
    Pool,
    persona::parse::{Mode, strict},
};
use serde_json::{Value, json};

pub(crate) fn pool(list: &Value) -> Pool {
    Pool::new(strict(list.to_string().as_bytes(), "en", Mode::Read).unwrap().personas)
}

fn person(name: &str, email: &str, language: &str, hours: &str, zone: &str) -> Value {
    json!({
        "name": name, "email": email, "role": "engineer", "language": language, "active_hours": hours, "timezone": zone,
    })
}

fn with(mut person: Value, field: &str, value: Value) -> Value {
    person[field] = value;
    person
}

/// Twelve people in three languages: a night shift over midnight, a week from Sunday to Thursday, two other continents, and
/// somebody whose hours cannot be read.
pub(crate) fn twelve() -> Value {
    let mut list = vec![
        person("Katrin Lindner", "katrin.lindner@nova.example", "de", "07:30-16:30", "Europe/Berlin"),
        person("Jörg Brandstätter", "joerg@nova.example", "de", "08:00-17:00", "Europe/Berlin"),
        person("Malte Petersen", "malte.petersen@nova.example", "de", "22:00-06:00", "Europe/Berlin"),
        person("Selma Aydın", "selma.aydin@nova.example", "de", "08:30-15:00", "Europe/Vienna"),
        person("Hélène Marchand", "helene.marchand@nova.example", "fr", "09:00-18:00", "Europe/Paris"),
        person("Rémi Delacroix", "remi.delacroix@nova.example", "fr", "09:30-18:30", "Europe/Paris"),
        person("Agnès Fournier", "agnes.fournier@nova.example", "fr", "08:30-17:30", "Europe/Paris"),
        person("Ada Park", "ada.park@nova.example", "en", "09:00-17:30", "Europe/London"),
        person("Marcus Whitfield", "marcus.whitfield@nova.example", "en", "08:00-17:00", "America/New_York"),
        person("Priya Raman", "priya.raman@nova.example", "en", "10:00-19:00", "Asia/Kolkata"),
        person("Yael Ben-David", "yael@nova.example", "en", "08:00-16:00", "Asia/Jerusalem"),
        person("Tom O'Connell", "tom.oconnell@nova.example", "en", "whenever", "Europe/Dublin"),
    ];
    let roles = [
        "Leiterin Finanzbuchhaltung",
        "Systemadministrator",
        "Rechenzentrum, Nachtschicht",
        "Personalreferentin",
        "Responsable commerciale France",
        "Développeur logistique",
        "Assistante de direction",
        "Network engineer",
        "Sales director",
        "Integration developer",
        "Quality and audit",
        "Warehouse operations manager",
    ];
    let latencies = ["fast", "normal", "slow"];
    let tones = ["formal", "direct", "casual", "technical"];
    for (index, person) in list.iter_mut().enumerate() {
        person["role"] = json!(roles[index]);
        person["reply_latency"] = json!(latencies[index % 3]);
        person["tone"] = json!(tones[index % 4]);
        if index % 2 == 0 {
            person["signature"] = json!(format!("{}\n{}", person["name"].as_str().unwrap(), roles[index]));
        }
    }
    list[2] = with(list[2].take(), "work_days", json!(["sun", "mon", "tue", "wed", "thu"]));
    list[10] = with(list[10].take(), "work_days", json!(["sun", "mon", "tue", "wed", "thu"]));
    list[8] = with(list[8].take(), "uses_llms_heavily", json!(true));
    list[7] = with(list[7].take(), "login", json!("apark"));
    json!(list)
}

/// Three people, everyone on the other side of the world of each other, none at work at midnight UTC but one.
pub(crate) fn three() -> Value {
    json!([
        person("John Smith", "john@acme.example", "en", "09:00-17:00", "America/Los_Angeles"),
        person("Aiko Tanaka", "aiko@acme.example", "en", "08:30-17:30", "Asia/Tokyo"),
        person("Eva Novak", "eva@acme.example", "de", "00:00-00:00", "Europe/Prague"),
    ])
}

/// One person alone.
pub(crate) fn alone() -> Value {
    json!([person("Ada Park", "ada@acme.example", "en", "09:00-17:00", "Europe/London")])
}

/// A week of two days, and two people of one address.
pub(crate) fn part_time() -> Value {
    let days = json!(["mon", "wed"]);
    json!([
        with(
            person("Anna Berg", "info@acme.example", "de", "09:00-13:00", "Europe/Berlin"),
            "work_days",
            days.clone()
        ),
        with(
            person("Bernd Berg", "info@acme.example", "de", "09:00-13:00", "Europe/Berlin"),
            "work_days",
            days.clone()
        ),
        with(
            person("Carla Thoma", "carla@acme.example", "de", "13:00-17:00", "Europe/Berlin"),
            "work_days",
            days
        ),
    ])
}

/// Hours, zones, days, tongues and tones as the dice fall; names that are hard on headers and logins.
pub(crate) fn random(dice: &[u32]) -> Value {
    let names =
        ["Zoë O'Brien-Łuczak", "李雷", "Ada Park", "Ada Parker", "X", "Dr. Jean-Luc, \"Jo\" Müller", "ann"];
    let zones = [
        "UTC",
        "Asia/Kathmandu",
        "America/St_Johns",
        "Pacific/Auckland",
        "Europe/Berlin",
        "Australia/Lord_Howe",
    ];
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let people = dice.iter().zip(names).enumerate().map(|(index, (dice, name))| {
        let (start, length) = (dice % 1440, (dice / 7) % 1440);
        let end = (start + length) % 1440;
        let hours = format!("{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60);
        let language = ["en", "de", "fr", "xx"][*dice as usize % 4];
        let zone = zones[*dice as usize / 3 % zones.len()];
        let mut person = person(name, &format!("p{index}@x{}.example", dice % 2), language, &hours, zone);
        let work: Vec<&str> = days
            .into_iter()
            .enumerate()
            .filter(|(day, _)| dice >> day & 1 == 1)
            .map(|(_, day)| day)
            .collect();
        person["work_days"] = json!(work);
        person["tone"] = json!(["formal", "direct", "casual", "technical"][*dice as usize / 5 % 4]);
        if dice % 3 == 0 {
            person["signature"] = json!("-- \n\u{201c}me\u{201d}");
        }
        person
    });
    json!(people.collect::<Vec<_>>())
}
