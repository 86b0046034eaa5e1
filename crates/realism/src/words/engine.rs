//! The engine: a template becomes a sentence.
//!
//! What a slot cannot be filled with stays out; a test over all tables sees that this never happens.

use std::{fmt::Write as _, sync::Arc};

use chrono::{DateTime, Datelike, Days, NaiveDate};
use chrono_tz::Tz;
use rand::{RngExt, SeedableRng};

use super::{
    Lexicon, Topic,
    form::{amount, capitalise, contract, mend_article, mend_french, name_of, pick},
    house::{House, hash},
    index::{self, Ready},
};
use crate::{Draw, Persona, persona::Tone};

/// Slots that stay the same in one matter.
const MATTERS: [&str; 24] = [
    "supplier",
    "project",
    "host",
    "ticket",
    "who",
    "other",
    "month",
    "soon",
    "sum",
    "city",
    "meeting",
    "device",
    "position",
    "people_topic",
    "feature",
    "feature_name",
    "contact",
    "system",
    "service",
    "net",
    "part",
    "branch",
    "lib",
    "thing",
];
/// Ends of names of lists that hold other forms of the same words in the same order.
const FORMS: [&str; 8] = ["_nom", "_acc", "_dat", "_gen", "_def", "_art", "_pl", "_bare"];
/// How deep lists may refer to lists.
const DEPTH: u8 = 6;
/// Bytes after which a sentence takes no further slots.
const LONGEST: usize = 1200;
/// First names for a company that consists of one person.
const STRANGERS: &[&str] = &[
    "Alex", "Maria", "Chris", "Anna", "Martin", "Laura", "Thomas", "Julia", "Daniel", "Eva", "Peter", "Nina",
];
/// With fewer colleagues than this, people outside the pool are spoken of too.
const CIRCLE: usize = 6;
/// Machines of a company that names none.
const MACHINES: &[&str] = &[
    "fs01", "fs02", "db01", "db02", "web01", "app01", "app02", "mail01", "bkp01", "git01", "mon01", "print01",
];

/// Whom and what a sentence has named already, so that it does not say that somebody meets himself.
#[derive(Debug, Default)]
struct Said {
    /// Indexes of everybody named, as bits; whoever stands behind the 64th may be named twice.
    people: u64,
    host: Option<usize>,
    /// Which of [`MATTERS`], as bits.
    matters: u32,
}

/// Somebody who writes at a certain time: what the engine knows while it fills a template.
#[derive(Debug, Clone, Copy)]
pub struct Voice<'a> {
    /// His language's tables.
    pub lexicon: &'static Lexicon,
    ready: Option<&'static Ready>,
    /// His first name.
    pub me: &'a str,
    /// Whom he writes to, as he calls him; empty = a colleague.
    pub to: &'a str,
    /// What the letter is about, for `{topic}`; empty = a project.
    pub topic: &'a str,
    /// Others whom he may mention.
    pub colleagues: &'a [Arc<Persona>],
    /// Machines that he may mention.
    pub hosts: &'a [String],
    /// His company's words.
    pub house: House,
    /// His local time.
    pub when: DateTime<Tz>,
    /// Dates are of the coming days rather than of the days around.
    pub ahead: bool,
    /// His field, one of `finance ops hr sales dev office`.
    pub field: &'static str,
    /// How he writes.
    pub tone: Tone,
    /// What the text is about, as a number: see [`Self::about`].
    pub about: Option<u64>,
}

impl<'a> Voice<'a> {
    /// The voice of a persona in his own language.
    pub fn new(
        persona: &'a Persona,
        colleagues: &'a [Arc<Persona>],
        hosts: &'a [String],
        when: DateTime<Tz>,
    ) -> Self {
        let lexicon = super::lexicon(&persona.language);
        Self {
            lexicon,
            ready: index::ready(lexicon),
            me: persona.first_name(),
            to: "",
            topic: "",
            colleagues,
            hosts,
            house: House::of(persona),
            when,
            ahead: false,
            field: super::field(&persona.role),
            tone: persona.tone,
            about: None,
        }
    }

    /// The same in another language: that of a letter which is answered.
    #[must_use]
    pub fn speaking(self, code: &str) -> Self {
        let lexicon = super::lexicon(code);
        Self { lexicon, ready: index::ready(lexicon), ..self }
    }

    /// The same voice in one matter: as long as `matter` is the same (a letter and its answers, a draft and its later
    /// paragraphs), `{supplier}`, `{project}`, `{who}`, `{host}`, `{sum}` and whatever else such a text is about stay the same.
    #[must_use]
    pub fn about(self, matter: &[u8]) -> Self {
        Self { about: Some(hash(matter, 0x3c6e_f372_fe94_f82b)), ..self }
    }

    /// One of a list's templates, filled; empty for an empty list.
    pub fn say(&self, list: &[&'static str], rng: &mut Draw) -> String {
        pick(list, rng).map(|template| self.fill(template, rng)).unwrap_or_default()
    }

    /// A template with its slots filled.
    pub fn fill(&self, template: &str, rng: &mut Draw) -> String {
        let template = match template.split_once('|') {
            Some((roles, rest)) if !roles.contains(['{', ' ']) => rest,
            _ => template,
        };
        let mut out = String::with_capacity(template.len() * 2);
        let mut said = Said::default();
        self.fill_into(template, DEPTH, &mut said, &mut out, rng);
        if self.tone == Tone::Casual && self.lexicon.code == "en" {
            contract(&mut out);
        }
        out
    }

    /// How he addresses others: `formal` or `casual`.
    pub fn manner(&self) -> &'static str {
        if matches!(self.tone, Tone::Formal | Tone::Custom) { "formal" } else { "casual" }
    }

    /// Topics that somebody of this field brings up in this month; all if there are none.
    pub fn topics(&self) -> Vec<&'static Topic> {
        let month = self.when.month();
        let fits: Vec<&Topic> = self
            .lexicon
            .topics
            .iter()
            .filter(|topic| topic.roles.is_empty() || topic.roles.contains(&self.field))
            .filter(|topic| topic.months.is_empty() || topic.months.contains(&month))
            .collect();
        if fits.is_empty() { self.lexicon.topics.iter().collect() } else { fits }
    }

    /// Whether a slot can be filled.
    #[cfg(test)]
    pub(super) fn knows(&self, name: &str) -> bool {
        const MADE: [&str; 25] = [
            "sum",
            "other_supplier",
            "who",
            "other",
            "me",
            "to",
            "topic",
            "project",
            "day",
            "month",
            "month_ahead",
            "date",
            "soon",
            "past",
            "time",
            "n",
            "nn",
            "nnn",
            "ticket",
            "room",
            "amount",
            "host",
            "version",
            "percent",
            "supplier",
        ];
        MADE.contains(&name) || self.ready.is_some_and(|ready| ready.slot(name).is_some())
    }

    fn fill_into(&self, template: &str, depth: u8, said: &mut Said, out: &mut String, rng: &mut Draw) {
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let Some((slot, tail)) = after.split_once('}') else { return };
            rest = tail;
            let (name, capital) = slot.strip_prefix('^').map_or((slot, false), |name| (name, true));
            let start = out.len();
            self.slot(name, depth, said, out, rng);
            if capital {
                capitalise(out, start);
            }
            if self.lexicon.code == "en" {
                mend_article(out, start);
            } else if self.lexicon.code == "fr" {
                mend_french(out, start);
            }
        }
        out.push_str(rest);
    }

    fn slot(&self, name: &str, depth: u8, said: &mut Said, out: &mut String, rng: &mut Draw) {
        let base = FORMS.iter().find_map(|form| name.strip_suffix(form)).unwrap_or(name);
        if let (Some(matter), Some(place)) = (self.about, MATTERS.iter().position(|known| *known == base)) {
            // The second supplier of a sentence is another one, and who is named within another's words is somebody else.
            let bit = 1 << place;
            let person = matches!(base, "who" | "other");
            let stays = if depth < DEPTH { !person } else { said.matters & bit == 0 };
            if stays {
                if depth == DEPTH {
                    said.matters |= bit;
                }
                let mut stable = [0; 32];
                stable[..8].copy_from_slice(&hash(base.as_bytes(), matter).to_le_bytes());
                return self.draw(name, depth, said, out, &mut Draw::from_seed(stable));
            }
        }
        self.draw(name, depth, said, out, rng);
    }

    fn draw(&self, name: &str, depth: u8, said: &mut Said, out: &mut String, rng: &mut Draw) {
        if let Some(list) = self.ready.and_then(|ready| ready.slot(name)) {
            if depth > 0
                && out.len() < LONGEST
                && let Some(entry) = pick(list, rng)
            {
                self.fill_into(entry, depth - 1, said, out, rng);
            }
            return;
        }
        // Writing to a string cannot fail.
        let _ = match name {
            "me" => out.write_str(self.me),
            "to" if !self.to.is_empty() => out.write_str(self.to),
            "who" | "other" | "to" => out.write_str(self.somebody(said, rng)),
            "topic" if !self.topic.is_empty() => out.write_str(self.topic),
            "topic" | "project" => out.write_str(self.house.project(rng)),
            "day" => out.write_str(self.weekday(self.near(self.ahead, rng))),
            "month" => out.write_str(self.month(self.ahead, rng)),
            "month_ahead" => out.write_str(self.month(true, rng)),
            "date" => {
                out.write_str(&self.lexicon.date_text(self.near(self.ahead || rng.random_bool(0.4), rng)))
            }
            "soon" => out.write_str(&self.lexicon.date_text(self.near(true, rng))),
            "past" => out.write_str(&self.lexicon.date_text(self.near(false, rng))),
            "time" => {
                let minute = [0, 0, 0, 30, 30, 15, 45][rng.random_range(0..7)];
                out.write_str(&self.lexicon.time_text(rng.random_range(8..18), minute))
            }
            "n" => write!(out, "{}", rng.random_range(2..=12)),
            "nn" => write!(out, "{}", rng.random_range(13..=90)),
            "nnn" => write!(out, "{}", rng.random_range(120..=980)),
            "ticket" => {
                let day = i64::from(self.when.num_days_from_ce()) - 719_163;
                out.write_str(&self.house.ticket(day, rng))
            }
            "room" => out.write_str(&self.house.room(rng)),
            "amount" | "sum" => out.write_str(&self.lexicon.amount_text(amount(rng))),
            "host" => out.write_str(self.host(said, rng)),
            "version" => {
                let (major, minor, patch) =
                    (rng.random_range(1..10), rng.random_range(0..20), rng.random_range(0..10));
                if rng.random_bool(0.6) {
                    write!(out, "{major}.{minor}.{patch}")
                } else {
                    write!(out, "{major}.{minor}")
                }
            }
            "percent" => {
                let gap =
                    if matches!(self.lexicon.code, "de" | "fr" | "es" | "sv" | "cs" | "da" | "nb" | "fi") {
                        " "
                    } else {
                        ""
                    };
                write!(out, "{}{gap}%", rng.random_range(2..=95))
            }
            "supplier" | "other_supplier" => out.write_str(&self.house.supplier(rng)),
            _ => Ok(()),
        };
    }

    /// A colleague whom this sentence has not named, where there is one; never the author, and never the reader. Who has
    /// few colleagues speaks of strangers too.
    fn somebody(&self, said: &mut Said, rng: &mut Draw) -> &'a str {
        let third = |name: &str| name != self.me && self.to.split_whitespace().all(|part| part != name);
        let known = self.colleagues.len();
        // Few colleagues would be named over and over, and one alone twice in a sentence: there are others in the firm.
        let alone = !self.colleagues.iter().any(|persona| third(persona.first_name()));
        let count = if alone || known < CIRCLE { known + STRANGERS.len() } else { known };
        let name = |index: usize| -> &'a str {
            match self.colleagues.get(index) {
                Some(persona) => persona.first_name(),
                None => STRANGERS.get(index - known).copied().unwrap_or("Alex"),
            }
        };
        let bit = |index: usize| 1_u64.checked_shl(u32::try_from(index).unwrap_or(64)).unwrap_or(0);
        let start = rng.random_range(0..count);
        // A stranger is nobody's namesake.
        let fits = |index: &usize| {
            third(name(*index))
                && (*index < known
                    || self.colleagues.iter().all(|persona| persona.first_name() != name(*index)))
        };
        let others = || (start..start + count).map(|index| index % count).filter(fits);
        let index = others()
            .find(|index| said.people & bit(*index) == 0)
            .or_else(|| others().next())
            .unwrap_or(start);
        said.people |= bit(index);
        name(index)
    }

    fn host(&self, said: &mut Said, rng: &mut Draw) -> &'a str {
        let count = if self.hosts.is_empty() { MACHINES.len() } else { self.hosts.len() };
        let mut index = rng.random_range(0..count);
        if said.host == Some(index) {
            index = (index + 1) % count;
        }
        said.host = Some(index);
        // Whoever names his machines after what they are for is not quoted.
        let tells =
            |name: &String| ["decnet", "decky", "decoy", "honey"].iter().any(|word| name.contains(word));
        if self.hosts.get(index).is_some_and(tells) {
            return MACHINES.get(index % MACHINES.len()).copied().unwrap_or("fs01");
        }
        self.hosts.get(index).map_or_else(|| MACHINES.get(index).copied().unwrap_or("fs01"), String::as_str)
    }

    /// A working day that somebody would mention now.
    fn near(&self, ahead: bool, rng: &mut Draw) -> NaiveDate {
        let today = self.when.date_naive();
        let offset = if ahead { rng.random_range(1..=16_u64) } else { rng.random_range(0..=9) };
        let day = if ahead {
            today.checked_add_days(Days::new(offset))
        } else {
            today.checked_sub_days(Days::new(offset))
        }
        .unwrap_or(today);
        // A weekend becomes the Monday after or the Friday before.
        let back = match day.weekday().num_days_from_monday() {
            weekend @ (5 | 6) if day > today => {
                return day.checked_add_days(Days::new(u64::from(7 - weekend))).unwrap_or(day);
            }
            weekend @ (5 | 6) => u64::from(weekend - 4),
            _ => 0,
        };
        day.checked_sub_days(Days::new(back)).unwrap_or(day)
    }

    fn weekday(&self, day: NaiveDate) -> &'static str {
        name_of(&self.lexicon.weekdays, day.weekday().num_days_from_monday())
    }

    fn month(&self, ahead: bool, rng: &mut Draw) -> &'static str {
        let around = if ahead { [0, 0, 1, 1, 2] } else { [11, 11, 0, 0, 1] };
        name_of(&self.lexicon.months, (self.when.month0() + around[rng.random_range(0..5)]) % 12)
    }
}
