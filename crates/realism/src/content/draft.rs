//! Letters, memos and minutes in the making.
//!
//! A draft stays with one topic, in the words that letters have for it, framed by sentences that go with everything.

use std::collections::HashSet;

use rand::{RngExt, seq::IndexedRandom};

use super::{Pen, habit::Habit, lists::ended};
use crate::{
    Draw,
    words::{self, Voice, pool},
};

/// Blocks of a draft that is full, the first and the last line included.
const PARAGRAPHS: usize = 6;
/// Draws before a sentence that is there already is left out.
const TRIES: usize = 8;

/// A new draft.
pub(super) fn body(path: &str, pen: &Pen<'_>, voice: &Voice<'_>, rng: &mut Draw) -> String {
    let habit = Habit::of(pen);
    let mut matter = voice.about(path.as_bytes());
    let topics = voice.topics();
    let topic = topics.choose(rng).copied();
    let mut said = HashSet::new();
    let mut blocks = vec![matter.say(pool(voice.lexicon.draft_heads, voice.manner()), rng)];
    // Whom a letter is to is not spoken of in it.
    let addressee = matter.fill("{who}", rng);
    matter.to = &addressee;
    let paragraphs = rng.random_range(2..=3);
    let list_at = if rng.random_bool(0.3) { rng.random_range(1..=paragraphs) } else { 0 };
    for index in 1..=paragraphs {
        if index == list_at {
            blocks.push(list(voice, &mut said, rng));
            continue;
        }
        let mut sentences = Vec::new();
        for place in 0..rng.random_range(2..=3) {
            let (about, templates) = match topic {
                Some(topic) if index == 1 && place == 0 => (&matter, topic.openings),
                Some(topic) if rng.random_bool(if index == 1 { 0.8 } else { 0.5 }) => {
                    (&matter, topic.details)
                }
                // Other people and things come up too.
                _ if rng.random_bool(0.5) => (&matter, pool(voice.lexicon.draft_sentences, voice.field)),
                _ => (voice, pool(voice.lexicon.draft_sentences, voice.field)),
            };
            sentences.extend(sentence(about, templates, &mut said, rng));
        }
        blocks.push(wrapped(&sentences.join(" "), habit.wrap));
    }
    if rng.random_bool(0.55) {
        blocks.push(voice.say(pool(voice.lexicon.draft_ends, voice.manner()), rng));
    }
    blocks.retain(|block| !block.is_empty());
    let mut text = blocks.join("\n\n");
    text.push('\n');
    text
}

/// A draft with a short paragraph more; `None` when it is full.
pub(super) fn edit(
    path: &str,
    previous: &str,
    pen: &Pen<'_>,
    voice: &Voice<'_>,
    rng: &mut Draw,
) -> Option<String> {
    let habit = Habit::of(pen);
    let mut matter = voice.about(path.as_bytes());
    let addressee = matter.fill("{who}", rng);
    matter.to = &addressee;
    let blocks: Vec<&str> = previous.split("\n\n").filter(|block| !block.trim().is_empty()).collect();
    if blocks.len() >= PARAGRAPHS {
        return None;
    }
    let mut said: HashSet<String> = previous.lines().map(str::to_owned).collect();
    let templates = pool(voice.lexicon.draft_sentences, voice.field);
    let mut sentences = Vec::new();
    for _ in 0..rng.random_range(1..=2) {
        let about = if rng.random_bool(0.5) { &matter } else { voice };
        sentences.extend(sentence(about, templates, &mut said, rng));
    }
    let mut paragraph = sentences.join(" ");
    if paragraph.is_empty() || previous.contains(&paragraph) {
        return None;
    }
    if blocks.last().is_some_and(|last| signed_off(last, voice.me)) {
        // What comes after the name is a thought for later.
        paragraph = match habit.roll(20, 4) {
            0 => format!("PS: {paragraph}"),
            1 => format!("PS - {paragraph}"),
            2 => format!("({paragraph})"),
            _ => format!("+ {paragraph}"),
        };
    }
    let mut text = ended(previous);
    if !text.ends_with("\n\n") {
        text.push('\n');
    }
    text.push_str(&wrapped(&paragraph, habit.wrap));
    text.push('\n');
    Some(text)
}

/// Whether a block looks like the end of a letter.
fn signed_off(block: &str, me: &str) -> bool {
    let block = block.trim();
    !block.contains('\n') && !block.ends_with('.') && (block.contains(me) || block.len() < 70)
}

fn sentence(
    voice: &Voice<'_>,
    templates: &'static [&'static str],
    said: &mut HashSet<String>,
    rng: &mut Draw,
) -> Option<String> {
    for _ in 0..TRIES {
        let template = templates.choose(rng)?;
        // A template once in a text is enough, whatever fills it.
        if said.insert((*template).to_owned()) {
            let text = voice.fill(template, rng);
            if said.insert(text.clone()) {
                return Some(text);
            }
        }
    }
    None
}

fn list(voice: &Voice<'_>, said: &mut HashSet<String>, rng: &mut Draw) -> String {
    let templates = pool(voice.lexicon.tasks, voice.field);
    let mark = ['-', '*', '-'][rng.random_range(0..3)];
    let items: Vec<String> = (0..rng.random_range(3..=5))
        .filter_map(|_| sentence(voice, templates, said, rng))
        .map(|mut item| {
            words::capitalise(&mut item, 0);
            format!("{mark} {item}")
        })
        .collect();
    items.join("\n")
}

/// The text with lines of at most `width` characters, where words allow it.
fn wrapped(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let mut out = String::with_capacity(text.len() + 8);
    let mut column = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}
