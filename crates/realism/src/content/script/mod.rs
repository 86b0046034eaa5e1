//! Small programs that people keep: put together from skeletons whose names, limits and paths are drawn, so that no two read
//! alike and every one does what it says.
//!
//! `bash -n` and `py_compile` pass on each. Nothing here is run by us.

mod bash;
mod parts;
mod python;

use std::collections::HashMap;

use rand::RngExt;

use crate::{
    Draw,
    words::{Voice, pick, pool},
};

/// Comment lines of a script that is full, those of its first version included.
const COMMENTS: usize = 3;
/// Lists of names of settings, which some write in capital letters.
const SETTINGS: [&str; 7] = ["src", "dst", "lim", "age", "log", "pat", "list"];
/// Draws before it is said that there is nothing new.
const TRIES: usize = 24;

/// One of several ways to write a part of a program. A name between backticks is the same throughout the program: drawn from the list of
/// that name, or of the part before a colon (`dir:b` is another folder than `dir`).
type Chunk = &'static [&'static str];

/// A program in the rough.
#[derive(Debug)]
struct Skeleton {
    /// English stems of names that promise this.
    stems: &'static [&'static str],
    /// Fields that would write it; empty = everyone.
    fields: &'static [&'static str],
    chunks: &'static [Chunk],
}

/// A new script. The path decides the language: `.py`, `.sh`, or either.
pub(super) fn body(path: &str, voice: &Voice<'_>, rng: &mut Draw) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let python = match name.rsplit_once('.') {
        Some((_, "py")) => true,
        Some((_, "sh")) => false,
        _ => rng.random_bool(0.25),
    };
    let (skeletons, shebangs, header): (_, Chunk, Chunk) = if python {
        (python::ALL, python::SHEBANGS, &[""])
    } else {
        (bash::ALL, bash::SHEBANGS, bash::HEADERS)
    };
    let mut fitting: Vec<&Skeleton> = skeletons
        .iter()
        .filter(|skeleton| skeleton.fields.is_empty() || skeleton.fields.contains(&voice.field))
        .collect();
    // A program does what its name says, where the name says something.
    let named = |skeleton: &&Skeleton| skeleton.stems.iter().any(|stem| name.starts_with(stem));
    if fitting.iter().any(named) {
        fitting.retain(named);
    } else if let Some(skeleton) = skeletons.iter().find(named) {
        fitting = vec![skeleton];
    }
    let Some(skeleton) = fitting.get(rng.random_range(0..fitting.len().max(1))) else { return String::new() };
    let mut text = String::with_capacity(1024);
    text.push_str(pick(shebangs, rng).unwrap_or("#!/bin/bash"));
    text.push('\n');
    let mut said = Vec::new();
    for _ in 0..[0, 1, 1, 1, 1, 2][rng.random_range(0..6)] {
        said.extend(comment(&text, voice, rng).inspect(|line| {
            text.push_str(line);
            text.push('\n');
        }));
    }
    let first = pick(header, rng).unwrap_or("");
    if !first.is_empty() {
        text.push_str(first);
        text.push('\n');
    }
    text.push('\n');
    let shout = !python && rng.random_bool(0.3);
    let mut bound = HashMap::new();
    for chunk in skeleton.chunks {
        if *chunk == [""] {
            text.push('\n');
        }
        if let Some(part) = pick(chunk, rng).filter(|part| !part.is_empty()) {
            bind(part, shout, &mut bound, &mut text, voice, rng);
            text.push('\n');
        }
    }
    text
}

/// A script with a comment more, between two of its blocks or at its end; `None` when it has enough of them.
pub(super) fn edit(previous: &str, voice: &Voice<'_>, rng: &mut Draw) -> Option<String> {
    let count = previous.lines().skip(1).filter(|line| line.trim_start().starts_with('#')).count();
    if count >= COMMENTS {
        return None;
    }
    let line = comment(previous, voice, rng)?;
    let mut text = super::lists::ended(previous);
    // After an empty line a new block begins; a comment there stands above it.
    // What looks like a line of code may be one of a text that runs over several: then the end is the only safe place.
    let texts = ["<<", "\"\"\"", "'''"].iter().any(|mark| text.contains(mark));
    let bytes = if texts { &[] } else { text.as_bytes() };
    let places: Vec<usize> =
        (2..bytes.len()).filter(|at| bytes[at - 2..*at] == *b"\n\n" && bytes[*at] != b'\n').collect();
    let place = places.get(rng.random_range(0..=places.len())).copied().unwrap_or(text.len());
    text.insert_str(place, &format!("{line}\n"));
    Some(text)
}

/// A comment that is not there yet.
fn comment(text: &str, voice: &Voice<'_>, rng: &mut Draw) -> Option<String> {
    let templates = pool(voice.lexicon.comments, voice.field);
    (0..TRIES)
        .map(|_| format!("# {}", voice.say(templates, rng)))
        .find(|line| line.len() > 2 && !text.contains(line.as_str()))
}

/// Fills the names of a part.
fn bind(
    part: &'static str,
    shout: bool,
    bound: &mut HashMap<&'static str, String>,
    text: &mut String,
    voice: &Voice<'_>,
    rng: &mut Draw,
) {
    for (index, piece) in part.split('`').enumerate() {
        if index % 2 == 0 {
            text.push_str(piece);
            continue;
        }
        if let Some(value) = bound.get(piece) {
            text.push_str(value);
            continue;
        }
        let list = piece.split_once(':').map_or(piece, |(list, _)| list);
        let mut value = String::new();
        // Two names of one program must not be the same.
        for _ in 0..TRIES {
            value = parts::draw(list, voice, rng);
            if shout && SETTINGS.contains(&list) {
                value.make_ascii_uppercase();
            }
            if !bound.values().any(|other| *other == value) {
                break;
            }
        }
        text.push_str(&value);
        bound.insert(piece, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skeletons_draw_from_lists_that_there_are() {
        for skeleton in bash::ALL.iter().chain(python::ALL) {
            for part in skeleton.chunks.iter().flat_map(|chunk| chunk.iter()) {
                let pieces: Vec<&str> = part.split('`').collect();
                assert!(pieces.len() % 2 == 1, "{part}");
                for name in pieces.iter().skip(1).step_by(2) {
                    assert!(parts::knows(name.split(':').next().unwrap()), "{name} in {part}");
                }
            }
        }
        assert!(bash::ALL.len() + python::ALL.len() >= 14);
    }
}
