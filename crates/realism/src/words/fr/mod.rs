//! French, as it is written in France.

mod drafts;
mod letters;
mod matters;
mod matters_tech;
mod notes;
mod slots;
mod stems;
mod tasks;

use super::Lexicon;

/// French.
pub static LEXICON: Lexicon = Lexicon {
    code: "fr",
    weekdays: ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
    months: [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ],
    date: "{d} {month}",
    time: "{h}h{mm}",
    amount: "{euros} €",
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
    quoting: "Le {date} {year} à {hh}:{mm}, {to} a écrit :",
    topics: matters::TOPICS,
    note_stems: stems::NOTES,
    todo_stems: stems::TODOS,
    draft_stems: stems::DRAFTS,
    script_stems: stems::SCRIPTS,
};
