//! Spanish, as it is written in Spain.

mod drafts;
mod forms;
mod letters;
mod matters;
mod matters_tech;
mod notes;
mod slots;
mod stems;
mod tasks;

use super::Lexicon;

/// Spanish.
pub static LEXICON: Lexicon = Lexicon {
    code: "es",
    weekdays: ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"],
    months: [
        "enero",
        "febrero",
        "marzo",
        "abril",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre",
        "octubre",
        "noviembre",
        "diciembre",
    ],
    date: "{d} de {month}",
    time: "{h}:{mm}",
    amount: "{euros} euros",
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
    quoting: "El {date} a las {time}, {to} escribió:",
    topics: matters::TOPICS,
    note_stems: stems::NOTES,
    todo_stems: stems::TODOS,
    draft_stems: stems::DRAFTS,
    script_stems: stems::SCRIPTS,
};
