//! How things are written down: dates, times, sums, capital letters, English contractions and articles.

use chrono::{DateTime, Datelike, NaiveDate, Timelike};
use chrono_tz::Tz;
use rand::RngExt;

use super::Lexicon;
use crate::Draw;

impl Lexicon {
    /// A date as one writes it in a sentence.
    pub fn date_text(&self, day: NaiveDate) -> String {
        self.date
            .replace("{d}", &day.day().to_string())
            .replace("{month}", name_of(&self.months, day.month0()))
    }

    /// A time of day as one writes it in a sentence.
    pub fn time_text(&self, hour: u32, minute: u32) -> String {
        self.time.replace("{h}", &hour.to_string()).replace("{mm}", &format!("{minute:02}"))
    }

    /// An amount of money.
    pub fn amount_text(&self, euros: u32) -> String {
        let separator = match self.code {
            "en" => ",",
            "de" | "es" | "it" | "nl" | "pt" | "da" | "tr" => ".",
            _ => " ",
        };
        let digits = if euros < 1000 {
            euros.to_string()
        } else {
            format!("{}{separator}{:03}", euros / 1000, euros % 1000)
        };
        self.amount.replace("{euros}", &digits)
    }

    /// The line above a quotation of what `to` wrote at `when`.
    pub fn quoting_text(&self, when: DateTime<Tz>, to: &str) -> String {
        self.quoting
            .replace("{date}", &self.date_text(when.date_naive()))
            .replace("{time}", &self.time_text(when.hour(), when.minute()))
            .replace("{to}", to)
    }
}

/// One of a list.
pub(crate) fn pick(list: &[&'static str], rng: &mut Draw) -> Option<&'static str> {
    if list.is_empty() { None } else { list.get(rng.random_range(0..list.len())).copied() }
}

/// Sums that occur in a company: small ones more often, most of them round.
pub(super) fn amount(rng: &mut Draw) -> u32 {
    match rng.random_range(0..10) {
        0..3 => rng.random_range(40..980),
        3..5 => rng.random_range(2..39) * 50,
        5..8 => rng.random_range(11..98) * 100,
        _ => rng.random_range(1_000..48_000),
    }
}

pub(super) fn name_of<const N: usize>(names: &[&'static str; N], index: u32) -> &'static str {
    usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or("")
}

/// Makes the first letter from `start` on a capital one.
pub(crate) fn capitalise(text: &mut String, start: usize) {
    if let Some(first) = text.get(start..).and_then(|tail| tail.chars().next()) {
        let capital: String = first.to_uppercase().collect();
        text.replace_range(start..start + first.len_utf8(), &capital);
    }
}

/// English as one talks it.
pub(super) fn contract(text: &mut String) {
    for (long, short) in [
        ("I will ", "I'll "),
        ("I have ", "I've "),
        ("I am ", "I'm "),
        ("do not ", "don't "),
        ("does not ", "doesn't "),
        ("cannot ", "can't "),
        ("will not ", "won't "),
        ("is not ", "isn't "),
        ("I would ", "I'd "),
        ("Let us ", "Let's "),
        (" it is ", " it's "),
    ] {
        if text.contains(long) {
            *text = text.replace(long, short);
        }
    }
}

/// English: `a` before what now begins with a vowel becomes `an`.
pub(super) fn mend_article(text: &mut String, start: usize) {
    let Some((before, filled)) = text.split_at_checked(start) else { return };
    let article = before.strip_suffix(" a ").is_some() || before == "a " || before == "A ";
    let vowel = filled.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U', '8']);
    let exception =
        ["us", "uni", "eu", "one", "UP", "US", "UN"].iter().any(|sound| filled.starts_with(sound));
    if article && vowel && !exception {
        text.insert(start - 1, 'n');
    }
}
