//! What the operator gets to read when an operation has ended. Words only.

use std::{collections::BTreeMap, fmt::Write};

use decnet_core::DeckyName;
use decnet_fleet::Plan;
use decnet_runtime::DeckyStatus;

use super::Failure;

/// Why a decky does not count as running.
pub(super) fn not_well(status: Option<&DeckyStatus>) -> String {
    let Some(status) = status else { return "nothing of it is there".to_owned() };
    let why = status.last_error.as_deref().unwrap_or("it did not come up in time");
    format!("{}: {why}", status.state)
}

/// What the operator gets to read.
pub(super) fn summary(
    plan: &Plan,
    changed: &[DeckyName],
    removed: &[DeckyName],
    bases: &BTreeMap<DeckyName, u16>,
    troubles: &[String],
    rows: bool,
) -> Result<String, Failure> {
    let mut text = if changed.is_empty() && removed.is_empty() {
        format!("{} deckies run; nothing had to be changed", plan.deckies.len())
    } else {
        let unchanged = plan.deckies.len() - changed.len();
        format!(
            "{} of {} deckies run ({} started, {unchanged} unchanged, {} removed)",
            plan.deckies.len().saturating_sub(troubles.len()),
            plan.deckies.len(),
            changed.len(),
            removed.len()
        )
    };
    let mut shifted: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for (name, base) in bases.iter().filter(|(_, base)| **base != 0) {
        shifted.entry(*base).or_default().push(name.as_str());
    }
    for (base, names) in shifted {
        let ssh = u32::from(base) + 22;
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "; no standard ports for {}: served {base} above them (ssh at {ssh})",
            names.join(", ")
        );
    }
    conclude(text, troubles, rows)
}

/// The sentence, and whether it is one of success.
pub(super) fn conclude(mut text: String, troubles: &[String], rows: bool) -> Result<String, Failure> {
    if !rows {
        text.push_str("; warning: the database cannot be written now, its rows follow");
    }
    if troubles.is_empty() {
        return Ok(text);
    }
    Err(format!("{text}; {}", troubles.join("; ")))
}
