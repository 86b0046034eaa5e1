//! How somebody names and lays out his files: the same for as long as his login is, so it comes from a hash of it and not
//! from a generator.

use chrono::Datelike;

use super::Pen;
use crate::{
    persona::Tone,
    words::{House, hash},
};

/// What stands before a line of a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bullet {
    None,
    Dash,
    Star,
    Date,
}

/// The habits of one author.
#[expect(
    clippy::struct_excessive_bools,
    reason = "habits are independent of each other: each is there or not"
)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Habit {
    seed: u64,
    /// Between the parts of a name.
    pub separator: char,
    /// The first letter of a name is a capital one.
    pub title_case: bool,
    /// Lists shout: `TODO.md`.
    pub upper_lists: bool,
    pub bullet: Bullet,
    /// Items of lists begin with a capital letter.
    pub capital_items: bool,
    /// Letters are wrapped at this column.
    pub wrap: Option<usize>,
    /// Texts are Markdown.
    pub markdown: bool,
}

impl Habit {
    pub(super) fn of(pen: &Pen<'_>) -> Self {
        let seed = hash(pen.resident.login.as_bytes(), 0xbb67_ae85_84ca_a73b ^ pen.resident.persona.salt);
        let roll = |salt: u64, of: u64| hash(&seed.to_le_bytes(), salt) % of;
        let tone = pen.resident.persona.tone;
        Self {
            seed,
            separator: match roll(1, 20) {
                0..10 => '-',
                10..17 => '_',
                _ => ' ',
            },
            title_case: roll(2, 10) < if tone == Tone::Formal { 4 } else { 1 },
            upper_lists: roll(3, 4) == 0,
            bullet: match roll(4, 20) {
                0..10 => Bullet::None,
                10..15 => Bullet::Dash,
                15..17 => Bullet::Star,
                _ => Bullet::Date,
            },
            capital_items: roll(5, 10) < if tone == Tone::Formal { 6 } else { 1 },
            wrap: [None, None, None, Some(72), Some(76), Some(79)]
                .get(usize::try_from(roll(6, 6)).unwrap_or(0))
                .copied()
                .flatten(),
            markdown: roll(7, 10) < if tone == Tone::Technical { 7 } else { 4 },
        }
    }

    /// A number below `of` that stays the same for this author.
    pub(super) fn roll(&self, salt: u64, of: u64) -> u64 {
        hash(&self.seed.to_le_bytes(), salt ^ 0x0c0f_fee0) % of.max(1)
    }

    /// The projects that he works on, of his company's; they change with the half-year.
    pub(super) fn projects(&self, pen: &Pen<'_>) -> [&'static str; 3] {
        let house = House::of(&pen.resident.persona);
        let season = u64::try_from(pen.when.year() * 2 + i32::from(pen.when.month0() > 5)).unwrap_or(0);
        // One of three is new every half-year.
        [0, 1, 2].map(|index| {
            let since = (season + index) / 3;
            house.project_at(hash(&self.seed.to_le_bytes(), 77 + index * 1000 + since))
        })
    }
}
