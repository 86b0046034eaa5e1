//! How things are written down: dates, times, sums, capital letters, English contractions and articles.

use chrono::{DateTime, Datelike, NaiveDate, Timelike};
use chrono_tz::Tz;
use rand::RngExt;

use super::Lexicon;
use crate::Draw;

impl Lexicon {
    /// A date as one writes it in a sentence.
    pub fn date_text(&self, day: NaiveDate) -> String {
        let number = match (self.code, day.day()) {
            ("fr", 1) => "1er".to_owned(),
            (_, number) => number.to_string(),
        };
        self.date.replace("{d}", &number).replace("{month}", name_of(&self.months, day.month0()))
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
            .replace("{year}", &when.year().to_string())
            .replace("{hh}", &format!("{:02}", when.hour()))
            .replace("{mm}", &format!("{:02}", when.minute()))
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

/// French: `de` and `que` before a vowel lose theirs, `de le` is `du`, `à les` is `aux`, `de des` is `de`.
pub(super) fn mend_french(text: &mut String, start: usize) {
    let Some((before, filled)) = text.split_at_checked(start) else { return };
    let particle = ["de ", "De ", "que ", "Que ", "à ", "À "].into_iter().find(|particle| {
        before.strip_suffix(particle).is_some_and(|rest| !rest.ends_with(char::is_alphanumeric))
    });
    let Some(particle) = particle else { return };
    let of = matches!(particle, "de " | "De ");
    let to = matches!(particle, "à " | "À ");
    let contracted = [
        (of, "le ", "du "),
        (of, "les ", "des "),
        (of, "du ", "de "),
        (of, "des ", "de "),
        (to, "le ", "au "),
        (to, "les ", "aux "),
    ];
    let mut article = "";
    let mut whole = particle.to_owned();
    if let Some((_, old, new)) =
        contracted.into_iter().find(|(fits, old, _)| *fits && filled.starts_with(old))
    {
        article = old;
        whole = new.to_owned();
        if particle.starts_with(char::is_uppercase) {
            capitalise(&mut whole, 0);
        }
    }
    let rest = filled.get(article.len()..).unwrap_or_default();
    if (whole.ends_with("de ") || whole.ends_with("De ") || whole.ends_with("ue ")) && mute(rest) {
        whole.truncate(whole.len() - 2);
        whole.push('\'');
    }
    text.replace_range(start - particle.len()..start + article.len(), &whole);
}

/// Whether a French word loses the vowel of what stands before it: names of machines and abbreviations do not.
fn mute(text: &str) -> bool {
    let word = text.split([' ', ',', '.']).next().unwrap_or_default();
    if word.contains(|letter: char| letter.is_ascii_digit())
        || word.chars().nth(1).is_some_and(char::is_uppercase)
    {
        return false;
    }
    let small = word.to_lowercase();
    small.starts_with(['a', 'e', 'i', 'o', 'u', 'à', 'â', 'é', 'è', 'ê', 'î', 'ô', 'œ'])
        || ["hor", "hel", "hé", "hen", "hug", "hub", "heure", "hôtel"]
            .iter()
            .any(|start| small.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn french_particles_take_the_form_of_their_place() {
        for (before, filled, whole) in [
            ("au sujet de ", "le contrat", "au sujet du contrat"),
            ("De ", "le contrat", "Du contrat"),
            ("la copie de ", "Ada", "la copie d'Ada"),
            ("la copie de ", "Tom", "la copie de Tom"),
            ("il faut que ", "Eva", "il faut qu'Eva"),
            ("besoin de ", "des enveloppes", "besoin d'enveloppes"),
            ("besoin de ", "du papier", "besoin de papier"),
            ("jusqu'à ", "le bilan", "jusqu'au bilan"),
            ("À ", "les abonnés", "Aux abonnés"),
            ("frais de ", "hébergement", "frais d'hébergement"),
            ("log de ", "app-09", "log de app-09"),
            ("suite de ", "OPS-4127", "suite de OPS-4127"),
            ("grande ", "le", "grande le"),
            ("", "le contrat", "le contrat"),
        ] {
            let mut text = format!("{before}{filled}");
            mend_french(&mut text, before.len());
            assert_eq!(text, whole);
        }
    }
}
