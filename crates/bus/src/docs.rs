//! `docs/topics.md`, written from the table (`cargo xtask gen`).

use std::fmt::{self, Write};

use decnet_core::HostId;

use crate::{Durable, ROOT, StreamName, StreamSpec, TopicKind, Worker, streams::FULL_STORAGE};

/// The whole document.
pub fn render_docs() -> String {
    let mut text = String::new();
    let written = write_docs(&mut text);
    debug_assert!(written.is_ok(), "a String takes everything");
    text
}

fn write_docs(text: &mut String) -> fmt::Result {
    text.push_str(
        "# Topics\n\n\
         Generated from `crates/bus/src/topic/table.rs` by `cargo xtask gen`: do not edit.\n\n\
         A subject is what travels on NATS; the public topic is what webhooks, SSE and the envelope's `topic` show. \
         `wakes` workers have a durable consumer of their own, `reads` listen live, serve requests or read `SIEM`.\n\n\
         | class | carried by |\n| --- | --- |\n\
         | core | plain publish; may be lost, receivers look by themselves now and then |\n\
         | stream | `EVENTS`, published with acknowledgement |\n\
         | ingest | `INGEST`, acknowledged only after the database has it |\n\
         | command | `COMMANDS`, a work queue |\n\
         | health | `HEALTH`, the last message per subject |\n",
    );
    let mut family = "";
    for kind in TopicKind::ALL {
        let row = kind.spec();
        if row.family() != family {
            family = row.family();
            write!(
                text,
                "\n## {family}\n\n| subject | public topic | class | payload | publishes | wakes | reads | says |\n\
                 | --- | --- | --- | --- | --- | --- | --- | --- |\n"
            )?;
        }
        writeln!(
            text,
            "| `{ROOT}.{}` | {} | {} | `{}` | {} | {} | {} | {} |",
            row.pattern,
            row.public.map_or_else(|| "–".to_owned(), |name| format!("`{name}`")),
            row.class.as_str(),
            row.payload,
            names(row.producers),
            names(row.wakes),
            names(row.reads),
            row.doc.trim(),
        )?;
    }
    text.push_str("\n## Streams\n\n| stream | kept | subjects |\n| --- | --- | --- |\n");
    for name in StreamName::ALL {
        let spec = StreamSpec::of(*name, FULL_STORAGE);
        let subjects = match spec.source {
            Some(source) => format!("copy of `{}`", source.as_str()),
            None => format!("{} subjects of its class", spec.subjects.len()),
        };
        writeln!(text, "| `{}` | {} | {subjects} |", name.as_str(), spec.doc)?;
    }
    text.push_str("\n## Durable consumers\n\n| stream | consumer | gets |\n| --- | --- | --- |\n");
    for durable in Durable::all(&[HostId::default()]) {
        let subjects: Vec<_> =
            durable.filter().subjects().iter().map(|subject| format!("`{subject}`")).collect();
        writeln!(
            text,
            "| `{}` | `{}` | {} |",
            durable.stream().as_str(),
            durable.name(),
            subjects.join("<br>")
        )?;
    }
    Ok(())
}

fn names(workers: &[Worker]) -> String {
    // The two rows of `system` are about every worker; naming eighteen helps nobody.
    if Worker::KNOWN.iter().all(|known| workers.contains(known)) {
        return "every worker".to_owned();
    }
    if workers.is_empty() {
        return "–".to_owned();
    }
    workers.iter().map(|worker| worker.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_stream_and_consumer_is_in_the_document() {
        let text = render_docs();
        for kind in TopicKind::ALL {
            let row = kind.spec();
            let line = format!("| `{ROOT}.{}` |", row.pattern);
            assert_eq!(text.matches(&line).count(), 1, "{line}");
            assert!(!row.doc.trim().is_empty());
            assert!(!row.doc.contains('|') && !row.producers.is_empty(), "{}", row.pattern);
        }
        for part in ["`EVENTS`", "`SIEM` | copy of EVENTS", "`agent-local`", "`decnet.cmd.deploy.local`"] {
            assert!(text.contains(part), "{part}");
        }
        // One table header per family: rows of a family stand together.
        assert_eq!(text.matches("\n## attacker\n").count(), 1);
    }
}
