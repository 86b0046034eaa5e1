//! Notes and lists of things to do: first lines and what is added later.

use std::collections::HashSet;

use rand::RngExt;

use super::{
    Pen,
    habit::{Bullet, Habit},
};
use crate::{
    Draw,
    words::{self, Voice, pool},
};

/// Lines of a note that is full.
const NOTE_LINES: usize = 40;
/// Items of a list that is full.
const LIST_ITEMS: usize = 25;
/// Draws before it is said that there is nothing new.
const TRIES: usize = 24;

/// A new note: two to five lines.
pub(super) fn note(pen: &Pen<'_>, voice: &Voice<'_>, rng: &mut Draw) -> String {
    let count = [2, 2, 3, 3, 3, 4, 4, 5][rng.random_range(0..8)];
    let habit = Habit::of(pen);
    let mut known = HashSet::new();
    let mut text = String::new();
    for _ in 0..count {
        if let Some(line) = fresh(voice, voice.lexicon.notes, &mut known, rng) {
            let line = noted(&line, &text, pen, voice, &habit);
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

/// A note with a line more; `None` when it is full.
pub(super) fn note_edit(previous: &str, pen: &Pen<'_>, voice: &Voice<'_>, rng: &mut Draw) -> Option<String> {
    let mut known: HashSet<String> = previous
        .lines()
        .flat_map(|line| [bare(line), bare(line.split_once(": ").map_or("", |(_, rest)| rest))])
        .collect();
    if previous.lines().count() >= NOTE_LINES {
        return None;
    }
    let habit = Habit::of(pen);
    let line = fresh(voice, voice.lexicon.notes, &mut known, rng)?;
    let mut text = ended(previous);
    let line = noted(&line, &text, pen, voice, &habit);
    text.push_str(&line);
    text.push('\n');
    Some(text)
}

/// A new list: three to seven items, a third of them done.
pub(super) fn todo(pen: &Pen<'_>, voice: &Voice<'_>, rng: &mut Draw) -> String {
    let habit = Habit::of(pen);
    let mut known = HashSet::new();
    let mut text = String::new();
    for _ in 0..rng.random_range(3..=7) {
        if let Some(task) = fresh(voice, voice.lexicon.tasks, &mut known, rng) {
            text.push_str(&item(task, rng.random_bool(0.33), &habit));
        }
    }
    text
}

/// A list after somebody has looked at it again: something is done, something is new, or both. A full list loses some
/// of what is done.
pub(super) fn todo_edit(previous: &str, pen: &Pen<'_>, voice: &Voice<'_>, rng: &mut Draw) -> Option<String> {
    let habit = Habit::of(pen);
    let mut lines: Vec<String> = previous.lines().map(str::to_owned).collect();
    let open: Vec<usize> = (0..lines.len()).filter(|index| lines[*index].starts_with("- [ ] ")).collect();
    let (flip, append) = match rng.random_range(0..3) {
        _ if open.is_empty() => (false, true),
        0 => (true, false),
        1 => (false, true),
        _ => (true, true),
    };
    if flip && let Some(line) = lines.get_mut(open[rng.random_range(0..open.len())]) {
        line.replace_range(..6, "- [x] ");
    }
    if append {
        if lines.len() >= LIST_ITEMS {
            // What was done before may leave; what is done just now stays to be seen.
            let done: Vec<usize> = previous
                .lines()
                .enumerate()
                .filter(|(_, line)| line.starts_with("- [x] "))
                .map(|(index, _)| index)
                .collect();
            if done.is_empty() {
                if !flip {
                    lines.get_mut(*open.first()?)?.replace_range(..6, "- [x] ");
                }
                return Some(joined(&lines));
            }
            let leaving = lines.len() + 1 - LIST_ITEMS + rng.random_range(0..4);
            for index in done.into_iter().take(leaving).rev() {
                lines.remove(index);
            }
        }
        let mut known: HashSet<String> =
            previous.lines().chain(lines.iter().map(String::as_str)).map(bare).collect();
        if lines.len() < LIST_ITEMS
            && let Some(task) = fresh(voice, voice.lexicon.tasks, &mut known, rng)
        {
            lines.push(item(task, rng.random_bool(0.15), &habit).trim_end().to_owned());
        }
    }
    let text = joined(&lines);
    (text != previous).then_some(text)
}

fn joined(lines: &[String]) -> String {
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

/// The text with a newline at its end.
pub(super) fn ended(text: &str) -> String {
    let mut text = text.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// A line that is not among the known ones.
fn fresh(
    voice: &Voice<'_>,
    list: &'static [&'static str],
    known: &mut HashSet<String>,
    rng: &mut Draw,
) -> Option<String> {
    let templates = pool(list, voice.field);
    (0..TRIES).map(|_| voice.say(templates, rng)).find(|line| !line.is_empty() && known.insert(bare(line)))
}

/// What a line says, without what stands before it and without regard to case.
fn bare(line: &str) -> String {
    let line = line.trim();
    let line =
        ["- [ ] ", "- [x] ", "- ", "* "].iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line);
    line.to_lowercase()
}

fn item(mut task: String, done: bool, habit: &Habit) -> String {
    if habit.capital_items {
        words::capitalise(&mut task, 0);
    }
    format!("- [{}] {task}\n", if done { 'x' } else { ' ' })
}

/// The line as its author puts it below `text`. Who dates his notes does so once a day.
fn noted(line: &str, text: &str, pen: &Pen<'_>, voice: &Voice<'_>, habit: &Habit) -> String {
    match habit.bullet {
        Bullet::None => line.to_owned(),
        Bullet::Dash => format!("- {line}"),
        Bullet::Star => format!("* {line}"),
        Bullet::Date => {
            let today = format!("{}: ", voice.lexicon.date_text(pen.when.date_naive()));
            if text.lines().any(|known| known.starts_with(&today)) {
                line.to_owned()
            } else {
                format!("{today}{line}")
            }
        }
    }
}
