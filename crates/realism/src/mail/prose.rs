//! What a letter says: subject, salutation, paragraphs, closing, signature, and the quotation of what it answers.

use chrono::{DateTime, Datelike, Timelike};
use chrono_tz::Tz;
use rand::RngExt;

use super::{
    client::{Client, Program},
    compose::{Letter, Text},
    header::one_line,
    thread::{reply_subject, topic},
};
use crate::{
    Draw,
    model::typed,
    words::{Topic, Voice},
};

/// Characters of a new subject at most.
const SUBJECT: usize = 80;
/// Draws before a subject is cut.
const TRIES: u32 = 12;
/// Paragraphs and lines of a quotation at most.
const QUOTED: usize = 3;
const QUOTED_LINES: usize = 14;
/// Bytes after which a paragraph takes no further sentence.
const LONG: usize = 420;

/// Subject and all of the text, lines ended by a line feed.
pub(super) struct Written {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) thread: String,
}

pub(super) fn write(letter: &Letter<'_>, client: &Client, rng: &mut Draw) -> Written {
    let when = letter.at.with_timezone(&letter.from.tz());
    let mut voice = Voice::new(letter.from, &letter.machine.mail_users, &[], when);
    voice.to = letter.to.first_name();
    let (thread, subject, paragraphs) = match letter.parent {
        Some(parent) => {
            let voice = voice.about(parent.thread.as_bytes());
            let paragraphs = match letter.text {
                Some(text) => split(text),
                None => answer(&voice, topic(&parent.thread), &parent.excerpt, rng),
            };
            (parent.thread.clone(), reply_subject(&parent.subject), paragraphs)
        }
        None => new(&voice, letter.text, rng),
    };
    let heavy = letter.from.uses_llms_heavily;
    let by = |text: String| if heavy { text } else { typed(&text, &letter.from.language) };
    let mut paragraphs: Vec<String> = paragraphs.into_iter().map(by).collect();
    if heavy && letter.text.is_none() && rng.random_bool(0.5) {
        dashes(&mut paragraphs);
    }
    let subject = if letter.parent.is_some() { subject } else { by(subject) };
    let text = laid_out(letter, client, &voice, &paragraphs, when, rng);
    Written { subject, text, thread }
}

/// Whoever pastes what a model wrote has its dashes.
fn dashes(paragraphs: &mut [String]) {
    for paragraph in paragraphs {
        if let Some((before, after)) = paragraph.split_once(", ") {
            *paragraph = format!("{before} \u{2014} {after}");
            return;
        }
    }
}

fn split(text: &Text) -> Vec<String> {
    let body = text.body.replace("\r\n", "\n").replace('\r', "\n");
    let clean: String = body.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
    let paragraphs = clean.split("\n\n").map(|paragraph| paragraph.trim_matches('\n').trim_end().to_owned());
    paragraphs.filter(|paragraph| !paragraph.trim().is_empty()).collect()
}

fn new(voice: &Voice<'_>, text: Option<&Text>, rng: &mut Draw) -> (String, String, Vec<String>) {
    let topics = voice.topics();
    let topic = (!topics.is_empty()).then(|| topics[rng.random_range(0..topics.len())]);
    let thread = format!("{}-{:08x}", topic.map_or("general", |topic| topic.id), rng.random::<u32>());
    let voice = voice.about(thread.as_bytes());
    let template = topic.map(|topic| (fitting(&voice, topic, rng), letter(&voice, topic, rng)));
    let (own, body) = template.unwrap_or_default();
    match text {
        Some(text) => {
            let given = one_line(&text.subject);
            let given = super::thread::bare_subject(&given);
            let subject = if given.is_empty() { own } else { cut(given) };
            let paragraphs = split(text);
            (thread, subject, if paragraphs.is_empty() { body } else { paragraphs })
        }
        None => (thread, own, body),
    }
}

/// A subject that is short enough.
fn fitting(voice: &Voice<'_>, topic: &Topic, rng: &mut Draw) -> String {
    let mut subject = String::new();
    for _ in 0..TRIES {
        subject = one_line(&voice.say(topic.subjects, rng));
        if !subject.is_empty() && subject.chars().count() <= SUBJECT {
            break;
        }
    }
    let subject = cut(super::thread::bare_subject(&subject));
    if subject.is_empty() { one_line(&voice.fill("{^project}: {ticket}", rng)) } else { subject }
}

fn cut(subject: &str) -> String {
    if subject.chars().count() <= SUBJECT {
        return subject.to_owned();
    }
    let short: String = subject.chars().take(SUBJECT).collect();
    let short = short.rsplit_once(' ').map_or(short.as_str(), |(words, _)| words);
    short.trim_end_matches([',', ':', ';', '-', ' ']).to_owned()
}

/// `count` of a list, none twice.
fn several(list: &[&'static str], count: usize, rng: &mut Draw) -> Vec<&'static str> {
    let mut left = list.to_vec();
    let mut taken = Vec::new();
    while taken.len() < count && !left.is_empty() {
        taken.push(left.swap_remove(rng.random_range(0..left.len())));
    }
    taken
}

/// The paragraphs of a new letter.
fn letter(voice: &Voice<'_>, topic: &Topic, rng: &mut Draw) -> Vec<String> {
    let mut sentences = vec![voice.say(topic.openings, rng)];
    let count = rng.random_range(2..=5);
    for template in several(topic.details, count, rng) {
        sentences.push(voice.fill(template, rng));
    }
    grouped(sentences, rng)
}

/// The paragraphs of an answer.
fn answer(voice: &Voice<'_>, topic: &str, before: &str, rng: &mut Draw) -> Vec<String> {
    let lexicon = voice.lexicon;
    let own = lexicon.topics.iter().find(|known| known.id == topic).map_or(&[][..], |topic| topic.answers);
    let mut sentences = Vec::new();
    if rng.random_bool(0.55) {
        sentences.push(voice.say(lexicon.answer_openings, rng));
    }
    let about = rng.random_range(1..=2);
    for template in several(own, about, rng) {
        sentences.push(voice.fill(template, rng));
    }
    let more = if own.is_empty() { rng.random_range(1..=3) } else { rng.random_range(0..=2) };
    for template in several(lexicon.answer_sentences, more, rng) {
        sentences.push(voice.fill(template, rng));
    }
    // Nobody says again what was just said to him.
    let (fresh, again): (Vec<String>, Vec<String>) =
        sentences.into_iter().partition(|sentence| !before.contains(sentence.as_str()));
    let sentences = if fresh.is_empty() { again } else { fresh };
    grouped(sentences, rng)
}

fn grouped(sentences: Vec<String>, rng: &mut Draw) -> Vec<String> {
    let mut paragraphs: Vec<String> = Vec::new();
    for sentence in sentences.into_iter().map(|sentence| one_line(&sentence)).filter(|text| !text.is_empty())
    {
        let begins = paragraphs.len() < 3 && rng.random_bool(0.35);
        match paragraphs.last_mut().filter(|last| !begins && last.len() < LONG) {
            Some(last) => {
                last.push(' ');
                last.push_str(&sentence);
            }
            None => paragraphs.push(sentence),
        }
    }
    paragraphs
}

/// One of a list: mostly the persona's habit among those of two words, which everybody uses; a longer one is a rarity.
fn habitual(list: &[&'static str], habit: u64, rng: &mut Draw) -> Option<&'static str> {
    let (short, long): (Vec<&str>, Vec<&str>) = list
        .iter()
        .copied()
        .partition(|template| template.split_whitespace().count() <= 2 && !template.contains("{day}"));
    if short.is_empty() || (!long.is_empty() && rng.random_bool(0.07)) {
        return (!long.is_empty()).then(|| long[rng.random_range(0..long.len())]);
    }
    let length = u64::try_from(short.len()).unwrap_or(1);
    let own = usize::try_from(habit % length).unwrap_or_default();
    let index = if rng.random_bool(0.75) { own } else { rng.random_range(0..short.len()) };
    short.get(index).copied()
}

fn greeting(letter: &Letter<'_>, client: &Client, voice: &Voice<'_>, rng: &mut Draw) -> Option<String> {
    let formal = voice.manner() == "formal";
    let none = match (letter.parent.is_some(), formal) {
        (true, false) => 0.4,
        (true, true) => 0.1,
        _ => 0.0,
    };
    if rng.random_bool(none) {
        return None;
    }
    let list = if formal { voice.lexicon.greetings_formal } else { voice.lexicon.greetings };
    let hour = voice.when.hour();
    let fits: Vec<&'static str> = list
        .iter()
        .copied()
        .filter(|template| {
            let small = template.to_lowercase();
            let has = |words: &[&str]| words.iter().any(|word| small.contains(word));
            let new_only = has(&["again", "promised", "wieder", "nochmal", "encore", "promis"]);
            let dull = has(&["question", "frage"]);
            !(!(5..11).contains(&hour) && has(&["morning", "morgen"])
                || !(5..15).contains(&hour) && has(&["buenos d\u{ed}as"])
                || !(12..18).contains(&hour)
                    && has(&["afternoon", "nachmittag", "mahlzeit", "apr\u{e8}s-midi"])
                || !(17..24).contains(&hour) && has(&["evening", "abend", "bonsoir"])
                || new_only
                || dull)
        })
        .collect();
    let template = habitual(&fits, client.habit, rng)?;
    Some(voice.fill(template, rng))
}

/// All parts in the order of the program, wrapped.
fn laid_out(
    letter: &Letter<'_>,
    client: &Client,
    voice: &Voice<'_>,
    paragraphs: &[String],
    when: DateTime<Tz>,
    rng: &mut Draw,
) -> String {
    let mut blocks: Vec<String> = Vec::new();
    let wrapped = |text: &str| wrap(text, client.width(), client.flowed());
    blocks.extend(greeting(letter, client, voice, rng));
    let quotation = letter.parent.and_then(|_| quotation(letter, client, voice, when, rng));
    let own = paragraphs.iter().map(|paragraph| wrapped(paragraph));
    if client.top {
        blocks.extend(own);
    } else {
        blocks.extend(quotation.clone());
        blocks.extend(own);
    }
    let formal = voice.manner() == "formal";
    let list = if formal { voice.lexicon.closings_formal } else { voice.lexicon.closings };
    let name = sign_off(&letter.from.name, letter.from.first_name(), formal);
    if let Some(closing) = habitual(list, client.habit >> 17, rng) {
        let closing = voice.fill(closing, rng);
        // Who has a signature seldom signs with his name too, and then with the first.
        blocks.push(match &letter.from.signature {
            None => format!("{closing}\n{name}"),
            Some(_) if rng.random_bool(0.3) => format!("{closing}\n{}", letter.from.first_name()),
            Some(_) => closing,
        });
    } else {
        blocks.push(name.to_owned());
    }
    if let Some(signature) = letter.from.signature.as_deref().filter(|text| !text.trim().is_empty()) {
        let text = signature.replace("\r\n", "\n").replace('\r', "\n");
        // Phones and Outlook put it there without the two dashes; a long one is told from the letter all the same.
        let plain = matches!(client.program, Program::Outlook | Program::K9 | Program::Apple)
            && text.lines().all(|line| line.split_whitespace().count() <= 2);
        let text = text.trim_end_matches('\n');
        blocks.push(if plain { text.to_owned() } else { format!("-- \n{text}") });
    }
    if client.top {
        blocks.extend(quotation);
    }
    blocks.join("\n\n") + "\n"
}

/// The name under a letter.
fn sign_off<'a>(name: &'a str, first: &'a str, formal: bool) -> &'a str {
    if formal && name.split_whitespace().count() <= 2 { name } else { first }
}

/// What the parent said, in the way of the program; most programs quote always, people cut it short.
fn quotation(
    letter: &Letter<'_>,
    client: &Client,
    voice: &Voice<'_>,
    when: DateTime<Tz>,
    rng: &mut Draw,
) -> Option<String> {
    let parent = letter.parent?;
    let heavy = letter.from.uses_llms_heavily;
    let excerpt: Vec<&str> = parent.excerpt.split("\n\n").filter(|text| !text.trim().is_empty()).collect();
    if excerpt.is_empty() || rng.random_bool(if client.top { 0.06 } else { 0.12 }) {
        return None;
    }
    let kept: Vec<&str> = if client.top {
        excerpt.into_iter().take(QUOTED + 1).collect()
    } else {
        // Somebody who answers below keeps what he answers to.
        let first = usize::from(excerpt.len() > 1);
        let from = rng.random_range(first..excerpt.len().max(first + 1));
        excerpt.into_iter().skip(from).take(1 + usize::from(rng.random_bool(0.3))).collect()
    };
    let mut lines: Vec<String> = Vec::new();
    let zone = parent.at.with_timezone(&when.timezone());
    let writer = one_line(&letter.to.name);
    let intro = match client.program {
        Program::Outlook => {
            lines.extend(outlook(letter, voice, zone, &parent.subject));
            None
        }
        Program::Apple => {
            lines.push(voice.lexicon.quoting_text(zone, &writer));
            lines.push(String::new());
            None
        }
        _ => Some(voice.lexicon.quoting_text(zone, &writer)),
    };
    let width = client.width() - if client.width() > 100 { 0 } else { 2 };
    for (index, paragraph) in kept.iter().enumerate() {
        if index > 0 {
            lines.push(String::new());
        }
        let text: String = paragraph.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
        let text = if heavy { text } else { typed(&text, &letter.from.language) };
        for line in text.lines() {
            lines.extend(wrap(line, width, false).lines().map(str::to_owned));
        }
    }
    lines.truncate(QUOTED_LINES);
    let quoted: Vec<String> = lines
        .iter()
        .map(|line| match (line.is_empty(), line.starts_with('>')) {
            (true, _) => ">".to_owned(),
            (_, true) => format!(">{line}"),
            _ => format!("> {line}"),
        })
        .collect();
    let quoted = quoted.join("\n");
    Some(intro.map_or_else(|| quoted.clone(), |intro| format!("{intro}\n{quoted}")))
}

/// Outlook's block over the original, when it marks each line of it.
fn outlook(letter: &Letter<'_>, voice: &Voice<'_>, sent: DateTime<Tz>, subject: &str) -> Vec<String> {
    let lexicon = voice.lexicon;
    let [rule, from, at, to, about] = match lexicon.code {
        "de" => ["-----Urspr\u{fc}ngliche Nachricht-----", "Von:", "Gesendet:", "An:", "Betreff:"],
        "fr" => ["-----Message d'origine-----", "De :", "Envoy\u{e9} :", "\u{c0} :", "Objet :"],
        "es" => ["-----Mensaje original-----", "De:", "Enviado el:", "Para:", "Asunto:"],
        "it" => ["-----Messaggio originale-----", "Da:", "Inviato:", "A:", "Oggetto:"],
        "pt" => ["-----Mensagem original-----", "De:", "Enviada em:", "Para:", "Assunto:"],
        "nl" => ["-----Oorspronkelijk bericht-----", "Van:", "Verzonden:", "Aan:", "Onderwerp:"],
        _ => ["-----Original Message-----", "From:", "Sent:", "To:", "Subject:"],
    };
    let weekday = usize::try_from(sent.weekday().num_days_from_monday()).unwrap_or_default();
    let day = lexicon.weekdays.get(weekday).copied().unwrap_or_default();
    let date = lexicon.date_text(sent.date_naive());
    let date = if lexicon.code == "en" {
        format!("{day}, {date}, {}", sent.year())
    } else {
        format!("{day}, {date} {}", sent.year())
    };
    vec![
        rule.to_owned(),
        format!("{from} {} <{}>", one_line(&letter.to.name), letter.to.email),
        format!("{at} {date} {}", lexicon.time_text(sent.hour(), sent.minute())),
        format!("{to} {} <{}>", one_line(&letter.from.name), letter.from.email),
        format!("{about} {}", one_line(subject)),
        String::new(),
    ]
}

/// Lines of at most `width` characters where words allow; soft ends are marked by a space, if the program does so.
pub(super) fn wrap(text: &str, width: usize, flowed: bool) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 40);
    for (index, line) in text.lines().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let mut column = 0;
        let indent = line.len() - line.trim_start().len();
        out.push_str(line.get(..indent).unwrap_or_default());
        for word in line.split_whitespace() {
            let length = word.chars().count();
            if column > 0 && column + 1 + length > width {
                out.push_str(if flowed { " \n" } else { "\n" });
                column = 0;
            } else if column > 0 {
                out.push(' ');
                column += 1;
            }
            // What would look like a quotation or an envelope line is set off, as programs do.
            let risky = column == 0 && index + out.len() > 0 && (word.starts_with('>') || word == "From");
            if risky && flowed {
                out.push(' ');
            }
            out.push_str(word);
            column += length;
        }
    }
    out
}
