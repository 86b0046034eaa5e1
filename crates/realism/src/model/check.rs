//! Whether an answer is believed: made tidy where that is safe, refused where it is not. The template is always there, so a
//! refusal costs nothing but variety.

use super::{
    prompt::{self, Exchange},
    shape, tongue,
    typography::{typed, typed_code},
};
use crate::{Class, Persona};

/// Why an answer is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Only people's files and mail are asked for.
    #[error("nobody asks a model for this class")]
    Class,
    /// Characters that no keyboard makes.
    #[error("it holds control or invisible characters")]
    Control,
    /// It talks of its work instead of doing it.
    #[error("it begins like an assistant")]
    Preamble,
    /// It declines.
    #[error("it declines to write")]
    Refusal,
    /// The question came back.
    #[error("it repeats what it was asked")]
    Leak,
    /// It gives orders to a model, or obeyed one.
    #[error("it holds instructions to a model")]
    Instruction,
    /// Blanks to be filled in.
    #[error("it has blanks to be filled in")]
    Placeholder,
    /// Not what such a file looks like.
    #[error("it has not the form of its class: {0}")]
    Shape(&'static str),
    /// More than anybody would write.
    #[error("it is too long")]
    TooLong,
    /// Next to nothing.
    #[error("it is too short")]
    TooShort,
    /// In another language than its author's.
    #[error("it is in another language")]
    Language,
    /// Words that would give us away.
    #[error("it holds words that would give us away")]
    Project,
    /// Headers where a subject or a text should be.
    #[error("it holds mail headers")]
    Headers,
    /// A reply that is what it replies to.
    #[error("it repeats the message that it answers")]
    Echo,
}

/// Most bytes of an answer that are looked at.
const MAX_RAW: usize = 16 * 1024;
/// Words in a row that nobody shares with our rules by chance.
const NGRAM: usize = 6;

/// Words of ours, in any case, as parts of words.
const PROJECT: &[&str] =
    &["decnet", "decky", "deckies", "decoy", "honeypot", "honeynet", "synthetic", "lorem ipsum", "lorem"];
/// What models say when they would rather not.
const REFUSALS: &[&str] = &[
    "as an ai",
    "an ai language",
    "language model",
    "i can't assist",
    "i cannot assist",
    "i can't help",
    "i cannot help",
    "i'm sorry, but",
    "i am sorry, but",
    "i'm unable to",
    "i am unable to",
    "i can't create",
    "i cannot create",
    "i cannot fulfill",
    "i can't fulfill",
    "als ki",
    "sprachmodell",
    "ich kann dir dabei nicht",
    "en tant qu'ia",
    "en tant que modèle",
    "modèle de langage",
    "je ne peux pas vous aider",
    "como ia",
    "como una ia",
    "como uma ia",
    "modelo de lenguaje",
    "modelo de linguagem",
    "modello linguistico",
    "modello di linguaggio",
    "come ia",
    "als ai",
    "taalmodel",
    "言語モデル",
    "aiとして",
    "语言模型",
    "作为ai",
    "作为一个ai",
    "人工智能助手",
    "openai",
    "chatgpt",
];
/// What belongs to a conversation with a model and to no file.
const INSTRUCTIONS: &[&str] = &[
    "ignore previous",
    "ignore all previous",
    "ignore the above",
    "ignore all instructions",
    "disregard the above",
    "disregard previous",
    "previous instructions",
    "system prompt",
    "your instructions",
    "you are the hand of",
    "[inst]",
    "[/inst]",
    "<|",
    "|>",
    "<<<",
    ">>>",
    "</s>",
    "<think",
    "</think",
    "### instruction",
    "### response",
    "assistant:",
    "hope this helps",
    "would you like me to",
    "let me know if you'd like me to",
    "word count",
    "feel free to adjust",
    "feel free to modify",
];
/// Gaps that a model leaves in programs.
const SCRIPT_GAPS: &[&str] =
    &["your_", "<your", "/path/to/", "example.com", "replace with", "changeme", "your-"];

/// Not seen when printed, or turns other text around: hides things, so it is never let through.
pub(super) const fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'
            ..='\u{fffd}' | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// The content of a file out of an answer: ends with one newline, in its class's form.
pub fn check_file(class: Class, persona: &Persona, text: &str) -> Result<String, Rejected> {
    if !class.is_user() {
        return Err(Rejected::Class);
    }
    let text = unwrapped(text)?;
    common(&text, persona)?;
    if class != Class::Script {
        blanks(&text)?;
    } else if SCRIPT_GAPS.iter().any(|gap| text.to_lowercase().contains(gap)) {
        return Err(Rejected::Placeholder);
    }
    leaks(&text, prompt::shape(class).iter().chain(prompt::FILE_RULES).copied(), persona)?;
    let text = match class {
        Class::Script if persona.uses_llms_heavily => text,
        Class::Script => typed_code(&text),
        _ => by(persona, &text),
    };
    let text = shape::file(class, &text, tongue::is_dense(&persona.language))?;
    if tongue::is_foreign(&persona.language, &prose(class, &text)) {
        return Err(Rejected::Language);
    }
    Ok(text)
}

/// A mail out of an answer: its subject (of a reply, always the parent's with one `Re: `) and its paragraphs, without
/// salutation, closing phrase, name and quotation, which are the composer's.
pub fn check_mail(exchange: &Exchange<'_>, text: &str) -> Result<crate::mail::compose::Text, Rejected> {
    let sender = exchange.sender;
    let text = unwrapped(text)?;
    common(&text, sender)?;
    let rules = prompt::MAIL_RULES.iter().copied().chain([prompt::MAIL_SHAPE]);
    leaks(&text, rules, sender)?;
    let (subject, body) = shape::mail(exchange, &text)?;
    blanks(&body)?;
    if exchange.parent.is_some_and(|parent| repeats(&body, parent.excerpt)) {
        return Err(Rejected::Echo);
    }
    let body = shape::paragraphs(&by(sender, &body), tongue::is_dense(&sender.language))?;
    if tongue::is_foreign(&sender.language, &body) {
        return Err(Rejected::Language);
    }
    let subject = match (exchange.parent, subject) {
        (Some(parent), _) => prompt::reply_subject(&shape::one_line(parent.subject)),
        (None, Some(subject)) => {
            blanks(&subject)?;
            by(sender, &subject)
        }
        (None, None) => shape::subject_of(exchange.hint, &body),
    };
    Ok(crate::mail::compose::Text { subject, body })
}

/// As the author types it, or as a model does, if he pastes that.
fn by(persona: &Persona, text: &str) -> String {
    if persona.uses_llms_heavily { text.to_owned() } else { typed(text, &persona.language) }
}

/// The answer without the wrapping that models like: line ends, thoughts, one code fence around all of it.
fn unwrapped(text: &str) -> Result<String, Rejected> {
    if text.len() > MAX_RAW {
        return Err(Rejected::TooLong);
    }
    let text = text.replace("\r\n", "\n");
    let mut text = text.trim();
    if let Some(thought) = text.strip_prefix("<think>") {
        text = thought.split_once("</think>").ok_or(Rejected::TooLong)?.1.trim();
    }
    if text.starts_with("```") {
        text = text.split_once('\n').map_or("", |(_, rest)| rest).trim_end();
        text = text.strip_suffix("```").unwrap_or(text).trim();
    }
    if text.is_empty() {
        return Err(Rejected::TooShort);
    }
    if text.contains("```") || text.contains("~~~") {
        return Err(Rejected::Shape("a code fence"));
    }
    Ok(text.to_owned())
}

/// What holds for everything.
fn common(text: &str, persona: &Persona) -> Result<(), Rejected> {
    if text.chars().any(|c| is_hidden(c) || (c.is_control() && c != '\n' && c != '\t')) {
        return Err(Rejected::Control);
    }
    let lower = text.to_lowercase().replace(['\u{2019}', '\u{2018}'], "'");
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(PROJECT) {
        return Err(Rejected::Project);
    }
    if has(REFUSALS) {
        return Err(Rejected::Refusal);
    }
    if has(INSTRUCTIONS) {
        return Err(Rejected::Instruction);
    }
    if is_preamble(&lower) {
        return Err(Rejected::Preamble);
    }
    // A habit is shown, not recited.
    if persona.mannerisms.iter().any(|habit| {
        let habit = habit.trim().to_lowercase();
        habit.split_whitespace().count() >= 4 && lower.contains(&habit)
    }) {
        return Err(Rejected::Leak);
    }
    Ok(())
}

/// Whether a text (in lower case) begins as an assistant does, in any language: models fall back to English.
fn is_preamble(lower: &str) -> bool {
    let first = lower.lines().next().unwrap_or_default().trim_start_matches(['*', '#', '-', ' ', '"']);
    tongue::ALL.iter().flat_map(|tongue| tongue.preambles).any(|opening| {
        first.strip_prefix(opening).is_some_and(|rest| {
            // A whole word, where words have ends.
            opening.ends_with(|c: char| !c.is_ascii()) || !rest.starts_with(char::is_alphanumeric)
        })
    })
}

/// `[Your name]`, `{company}`: something to be filled in.
fn blanks(text: &str) -> Result<(), Rejected> {
    for (open, close) in [('[', ']'), ('{', '}')] {
        for part in text.split(open).skip(1) {
            let Some((inner, _)) = part.split_once(close) else { continue };
            if inner.chars().count() > 1 && inner.len() < 60 && inner.starts_with(char::is_alphabetic) {
                return Err(Rejected::Placeholder);
            }
        }
    }
    let lower = text.to_lowercase();
    let gap = ["your name", "<name", "<your", "xxx-", "insert name"].iter().any(|gap| lower.contains(gap));
    if gap { Err(Rejected::Placeholder) } else { Ok(()) }
}

/// Whether our own rules come back.
fn leaks<'a>(text: &str, rules: impl Iterator<Item = &'a str>, persona: &Persona) -> Result<(), Rejected> {
    let text = format!(" {} ", tongue::words(text).join(" "));
    let came_back = |rule: &str| {
        let words = tongue::words(rule);
        words.windows(NGRAM).any(|run| text.contains(&format!(" {} ", run.join(" "))))
    };
    let fixed = [prompt::QUOTED, prompt::dashes(persona)];
    if rules.chain(fixed).any(came_back) { Err(Rejected::Leak) } else { Ok(()) }
}

/// Whether more than half of a text is another's words in the same order.
fn repeats(text: &str, other: &str) -> bool {
    let (text, other) = (tongue::words(text), tongue::words(other));
    let other = format!(" {} ", other.join(" "));
    let runs = text.windows(4);
    let total = runs.len();
    let same = runs.filter(|run| other.contains(&format!(" {} ", run.join(" ")))).count();
    total >= 4 && same * 2 > total
}

/// What of a file is in a human language.
fn prose(class: Class, text: &str) -> String {
    if class != Class::Script {
        return text.to_owned();
    }
    let comments = text.lines().skip(1).filter_map(|line| line.trim_start().strip_prefix('#'));
    comments.collect::<Vec<_>>().join("\n")
}
