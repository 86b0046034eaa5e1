//! `decnet images` as an operator uses it: root file systems come in, are listed, go; what is no such thing is refused.

use std::{fs, process::Stdio};

use anyhow::{Context, Result, ensure};
use decnet_tests::{root_tree, stack::bin_dir};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, process::Command};

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

async fn images(folder: &TempDir, args: &[&str], input: &[u8]) -> Result<Said> {
    let mut child = Command::new(bin_dir()?.join("decnet"))
        .arg("images")
        .args(args)
        .env("DECNET_STATE_DIR", folder.path())
        .env("DECNET_CONFIG", folder.path().join("none.ini"))
        .env_remove("DECNET_IMAGES_DIR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().context("stdin")?;
    let input = input.to_vec();
    let feed = tokio::spawn(async move { stdin.write_all(&input).await });
    let output = child.wait_with_output().await?;
    drop(feed.await?);
    Ok(Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

#[tokio::test]
async fn a_root_file_system_comes_in_by_file_or_by_pipe_and_goes() -> Result<()> {
    let folder = TempDir::new()?;
    let tree = root_tree::write_alpine(folder.path())?;
    let bytes = fs::read(&tree)?;
    let said = images(&folder, &["import", "alpine", &tree.to_string_lossy()], b"").await?;
    ensure!(said.code == Some(0) && said.err.is_empty(), "{}", said.err);
    ensure!(fs::read(folder.path().join("images/alpine.tar"))? == bytes, "not the same bytes");
    // Another system than it is called: a warning, no refusal.
    let said = images(&folder, &["import", "debian", "-"], &bytes).await?;
    ensure!(said.code == Some(0) && said.err.contains("alpine"), "{}", said.err);
    let listed: Value = serde_json::from_str(&images(&folder, &["list", "--json"], b"").await?.out)?;
    let slugs: Vec<_> =
        listed.as_array().into_iter().flatten().filter_map(|row| row["distro"].as_str()).collect();
    ensure!(
        slugs == ["alpine", "debian"] && listed[0]["bytes"] == bytes.len() && listed[0]["known"] == true,
        "{listed}"
    );
    let said = images(&folder, &["remove", "debian"], b"").await?;
    ensure!(said.code == Some(0), "{}", said.err);
    let said = images(&folder, &["remove", "debian"], b"").await?;
    ensure!(said.code == Some(1) && said.err.contains("debian"), "{}", said.err);
    Ok(())
}

#[tokio::test]
async fn what_is_no_root_file_system_is_refused_and_leaves_nothing() -> Result<()> {
    let folder = TempDir::new()?;
    let file = folder.path().join("x.tar");
    fs::write(&file, b"\x1f\x8b\x08 something packed")?;
    let file = file.to_string_lossy().into_owned();
    for (args, wanted) in [
        (&["import", "alpine", file.as_str()][..], "gzip -dc"),
        (&["import", "alpine", "/nosuch.tar"], "/nosuch.tar"),
        (&["import", "alpine", "/dev"], "no file"),
        (&["import", "alpine", "-"], "/etc/passwd"),
        (&["import", "beos", file.as_str()], "alpine"),
        (&["import", "../debian", file.as_str()], "alpine"),
        (&["build", "beos"], "alpine"),
        (&["build", "rocky9"], "images import rocky9"),
        (&["build", "debian", "--release=-x"], "--release"),
        (&["build", "debian", "--mirror", "ftp://x"], "--mirror"),
        (&["remove", "../../etc/passwd"], "images list"),
    ] {
        let said = images(&folder, args, b"").await?;
        ensure!(said.code == Some(2) && said.err.contains(wanted), "{args:?}: {:?} {}", said.code, said.err);
    }
    let left = fs::read_dir(folder.path().join("images"))?.count();
    ensure!(left == 1, "{left} files instead of the lock alone");
    Ok(())
}
