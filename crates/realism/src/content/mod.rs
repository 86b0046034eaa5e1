//! Files that people write: their names, their first content and how they change.
//!
//! The names of different classes never meet, no two bodies are alike, and what is written is in its author's language.

mod draft;
mod habit;
mod history;
mod lists;
mod names;
mod script;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chrono::DateTime;
use chrono_tz::Tz;

use crate::{Class, Draw, Persona, Resident, words::Voice};

pub use self::history::shell_history;

/// Who writes, where and when.
#[derive(Debug, Clone, Copy)]
pub struct Pen<'a> {
    /// The author and his account.
    pub resident: &'a Resident,
    /// Others that he may write of.
    pub colleagues: &'a [Arc<Persona>],
    /// Machines of the company that he may write of.
    pub hosts: &'a [String],
    /// The time of the file, in his time zone.
    pub when: DateTime<Tz>,
}

impl<'a> Pen<'a> {
    /// His voice; lists look ahead, everything else around.
    fn voice(&self, class: Class) -> Voice<'a> {
        let mut voice = Voice::new(&self.resident.persona, self.colleagues, self.hosts, self.when);
        voice.ahead = class == Class::Todo;
        voice
    }
}

/// The class is none of those that people write, or not one that changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a {0} is not written this way")]
pub struct NotWritten(pub Class);

/// An unused absolute path in the author's home, by his habits of naming. `Ok(None)` if a bounded number of tries finds none.
pub fn path(
    class: Class,
    pen: &Pen<'_>,
    taken: &dyn Fn(&str) -> bool,
    rng: &mut Draw,
) -> Result<Option<String>, NotWritten> {
    if !class.is_user() {
        return Err(NotWritten(class));
    }
    Ok(names::path(class, pen, &pen.voice(class), taken, rng))
}

/// The content of a new file at `path`; text, ends with a newline.
pub fn body(class: Class, path: &str, pen: &Pen<'_>, rng: &mut Draw) -> Result<String, NotWritten> {
    let voice = pen.voice(class);
    match class {
        Class::Note => Ok(lists::note(pen, &voice, rng)),
        Class::Todo => Ok(lists::todo(pen, &voice, rng)),
        Class::Draft => Ok(draft::body(path, pen, &voice, rng)),
        Class::Script => Ok(script::body(path, &voice, rng)),
        _ => Err(NotWritten(class)),
    }
}

/// The content after one more edit; `Ok(None)` if the file has grown to its bound.
pub fn edit(
    class: Class,
    path: &str,
    previous: &str,
    pen: &Pen<'_>,
    rng: &mut Draw,
) -> Result<Option<String>, NotWritten> {
    let voice = pen.voice(class);
    match class {
        Class::Note => Ok(lists::note_edit(previous, pen, &voice, rng)),
        Class::Todo => Ok(lists::todo_edit(previous, pen, &voice, rng)),
        Class::Draft => Ok(draft::edit(path, previous, pen, &voice, rng)),
        Class::Script => Ok(script::edit(previous, &voice, rng)),
        _ => Err(NotWritten(class)),
    }
}

/// The permission bits of a new file.
pub fn mode(class: Class) -> u32 {
    if class == Class::Script { 0o755 } else { 0o644 }
}
