//! Words: what people of a language write about, as tables, and the one engine that makes sentences of them ([`Voice`]).
//!
//! A template holds slots in braces, `{who}`; a slot is replaced by an entry of the list of its name (which may hold slots
//! itself) or by what the engine knows: `{who}` a colleague's first name, `{other}` another colleague's, `{me}` the author's
//! first name, `{to}` the recipient's, `{day}` a weekday, `{month}`, `{date}` a date near the author's, `{time}` a time of
//! day, `{n}` 2 to 12, `{nn}` 13 to 90, `{nnn}` 120 to 980, `{ticket}` such as `OPS-4127`, `{room}`, `{amount}` of money,
//! `{host}` a machine of the company, `{version}`, `{percent}`, `{topic}` what the letter is about. `{^slot}` begins with a capital letter.
//! `{soon}` is a coming date and `{past}` one that was, `{month_ahead}` this month or one of the next two.
//! `{supplier}` (a firm's name without its legal form) and `{project}` (a code name, lower case) stay the same few for everyone
//! of a mail domain. A list of the language with the name of such a slot takes its place.
//! In one matter (a letter and its answers, see [`Voice::about`]) `{supplier}`, `{project}`, `{who}`, `{host}`, `{city}`,
//! `{meeting}`, `{thing}` and the like stay what they are; `{sum}` is its amount (`{amount}` is another each time) and
//! `{other_supplier}` some other firm.
//! A word form that depends on its place (case, gender) has a list of its own: `{thing_acc}`, `{thing_dat}`.
//! A note, task, draft sentence or comment may begin with the roles that write it and a bar, `ops,dev|restart {service}`;
//! one without is everyone's. In the same way the first and last lines of drafts may be for `formal` people or for `casual` ones.

pub mod de;
pub mod en;
mod engine;
pub mod es;
mod form;
pub mod fr;
mod house;
mod index;
mod roles;
#[cfg(test)]
mod tests;

pub use self::{engine::Voice, house::House, index::pool, roles::field};
pub(crate) use self::{
    form::{capitalise, pick},
    house::{hash, mix},
};

/// A subject of letters: new threads draw one, answers stay with it.
#[derive(Debug, Clone, Copy)]
pub struct Topic {
    /// Stable id, the same in all languages, so that an answer in another language stays with the topic.
    pub id: &'static str,
    /// Words of the roles that write of it (`finance`, `ops`, `hr`, `sales`, `dev`, `office`); empty = everyone.
    pub roles: &'static [&'static str],
    /// Months in which it comes up, 1 to 12; empty = all year.
    pub months: &'static [u32],
    /// Templates of subject lines.
    pub subjects: &'static [&'static str],
    /// Templates of first sentences.
    pub openings: &'static [&'static str],
    /// Templates of further sentences, two to five of which make the letter.
    pub details: &'static [&'static str],
    /// Templates of sentences that answer such a letter.
    pub answers: &'static [&'static str],
}

/// Everything that a language needs.
#[derive(Debug, Clone, Copy)]
pub struct Lexicon {
    /// ISO 639-1.
    pub code: &'static str,
    /// Monday first.
    pub weekdays: [&'static str; 7],
    /// January first.
    pub months: [&'static str; 12],
    /// A date, of `{d}` and `{month}`.
    pub date: &'static str,
    /// A time of day, of `{h}` and `{mm}`.
    pub time: &'static str,
    /// An amount of money, of `{euros}` (with the language's separators).
    pub amount: &'static str,
    /// Lists for slots of templates.
    pub slots: &'static [(&'static str, &'static [&'static str])],
    /// Lines of notes: short, lower case, no full stop.
    pub notes: &'static [&'static str],
    /// Items of lists of things to do: short, lower case, no full stop.
    pub tasks: &'static [&'static str],
    /// First lines of drafts (letters, memos, minutes, announcements).
    pub draft_heads: &'static [&'static str],
    /// Sentences of drafts.
    pub draft_sentences: &'static [&'static str],
    /// Last lines of drafts, the author's name included where there is one.
    pub draft_ends: &'static [&'static str],
    /// Comments in scripts, without the `#`.
    pub comments: &'static [&'static str],
    /// First lines of mails to one person, formal and not: `Hi {to},`.
    pub greetings: &'static [&'static str],
    /// The same for formal people.
    pub greetings_formal: &'static [&'static str],
    /// Last lines before the signature.
    pub closings: &'static [&'static str],
    /// The same for formal people.
    pub closings_formal: &'static [&'static str],
    /// First sentences of answers.
    pub answer_openings: &'static [&'static str],
    /// Sentences of answers that fit every topic.
    pub answer_sentences: &'static [&'static str],
    /// The line above a quotation, of `{date}`, `{time}`, `{to}`.
    pub quoting: &'static str,
    /// Topics of letters, at least 60.
    pub topics: &'static [Topic],
    /// Stems of note names, ASCII, disjoint from those of other classes in every language.
    pub note_stems: &'static [&'static str],
    /// Stems of list names.
    pub todo_stems: &'static [&'static str],
    /// Stems of draft names.
    pub draft_stems: &'static [&'static str],
    /// Stems of script names.
    pub script_stems: &'static [&'static str],
}

/// Every language there is; English first. Whoever adds one puts its `pub static LEXICON` here.
pub static ALL: &[&Lexicon] = &[&en::LEXICON, &de::LEXICON, &es::LEXICON, &fr::LEXICON];

/// The language of a code in any case, with or without a region (`de-AT`); an unknown one is English.
pub fn lexicon(code: &str) -> &'static Lexicon {
    let primary = code.split(['-', '_']).next().unwrap_or_default();
    ALL.iter().find(|lexicon| lexicon.code.eq_ignore_ascii_case(primary)).copied().unwrap_or(&en::LEXICON)
}
