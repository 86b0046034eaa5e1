//! `cargo xtask gen [--check]`: files that are written from the code, so that they cannot lie.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::shell::{cargo, output, program, root};

/// A generated file and the cargo command that prints it.
const FILES: [(&str, &[&str]); 2] = [
    ("docs/topics.md", &["run", "--quiet", "--package", "decnet-bus", "--example", "topics"]),
    ("docs/openapi.json", &["run", "--quiet", "--package", "decnet-api", "--", "openapi"]),
];

/// A folder of generated files and the cargo command that prints them as one JSON object, path to text.
const FOLDERS: [(&str, &[&str]); 1] =
    [("deploy/generated", &["run", "--quiet", "--package", "decnet-deploy", "--example", "render"])];

pub(crate) fn run(check: bool) -> Result<()> {
    let mut fresh_files = Vec::new();
    for (file, command) in FILES {
        fresh_files.push((file.to_owned(), output(&mut cargo(command))?));
    }
    let mut stale = Vec::new();
    for (folder, command) in FOLDERS {
        let texts: BTreeMap<String, String> = serde_json::from_str(&output(&mut cargo(command))?)?;
        let named: Vec<_> = texts
            .into_iter()
            .map(|(path, text)| (format!("{folder}/{}", path.trim_start_matches('/')), text))
            .collect();
        for old in output(&mut program("git", ["ls-files", folder]))?.lines() {
            let left_over = root().join(old).exists() && !named.iter().any(|(path, _)| path == old);
            match (left_over, check) {
                (false, _) => {}
                (true, true) => stale.push(old.to_owned()),
                (true, false) => std::fs::remove_file(root().join(old))?,
            }
        }
        fresh_files.extend(named);
    }
    for (file, fresh) in fresh_files {
        let path = root().join(&file);
        if std::fs::read_to_string(&path).is_ok_and(|old| old == fresh) {
            continue;
        }
        if check {
            stale.push(file);
        } else {
            std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
            std::fs::write(&path, fresh)?;
            println!("gen: wrote {file}");
        }
    }
    if stale.is_empty() { Ok(()) } else { bail!("stale: {}; run `cargo xtask gen`", stale.join(", ")) }
}
