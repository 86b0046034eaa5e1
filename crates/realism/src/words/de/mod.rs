//! German.

mod drafts;
mod letters;
mod matters;
mod matters_tech;
mod notes;
mod slots;
mod stems;
mod tasks;

use super::Lexicon;

/// German.
pub static LEXICON: Lexicon = Lexicon {
    code: "de",
    weekdays: ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"],
    months: [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
    date: "{d}. {month}",
    time: "{h}:{mm} Uhr",
    amount: "{euros} Euro",
    slots: slots::SLOTS,
    notes: notes::NOTES,
    tasks: tasks::TASKS,
    draft_heads: drafts::HEADS,
    draft_sentences: drafts::SENTENCES,
    draft_ends: drafts::ENDS,
    comments: drafts::COMMENTS,
    greetings: letters::GREETINGS,
    greetings_formal: letters::GREETINGS_FORMAL,
    closings: letters::CLOSINGS,
    closings_formal: letters::CLOSINGS_FORMAL,
    answer_openings: letters::ANSWER_OPENINGS,
    answer_sentences: letters::ANSWER_SENTENCES,
    quoting: "Am {date} um {time} schrieb {to}:",
    topics: matters::TOPICS,
    note_stems: stems::NOTES,
    todo_stems: stems::TODOS,
    draft_stems: stems::DRAFTS,
    script_stems: stems::SCRIPTS,
};
