//! English: subjects of letters.

mod business;
mod general;
mod people;
mod software;
mod systems;

use crate::words::Topic;

/// All of them.
pub(super) static TOPICS: &[Topic] = &{
    let empty = topic("", &[], &[], &[], &[], &[], &[]);
    let mut all = [empty; COUNT];
    let lists = [general::TOPICS, systems::TOPICS, software::TOPICS, business::TOPICS, people::TOPICS];
    let (mut list, mut at) = (0, 0);
    while list < lists.len() {
        let mut index = 0;
        while index < lists[list].len() {
            all[at] = lists[list][index];
            index += 1;
            at += 1;
        }
        list += 1;
    }
    all
};

const COUNT: usize = general::TOPICS.len()
    + systems::TOPICS.len()
    + software::TOPICS.len()
    + business::TOPICS.len()
    + people::TOPICS.len();

/// A topic, in the order of its fields.
const fn topic(
    id: &'static str,
    roles: &'static [&'static str],
    months: &'static [u32],
    subjects: &'static [&'static str],
    openings: &'static [&'static str],
    details: &'static [&'static str],
    answers: &'static [&'static str],
) -> Topic {
    Topic { id, roles, months, subjects, openings, details, answers }
}
