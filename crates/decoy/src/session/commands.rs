//! What an intruder told his shell, line by line, from what he typed and what his terminal showed.
//!
//! Where the terminal collects lines, what was typed is the line, edited as the kernel edits it. Where a program reads
//! every key (a shell with history and completion), only the screen knows: a terminal emulator follows it, and when the
//! newline of an Enter is shown, the line before it, without its prompt, is the command. Output is hostile: nothing
//! here trusts it, keeps more than a screen of it or fails because of it.

use std::{
    collections::VecDeque,
    num::NonZeroU16,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::typing::{Key, Keys};
use crate::shell::frame::{Echo, Window};

/// Sizes that are followed: a client may claim any. Real shells move relative to their line, so fewer rows do no harm.
const ROWS_MAX: u32 = 50;
const COLS_MAX: u32 = 1000;
/// Longest line that is kept.
const LINE_MAX: usize = 64 << 10;
/// Lines that may wait for their newline.
const WAITING_MAX: usize = 256;
/// Longest prompt that is kept.
const PROMPT_MAX: usize = 512;
/// What a shell with line editing writes when it stops reading a line.
const PASTE_OFF: &[u8] = b"\x1b[?2004l";

/// A line that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: Vec<u8>,
    /// What stood before it.
    pub(super) prompt: String,
    /// False for what the terminal did not show while it was typed.
    pub(super) shown: bool,
}

/// What was typed since the last Enter.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each found out at another time")]
struct Typing {
    text: Vec<u8>,
    begun: bool,
    /// The text alone does not tell the line: keys that edit were among it.
    edited: bool,
    /// Completion was asked for, which shows newlines of its own.
    completed: bool,
    /// A shell that marks pastes was reading, so it also marks the end of a line.
    marked: bool,
    /// How the terminal took its first key.
    echo: Option<Echo>,
    prompt: Option<String>,
    /// The line as it stood at the last newline, for the end mark.
    candidate: Option<String>,
}

pub(super) struct Commands {
    screen: vt100::Parser,
    size: (NonZeroU16, NonZeroU16),
    keys: Keys,
    typing: Typing,
    waiting: VecDeque<Typing>,
    /// A newline has already ended the line whose end mark is still to come.
    taken: bool,
    /// The last prompt that a line was found after.
    prompt: String,
    sent: Vec<Line>,
}

impl Commands {
    pub(super) fn new(window: Window) -> Self {
        let size = clamp(window);
        Self {
            screen: vt100::Parser::new(size.0, size.1, 0),
            size,
            keys: Keys::default(),
            typing: Typing::default(),
            waiting: VecDeque::new(),
            taken: false,
            prompt: String::new(),
            sent: Vec::new(),
        }
    }

    pub(super) fn resize(&mut self, window: Window) {
        self.size = clamp(window);
        let size = self.size;
        self.guarded(|screen| screen.set_size(size.0, size.1));
    }

    /// Keys that have reached the terminal. Returns lines that are complete with that.
    pub(super) fn typed(&mut self, echo: Echo, bytes: &[u8]) -> Vec<Line> {
        for byte in bytes {
            let Some(key) = self.keys.next(*byte) else { continue };
            if self.screen.screen().alternate_screen() {
                // A full-screen program: its keys are in the transcript.
                self.typing = Typing::default();
                self.waiting.clear();
                continue;
            }
            self.press(echo, key);
        }
        std::mem::take(&mut self.sent)
    }

    fn press(&mut self, echo: Echo, key: Key) {
        if let Key::Answer = key {
            return;
        }
        if !self.typing.begun {
            let prompt = self.waiting.is_empty().then(|| self.before_cursor());
            let marked = self.screen.screen().bracketed_paste();
            self.typing = Typing { begun: true, marked, echo: Some(echo), prompt, ..Typing::default() };
        }
        if self.typing.echo != Some(echo) {
            // Begun for one reader, ended for another: only the screen knows what became of it.
            self.typing.edited = true;
        }
        match key {
            Key::Enter | Key::EndOfFile
                if echo.lines && (key == Key::Enter || !self.typing.text.is_empty()) =>
            {
                self.end_collected(echo);
            }
            Key::Enter => self.end_keyed(),
            Key::Interrupt => {
                self.typing = Typing::default();
                self.waiting.clear();
            }
            Key::Text(byte) => self.add(byte),
            Key::PastedNewline => self.add(b'\n'),
            Key::Erase | Key::EraseWord | Key::EraseLine if echo.lines => erase(&mut self.typing.text, key),
            Key::Complete => {
                if echo.lines {
                    self.add(b'\t');
                } else {
                    self.typing.edited = true;
                    self.typing.completed = true;
                }
            }
            Key::Erase | Key::EraseWord | Key::EraseLine | Key::Edit | Key::EndOfFile => {
                self.typing.edited = true;
            }
            Key::Answer => {}
        }
    }

    fn add(&mut self, byte: u8) {
        if self.typing.text.len() < LINE_MAX {
            self.typing.text.push(byte);
        }
    }

    /// The kernel has the line.
    fn end_collected(&mut self, echo: Echo) {
        let typing = std::mem::take(&mut self.typing);
        if typing.text.is_empty() {
            return;
        }
        let prompt = typing.prompt.unwrap_or_default();
        self.sent.push(Line { text: typing.text, prompt, shown: echo.shown });
    }

    /// The program will have the line once it has shown its newline.
    fn end_keyed(&mut self) {
        let typing = std::mem::take(&mut self.typing);
        if typing.text.is_empty() && !typing.edited {
            return;
        }
        if self.waiting.len() >= WAITING_MAX
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.give_up(oldest);
        }
        self.waiting.push_back(typing);
    }

    /// What the terminal shows. Returns lines whose newline is among it.
    pub(super) fn shown(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.waiting.is_empty() {
                self.taken &= !rest.windows(PASTE_OFF.len()).any(|part| part == PASTE_OFF);
                self.guarded(|screen| screen.process(rest));
                break;
            }
            let newline = rest.iter().position(|byte| *byte == b'\n');
            let mark = rest.windows(PASTE_OFF.len()).position(|part| part == PASTE_OFF);
            let end = match (newline, mark) {
                (Some(0), _) => 1,
                (Some(newline), None) => newline,
                (None, None) => rest.len(),
                (newline, Some(mark)) if newline.is_none_or(|newline| mark < newline) => {
                    mark + PASTE_OFF.len()
                }
                (newline, _) => newline.unwrap_or(rest.len()),
            };
            let (part, after) = rest.split_at(end);
            if part == b"\n" {
                self.newline();
            }
            let marking = self.screen.screen().bracketed_paste();
            self.guarded(|screen| screen.process(part));
            if marking && !self.screen.screen().bracketed_paste() {
                self.end_marked();
            }
            rest = after;
        }
        std::mem::take(&mut self.sent)
    }

    /// A newline is about to be shown: is it the one of the oldest line that waits?
    fn newline(&mut self) {
        let line = self.cursor_line();
        let marking = self.screen.screen().bracketed_paste();
        let learned = self.prompt.clone();
        let Some(typing) = self.waiting.front_mut() else { return };
        let is_it = if typing.marked {
            if marking && typing.completed {
                typing.candidate = Some(line);
                return;
            }
            marking && (typing.edited || typing.ends(&line))
        } else if typing.edited {
            let known = typing.prompt.as_deref().filter(|prompt| !prompt.trim().is_empty());
            let known = known.or(Some(&*learned).filter(|prompt| !prompt.is_empty()));
            known.is_some_and(|prompt| line.starts_with(prompt.trim_end()))
        } else {
            typing.ends(&line)
        };
        if is_it && let Some(typing) = self.waiting.pop_front() {
            self.taken = typing.marked;
            self.take(typing, &line);
        }
    }

    /// The shell has stopped reading a line.
    fn end_marked(&mut self) {
        if std::mem::take(&mut self.taken) {
            return;
        }
        let line = self.cursor_line();
        if self.waiting.front().is_some_and(|typing| typing.marked)
            && let Some(mut typing) = self.waiting.pop_front()
        {
            let line = typing.candidate.take().unwrap_or(line);
            self.take(typing, &line);
        }
    }

    /// This line was sent.
    fn take(&mut self, typing: Typing, line: &str) {
        let from_screen = |prompt: &str| {
            (!prompt.trim().is_empty()).then(|| line.strip_prefix(prompt)).flatten().map(str::to_owned)
        };
        let own = typing.prompt.as_deref().unwrap_or_default();
        let typed = String::from_utf8_lossy(&typing.text).into_owned();
        let (text, prompt) = if !typing.edited {
            let shown = line.strip_suffix(typed.rsplit('\n').next().unwrap_or_default());
            let prompt = shown.filter(|_| !typed.contains('\n')).unwrap_or(own).to_owned();
            (typing.text, prompt)
        } else if let Some(text) = from_screen(own) {
            (text.into_bytes(), own.to_owned())
        } else if let Some(text) = from_screen(&self.prompt) {
            (text.into_bytes(), self.prompt.clone())
        } else {
            let at =
                ["$ ", "# ", "> ", "% "].iter().filter_map(|end| line.find(end)).min().map_or(0, |at| at + 2);
            let (prompt, text) = line.split_at(at);
            (text.as_bytes().to_vec(), prompt.to_owned())
        };
        if !prompt.trim().is_empty() {
            self.prompt.clone_from(&prompt);
            self.prompt.truncate(self.prompt.floor_char_boundary(PROMPT_MAX));
        }
        if !text.trim_ascii().is_empty() {
            self.sent.push(Line { text: text.trim_ascii_end().to_vec(), prompt, shown: true });
        }
    }

    /// Its newline was never seen: what was typed is all there is.
    fn give_up(&mut self, typing: Typing) {
        if !typing.text.is_empty() {
            self.sent.push(Line {
                text: typing.text,
                prompt: typing.prompt.unwrap_or_default(),
                shown: true,
            });
        }
    }

    /// The session is over: lines whose newline nobody has seen.
    pub(super) fn finish(&mut self) -> Vec<Line> {
        for typing in std::mem::take(&mut self.waiting) {
            self.give_up(typing);
        }
        std::mem::take(&mut self.sent)
    }

    /// Runs the emulator. Whatever output does to it, only the picture is lost.
    fn guarded(&mut self, act: impl FnOnce(&mut vt100::Parser)) {
        if catch_unwind(AssertUnwindSafe(|| act(&mut self.screen))).is_err() {
            self.screen = vt100::Parser::new(self.size.0, self.size.1, 0);
        }
    }

    /// The whole line that the cursor is in, over all rows that it wraps to.
    fn cursor_line(&self) -> String {
        let screen = self.screen.screen();
        let (mut first, _) = screen.cursor_position();
        let mut last = first;
        while first > 0 && screen.row_wrapped(first - 1) {
            first -= 1;
        }
        while last + 1 < self.size.0.get() && screen.row_wrapped(last) {
            last += 1;
        }
        self.cells(first, (last, self.size.1.get())).trim_end().to_owned()
    }

    /// The part of that line before the cursor.
    fn before_cursor(&self) -> String {
        let screen = self.screen.screen();
        let (row, col) = screen.cursor_position();
        let mut first = row;
        while first > 0 && screen.row_wrapped(first - 1) {
            first -= 1;
        }
        let mut text = self.cells(first, (row, col));
        text.truncate(text.floor_char_boundary(PROMPT_MAX));
        text
    }

    fn cells(&self, first: u16, (last, end): (u16, u16)) -> String {
        let screen = self.screen.screen();
        let mut text = String::new();
        for row in first..=last {
            let cols = if row == last { end } else { self.size.1.get() };
            for col in 0..cols {
                let Some(cell) = screen.cell(row, col) else { break };
                if cell.is_wide_continuation() {
                    continue;
                }
                if cell.has_contents() {
                    text.push_str(cell.contents());
                } else {
                    text.push(' ');
                }
                if text.len() > LINE_MAX {
                    return text;
                }
            }
        }
        text
    }
}

impl Typing {
    /// Whether a shown line ends with what was typed.
    fn ends(&self, line: &str) -> bool {
        let text = String::from_utf8_lossy(&self.text);
        let last = text.rsplit('\n').next().unwrap_or_default().trim_end();
        // A line longer than the screen shows only its end.
        let tail = last.get(last.ceil_char_boundary(last.len().saturating_sub(200))..).unwrap_or(last);
        line.ends_with(tail)
    }
}

/// What the kernel does for a key that erases.
fn erase(text: &mut Vec<u8>, key: Key) {
    match key {
        Key::Erase => {
            // A whole character.
            while text.pop().is_some_and(|byte| (0x80..0xc0).contains(&byte)) {}
        }
        Key::EraseWord => {
            while text.last().is_some_and(u8::is_ascii_whitespace) {
                text.pop();
            }
            while text.last().is_some_and(|byte| !byte.is_ascii_whitespace()) {
                text.pop();
            }
        }
        _ => text.clear(),
    }
}

fn clamp(window: Window) -> (NonZeroU16, NonZeroU16) {
    let size = |value: u32, max: u32, usual: u16| {
        let value = if value == 0 { u32::from(usual) } else { value.clamp(2, max) };
        NonZeroU16::new(u16::try_from(value).unwrap_or(usual)).unwrap_or(NonZeroU16::MIN)
    };
    (size(window.rows, ROWS_MAX, 24), size(window.cols, COLS_MAX, 80))
}

#[cfg(test)]
#[path = "commands_tests.rs"]
mod tests;
