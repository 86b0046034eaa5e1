//! Runs the decoy's program for one connection, as a process of the host.

use std::{path::PathBuf, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    time::timeout,
};

use crate::{
    RuntimeError,
    error::io_error,
    talk::{MAX_COMPLAINT, MAX_GREETING, Ran},
};

/// How long it may take: the program gives up before.
const PATIENCE: Duration = Duration::from_secs(15);

/// Runs it with these words.
pub(super) async fn run(program: PathBuf, words: Vec<String>) -> Result<Ran, RuntimeError> {
    let no_decoy =
        |error: std::io::Error| RuntimeError::NoDecoy { path: program.clone(), reason: error.to_string() };
    let mut command = Command::new(&program);
    command.args(words).env_clear().current_dir("/").kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(no_decoy)?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let (out, err) = tokio::try_join!(first(out, MAX_GREETING), first(err, MAX_COMPLAINT))?;
        let status = child.wait().await?;
        Ok(Ran { out, err, code: status.code().map(i64::from) })
    };
    match timeout(PATIENCE, work).await {
        Ok(ran) => ran.map_err(io_error("run", &program)),
        Err(_) => Ok(Ran { err: b"no answer in time".to_vec(), ..Ran::default() }),
    }
}

/// The first bytes that come; the rest is read and dropped, so that it does not wait for us.
async fn first(from: Option<impl AsyncRead + Unpin>, max: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let Some(mut from) = from else { return Ok(bytes) };
    (&mut from).take(max as u64).read_to_end(&mut bytes).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(bytes)
}
