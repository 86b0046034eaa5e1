//! The host's own lines about a decky: what its containment dropped, what an intruder left behind. They go into a second
//! output of the decky, so that they reach the ingest path by the same road as its decoy's.
//!
//! What a line says is its writer's affair.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use decnet_core::{DeckyName, IdSource};
use decnet_logline::Record;

use super::{Output, Watcher};
use crate::{RuntimeError, error::io_error};

/// The writer of a decky's host-side output. Clones write to the same file.
#[derive(Debug, Clone)]
pub(crate) struct HostLines {
    output: Arc<Output>,
    /// Held while a line is written: two short writes must not interleave.
    file: Arc<Mutex<File>>,
}

impl HostLines {
    /// The host-side output in `folder` (which exists), made if there is none. Blocks.
    pub(crate) fn open(
        folder: &Path,
        decky: &DeckyName,
        ids: &dyn IdSource,
        watcher: Option<&Watcher>,
    ) -> Result<Self, RuntimeError> {
        let output = Output::open(folder, decky, ids, watcher)?;
        // A crash may have torn the last line of the agent before us.
        output.finish_line()?;
        let file = output.writer().map_err(io_error("open the output of", folder))?;
        Ok(Self { output: Arc::new(output), file: Arc::new(Mutex::new(file)) })
    }

    /// The decky's name: HOSTNAME of its lines.
    pub(crate) fn decky(&self) -> &DeckyName {
        &self.output.decky
    }

    /// Appends one line. Blocks for as long as the disk takes; not synced, as the decoy's own lines are not.
    pub(crate) fn write(&self, record: &Record) -> io::Result<()> {
        let mut line = record.encode().into_bytes();
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file.write_all(&line);
        if written.is_err() {
            // Half a line (a full disk) must not run into the next one. If this fails too, the next open completes it.
            let _ = file.write_all(b"\n");
        }
        written
    }

    /// The output, for whoever ships it.
    pub(crate) fn output(&self) -> &Arc<Output> {
        &self.output
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use decnet_core::SystemIds;

    use super::*;

    #[test]
    fn lines_of_many_threads_stay_whole_and_survive_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let decky = DeckyName::parse("web-01").unwrap();
        let open = || HostLines::open(folder.path(), &decky, &SystemIds, None).unwrap();
        let lines = open();
        let source = Arc::clone(&lines.output().source);
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let lines = lines.clone();
                scope.spawn(move || {
                    for count in 0..200 {
                        let mut record = Record::new(DateTime::UNIX_EPOCH, "web-01", "ssh", "egress_blocked");
                        record.fields.push("n", &format!("{worker}-{count}\nforged"));
                        lines.write(&record).unwrap();
                    }
                });
            }
        });
        drop(lines);
        let lines = open();
        assert_eq!(lines.output().source, source);
        assert_eq!(lines.decky(), &decky);
        let text = std::fs::read(folder.path().join(super::super::LINES)).unwrap();
        let found: std::collections::HashSet<String> = text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| decnet_logline::scan(line).unwrap().fields.get("n").unwrap().to_owned())
            .collect();
        assert_eq!(found.len(), 800);
    }
}
