//! Reading pools: lenient for what runs, strict for what is written.

use serde::Serialize;

/// What is wrong with an entry: `personas[7].tone: why`, or `personas[7]: why` where the entry is no object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("personas[{index}]{}: {why}", field.as_ref().map(|field| format!(".{field}")).unwrap_or_default())]
pub struct Fault {
    /// Place in the list, from 0.
    pub index: usize,
    /// The field, if one is to blame.
    pub field: Option<String>,
    /// In words.
    pub why: String,
}

/// Why a whole pool cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// It is no JSON.
    #[error("line {line}, column {column}: {why}")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// In words.
        why: String,
    },
    /// It is JSON, and no list.
    #[error("it is not a list of personas but {0}")]
    NotAList(&'static str),
    /// Entries break the schema.
    #[error("{} of the entries are not valid", .0.len())]
    Faults(Vec<Fault>),
}

/// Weekdays as `mon` to `sun`.
pub mod days {
    use chrono::Weekday;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    /// Three small letters each.
    pub fn serialize<S: Serializer>(days: &[Weekday], serializer: S) -> Result<S::Ok, S::Error> {
        days.iter().map(|day| day.to_string().to_lowercase()).collect::<Vec<_>>().serialize(serializer)
    }

    /// Three small letters each.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Weekday>, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        names
            .iter()
            .map(|name| {
                const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
                let at = NAMES.iter().position(|known| known == name);
                at.and_then(|at| Weekday::try_from(u8::try_from(at).ok()?).ok()).ok_or_else(|| {
                    D::Error::custom(format!("{name:?} is none of mon tue wed thu fri sat sun"))
                })
            })
            .collect()
    }
}
