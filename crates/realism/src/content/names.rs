//! Names of files: `<stem>[<separator><qualifier>].<extension>` in a folder of the author's.
//!
//! The class of a name is that of the stem it begins with, in whatever language: a name that begins with stems of two
//! classes is never given.

use std::{collections::HashMap, sync::LazyLock};

use chrono::Datelike;
use rand::RngExt;

use super::{Pen, habit::Habit};
use crate::{
    Class, Draw,
    words::{self, Lexicon, Voice, pick},
};

/// Names tried before it is said that there is none.
const TRIES: u32 = 24;

/// The words of a stem and its class.
type Stem = (Vec<&'static str>, Class);

/// Stems of all languages by their first word.
static STEMS: LazyLock<HashMap<&'static str, Vec<Stem>>> = LazyLock::new(|| {
    let mut stems: HashMap<_, Vec<_>> = HashMap::new();
    for lexicon in words::ALL {
        for class in [Class::Note, Class::Todo, Class::Draft, Class::Script] {
            for stem in of_class(lexicon, class) {
                let parts: Vec<&str> = stem.split(is_separator).collect();
                if let Some(first) = parts.first() {
                    stems.entry(*first).or_default().push((parts, class));
                }
            }
        }
    }
    stems
});

fn is_separator(letter: char) -> bool {
    matches!(letter, '-' | '_' | ' ' | '.')
}

/// A language's stems of a class that people write.
pub(super) fn of_class(lexicon: &Lexicon, class: Class) -> &'static [&'static str] {
    match class {
        Class::Note => lexicon.note_stems,
        Class::Todo => lexicon.todo_stems,
        Class::Draft => lexicon.draft_stems,
        _ => lexicon.script_stems,
    }
}

/// The classes of the stems that a base name begins with.
pub(super) fn classes(name: &str) -> Vec<Class> {
    let lower = name.to_lowercase();
    let parts: Vec<&str> = lower.split(is_separator).collect();
    let mut found: Vec<Class> = parts
        .first()
        .and_then(|first| STEMS.get(first))
        .into_iter()
        .flatten()
        .filter(|(stem, _)| {
            parts.len() >= stem.len() && parts.iter().zip(stem).all(|(part, word)| part == word)
        })
        .map(|(_, class)| *class)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Finds an unused path.
pub(super) fn path(
    class: Class,
    pen: &Pen<'_>,
    voice: &Voice<'_>,
    taken: &dyn Fn(&str) -> bool,
    rng: &mut Draw,
) -> Option<String> {
    let habit = Habit::of(pen);
    for attempt in 0..TRIES {
        let folder = folder(class, pen, &habit, rng);
        let name = name(class, pen, voice, &habit, attempt, folder == "bin", rng);
        if classes(&name) != [class] || has_long_number(&name) || name.len() > 80 {
            continue;
        }
        let path = if folder.is_empty() {
            format!("{}/{name}", pen.resident.home)
        } else {
            format!("{}/{folder}/{name}", pen.resident.home)
        };
        if !taken(&path) {
            return Some(path);
        }
    }
    None
}

fn has_long_number(name: &str) -> bool {
    let mut run = 0;
    name.bytes().any(|byte| {
        run = if byte.is_ascii_digit() { run + 1 } else { 0 };
        run >= 8
    })
}

/// A folder below the home: each author has one or two for a class.
fn folder(class: Class, pen: &Pen<'_>, habit: &Habit, rng: &mut Draw) -> String {
    let documents = match voice_code(pen) {
        "de" => "Dokumente",
        "es" | "pt" => "Documentos",
        "it" => "Documenti",
        "nl" => "Documenten",
        "pl" => "Dokumenty",
        _ => "Documents",
    };
    let work = || format!("work/{}", habit.projects(pen)[rng_index(habit, pen)]);
    let mut choice = habit.roll(100 + class as u64, 12);
    if rng.random_bool(0.3) {
        choice = habit.roll(200 + class as u64, 12);
    }
    match (class, choice) {
        (Class::Script, 0..5) => "bin".to_owned(),
        (Class::Script, 5..7) => "scripts".to_owned(),
        (Class::Script, 7..9) | (Class::Draft, 0..3) | (Class::Todo, 0..2) | (Class::Note, 0) => work(),
        (Class::Script, _) | (Class::Todo, 2..9) | (Class::Note, 1..5) | (Class::Draft, 11) => String::new(),
        (Class::Note, 5..8) => "notes".to_owned(),
        (Class::Note, 8) => format!("{documents}/notes"),
        (Class::Draft, 3..5) => format!("{documents}/{}", habit.projects(pen)[0]),
        _ => documents.to_owned(),
    }
}

/// Which of his projects is on: it changes with the week.
fn rng_index(habit: &Habit, pen: &Pen<'_>) -> usize {
    usize::try_from(habit.roll(u64::from(pen.when.iso_week().week()) + 5000, 3)).unwrap_or(0)
}

fn voice_code(pen: &Pen<'_>) -> &'static str {
    words::lexicon(&pen.resident.persona.language).code
}

fn name(
    class: Class,
    pen: &Pen<'_>,
    voice: &Voice<'_>,
    habit: &Habit,
    attempt: u32,
    bin: bool,
    rng: &mut Draw,
) -> String {
    // A program's name has no blanks.
    let separator = if class == Class::Script && habit.separator == ' ' { '-' } else { habit.separator };
    let stems = of_class(voice.lexicon, class);
    let mut name =
        pick(stems, rng).unwrap_or("notes").replace(is_separator, separator.encode_utf8(&mut [0; 4]));
    let shout = class == Class::Todo && habit.upper_lists;
    if shout {
        name = name.to_uppercase();
    } else if class != Class::Script && habit.title_case {
        words::capitalise(&mut name, 0);
    }
    // The first names somebody gives are short ones; later ones have to differ.
    let count = match rng.random_range(0..20) + attempt.min(12) {
        0..2 => 0,
        2..17 => 1,
        _ => 2,
    };
    let mut dated = false;
    for _ in 0..count {
        let (part, is_date) = qualifier(class, pen, voice, habit, separator, rng);
        // One date is enough.
        let again = dated && is_date;
        if !part.is_empty() && !again {
            dated |= is_date;
            name.push(separator);
            name.push_str(&part);
        }
    }
    name.push_str(extension(class, habit, bin, rng));
    name
}

fn extension(class: Class, habit: &Habit, bin: bool, rng: &mut Draw) -> &'static str {
    let markdown = habit.markdown != rng.random_bool(0.12);
    match class {
        Class::Script if bin && habit.roll(9, 3) > 0 => "",
        Class::Script if rng.random_bool(if habit.roll(10, 2) == 0 { 0.3 } else { 0.65 }) => ".py",
        Class::Script => ".sh",
        Class::Todo if habit.upper_lists && habit.roll(11, 3) == 0 => "",
        _ if markdown => ".md",
        _ => ".txt",
    }
}

fn qualifier(
    class: Class,
    pen: &Pen<'_>,
    voice: &Voice<'_>,
    habit: &Habit,
    separator: char,
    rng: &mut Draw,
) -> (String, bool) {
    let date = pen.when;
    let month = usize::try_from(date.month0())
        .ok()
        .and_then(|index| voice.lexicon.months.get(index))
        .copied()
        .unwrap_or("");
    // A blank between numbers reads as two things.
    let joint = if separator == ' ' { '-' } else { separator };
    let of_class = match (class, rng.random_range(0..20)) {
        (Class::Script, 0..6) | (Class::Note, 0) => slug(&voice.fill("{host}", rng), joint),
        (Class::Script, 6..9) => rng.random_range(2..10).to_string(),
        (Class::Script, 9..11) => {
            pick(&["old", "new", "all", "tmp", "test", "quick", "v2"], rng).unwrap_or("").to_owned()
        }
        (Class::Note | Class::Draft, 1..4) => slug(&voice.fill("{who}", rng), joint),
        (Class::Draft, 4..9) | (Class::Note, 4..6) => slug(&voice.house.supplier(rng), joint),
        (Class::Draft, 9..11) => {
            pick(&["v2", "v3", "v4", "final", "new", "old", "rev1", "rev2", "short"], rng)
                .unwrap_or("")
                .to_owned()
        }
        (Class::Todo, 0..4) => format!("w{:02}", date.iso_week().week()),
        (Class::Todo, 4..6) => format!("{}{joint}w{:02}", date.iso_week().year(), date.iso_week().week()),
        _ => String::new(),
    };
    if !of_class.is_empty() {
        return (of_class, class == Class::Todo);
    }
    let roll = rng.random_range(0..18);
    let text = match roll {
        0..2 => slug(month, joint),
        2..4 => format!("{}{joint}{:02}", date.year(), date.month()),
        4..7 => format!("{}{}", short_month(month, joint), date.day()),
        7 => format!("q{}", date.month0() / 3 + 1),
        8 => format!("{}{joint}q{}", date.year(), date.month0() / 3 + 1),
        9 => format!("{:02}{joint}{:02}", date.day(), date.month()),
        10..12 => {
            let ticket = voice.fill("{ticket}", rng);
            if habit.roll(12, 2) == 0 { ticket } else { slug(&ticket, joint) }
        }
        12 => format!("v{}", rng.random_range(2..6)),
        13 => format!("{}{joint}{:02}{joint}{:02}", date.year(), date.month(), date.day()),
        _ => habit.projects(pen)[rng.random_range(0..3)].to_owned(),
    };
    (text, roll < 10 || roll == 13)
}

/// The first three letters of a month where they are plain ones, else all of it.
fn short_month(month: &str, joint: char) -> String {
    let whole = slug(month, joint);
    if month.chars().take(3).all(|letter| letter.is_ascii()) {
        whole.chars().take(3).collect()
    } else {
        whole
    }
}

/// Plain lower-case letters and digits, parts joined by `joint`.
fn slug(text: &str, joint: char) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars().flat_map(char::to_lowercase) {
        let plain = match letter {
            'a'..='z' | '0'..='9' => {
                out.push(letter);
                continue;
            }
            'ä' | 'æ' => "ae",
            'ö' | 'œ' | 'ø' => "oe",
            'ü' => "ue",
            'ß' => "ss",
            'à' | 'á' | 'â' | 'ã' | 'å' | 'ą' => "a",
            'ç' | 'č' | 'ć' => "c",
            'ď' => "d",
            'è' | 'é' | 'ê' | 'ë' | 'ě' | 'ę' => "e",
            'ì' | 'í' | 'î' | 'ï' => "i",
            'ł' => "l",
            'ñ' | 'ň' | 'ń' => "n",
            'ò' | 'ó' | 'ô' | 'õ' | 'ő' => "o",
            'ř' => "r",
            'š' | 'ś' | 'ş' => "s",
            'ť' => "t",
            'ù' | 'ú' | 'û' | 'ů' | 'ű' => "u",
            'ý' | 'ÿ' => "y",
            'ž' | 'ź' | 'ż' => "z",
            '-' | '_' | ' ' | '.' if !out.is_empty() && !out.ends_with(joint) => {
                out.push(joint);
                continue;
            }
            _ => "",
        };
        out.push_str(plain);
    }
    out.trim_end_matches(joint).to_owned()
}
