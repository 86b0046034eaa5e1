//! `cargo xtask gen [--check]`: files that are written from the code, so that they cannot lie.

use anyhow::{Result, bail};

use crate::shell::{cargo, output, root};

/// A generated file and the cargo command that prints it.
const FILES: [(&str, &[&str]); 2] = [
    ("docs/topics.md", &["run", "--quiet", "--package", "decnet-bus", "--example", "topics"]),
    ("docs/openapi.json", &["run", "--quiet", "--package", "decnet-api", "--", "openapi"]),
];

pub(crate) fn run(check: bool) -> Result<()> {
    let mut stale = Vec::new();
    for (file, command) in FILES {
        let path = root().join(file);
        let fresh = output(&mut cargo(command))?;
        if std::fs::read_to_string(&path).is_ok_and(|old| old == fresh) {
            continue;
        }
        if check {
            stale.push(file);
        } else {
            std::fs::write(&path, fresh)?;
            println!("gen: wrote {file}");
        }
    }
    if stale.is_empty() { Ok(()) } else { bail!("stale: {}; run `cargo xtask gen`", stale.join(", ")) }
}
