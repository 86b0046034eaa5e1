//! How a language model is asked, and whether its answer is believed. Everything that comes back is hostile until it has
//! passed; whoever gets a refusal writes by template.
//!
//! * [`file`], [`mail`]: the questions. For what people write only; system classes and edits are never a model's.
//! * [`check_file`], [`check_mail`]: the judgement. [`suits`] says whether an accepted program fits a path.
//! * [`Breaker`]: three failures and a minute of peace, for files and mail together.
//! * [`wanted`], [`Round`]: what a background task should have written next.
//!
//! Nothing is called from here: the backends are in `llm`, the loop is the orchestrator's.

mod breaker;
mod check;
mod program;
mod prompt;
mod shape;
mod tongue;
mod typography;
mod wanted;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

pub use self::{
    breaker::{Breaker, Permit, Status},
    check::{Rejected, check_file, check_mail},
    program::suits,
    prompt::{Exchange, Parent, Prompt, file, mail, reply_subject},
    typography::typed,
    wanted::{CLASSES, Round, Want, wanted},
};
