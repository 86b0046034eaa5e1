//! English.

mod drafts;
mod letters;
mod notes;
mod scripts;
mod slots;
mod stems;
mod tasks;
mod topics;

use super::Lexicon;

/// English.
pub static LEXICON: Lexicon = Lexicon {
    code: "en",
    weekdays: ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    months: [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
    date: "{month} {d}",
    time: "{h}:{mm}",
    amount: "{euros} EUR",
    slots: slots::SLOTS,
    notes: notes::NOTES,
    tasks: tasks::TASKS,
    draft_heads: drafts::HEADS,
    draft_sentences: drafts::SENTENCES,
    draft_ends: drafts::ENDS,
    comments: scripts::COMMENTS,
    greetings: letters::GREETINGS,
    greetings_formal: letters::GREETINGS_FORMAL,
    closings: letters::CLOSINGS,
    closings_formal: letters::CLOSINGS_FORMAL,
    answer_openings: letters::ANSWER_OPENINGS,
    answer_sentences: letters::ANSWER_SENTENCES,
    quoting: "On {date} at {time}, {to} wrote:",
    topics: topics::TOPICS,
    note_stems: stems::NOTES,
    todo_stems: stems::TODOS,
    draft_stems: stems::DRAFTS,
    script_stems: stems::SCRIPTS,
};
