//! Doing a deed through the agent, and finding out afterwards whether one was done. Nothing is written down here.

use decnet_bus::{RequestError, payload::Expect};

use crate::{
    agent::{Agent, MAX_READ, Put, Seen},
    deed::{Content, Deed, Step},
    world::Site,
};

/// What came of a deed.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is done.
    Done,
    /// It is not done, and nothing has changed.
    NotDone(String),
    /// Somebody else changed (or, without a hash, removed) our file at this path.
    Tampered { path: String, found: Option<String> },
    /// Something that was never ours is at this path.
    Occupied(String),
    /// Nobody knows.
    Unknown(RequestError),
}

/// Does it.
pub(crate) async fn perform(agent: &Agent, site: &Site, deed: &Deed) -> Outcome {
    attempt(agent, site, deed).await.unwrap_or_else(Outcome::Unknown)
}

async fn attempt(agent: &Agent, site: &Site, deed: &Deed) -> Result<Outcome, RequestError> {
    match &deed.step {
        Step::Create { file } | Step::Deliver { file, .. } => put_new(agent, site, file).await,
        Step::Edit { file, previous } => {
            if let Some(other) = changed(agent, site, &file.path, previous).await? {
                return Ok(other);
            }
            let diverged = agent.put(site, &[put(file, Expect::Sha256(previous.clone()))]).await?;
            Ok(match diverged.into_iter().next() {
                None => Outcome::Done,
                Some(found) => Outcome::Tampered { path: found.path, found: found.found },
            })
        }
        Step::Rotate { from, previous, file, rewritten, replaces } => {
            if let Some(other) = changed(agent, site, from, previous).await? {
                return Ok(other);
            }
            if *rewritten {
                let expect = replaces.clone().map_or(Expect::Absent, Expect::Sha256);
                if let Some(found) = agent.put(site, &[put(file, expect)]).await?.into_iter().next()
                    && found.found.as_deref() != Some(file.sha256.as_str())
                {
                    return Ok(match replaces {
                        Some(_) => Outcome::Tampered { path: found.path, found: found.found },
                        None => Outcome::Occupied(found.path),
                    });
                }
            } else if let Some(seen) = agent.read(site, &file.path).await?
                && replaces.as_deref() != Some(seen.sha256.as_str())
            {
                // A rename would take whatever is there with it.
                return Ok(match replaces {
                    Some(_) => Outcome::Tampered { path: file.path.clone(), found: Some(hash_of(&seen)) },
                    None => Outcome::Occupied(file.path.clone()),
                });
            }
            let to = (!rewritten).then_some(file.path.as_str());
            Ok(match agent.tidy(site, from, to, previous).await? {
                None => Outcome::Done,
                Some(found) => Outcome::Tampered { path: found.path, found: found.found },
            })
        }
        Step::Delete { path, previous } => {
            if let Some(other) = changed(agent, site, path, previous).await? {
                return Ok(other);
            }
            Ok(match agent.tidy(site, path, None, previous).await? {
                None => Outcome::Done,
                Some(found) => Outcome::Tampered { path: found.path, found: found.found },
            })
        }
    }
}

/// What became of a deed that was begun, by what is there now.
pub(crate) async fn find_out(agent: &Agent, site: &Site, deed: &Deed) -> Outcome {
    look(agent, site, deed).await.unwrap_or_else(Outcome::Unknown)
}

async fn look(agent: &Agent, site: &Site, deed: &Deed) -> Result<Outcome, RequestError> {
    let not_done = || Outcome::NotDone("it was not begun".to_owned());
    let seen = async |path: &str| Ok::<_, RequestError>(agent.read(site, path).await?);
    let is = |seen: &Option<Seen>, hash: &str| seen.as_ref().is_some_and(|seen| seen.sha256 == hash);
    let tampered = |path: &str, seen: &Option<Seen>| Outcome::Tampered {
        path: path.to_owned(),
        found: seen.as_ref().map(hash_of),
    };
    Ok(match &deed.step {
        Step::Create { file } | Step::Deliver { file, .. } => match seen(&file.path).await? {
            None => not_done(),
            Some(found) if found.sha256 == file.sha256 => Outcome::Done,
            Some(_) => Outcome::Occupied(file.path.clone()),
        },
        Step::Edit { file, previous } => {
            let found = seen(&file.path).await?;
            if is(&found, &file.sha256) {
                Outcome::Done
            } else if is(&found, previous) {
                not_done()
            } else {
                tampered(&file.path, &found)
            }
        }
        Step::Rotate { from, previous, file, rewritten, .. } => {
            let (before, after) = (seen(from).await?, seen(&file.path).await?);
            if is(&after, &file.sha256) {
                match before {
                    None => Outcome::Done,
                    // Written at its new place and not yet removed at the old one.
                    Some(found) if *rewritten && found.sha256 == *previous => {
                        return Ok(match agent.tidy(site, from, None, previous).await? {
                            None => Outcome::Done,
                            Some(found) => Outcome::Tampered { path: found.path, found: found.found },
                        });
                    }
                    before => tampered(from, &before),
                }
            } else if is(&before, previous) {
                not_done()
            } else {
                tampered(from, &before)
            }
        }
        Step::Delete { path, previous } => match seen(path).await? {
            None => Outcome::Done,
            found if is(&found, previous) => not_done(),
            found => tampered(path, &found),
        },
    })
}

/// Tells if our file is not as we left it.
async fn changed(
    agent: &Agent,
    site: &Site,
    path: &str,
    previous: &str,
) -> Result<Option<Outcome>, RequestError> {
    let seen = agent.read(site, path).await?;
    if seen.as_ref().is_some_and(|seen| seen.sha256 == previous) {
        return Ok(None);
    }
    Ok(Some(Outcome::Tampered { path: path.to_owned(), found: seen.as_ref().map(hash_of) }))
}

async fn put_new(agent: &Agent, site: &Site, file: &Content) -> Result<Outcome, RequestError> {
    let diverged = agent.put(site, &[put(file, Expect::Absent)]).await?;
    Ok(match diverged.into_iter().next() {
        None => Outcome::Done,
        Some(found) if found.found.as_deref() == Some(file.sha256.as_str()) => Outcome::Done,
        Some(found) => Outcome::Occupied(found.path),
    })
}

/// The hash of what is there; of a file that is too large to be read whole only that it is there.
fn hash_of(seen: &Seen) -> String {
    let whole = seen
        .stat
        .as_ref()
        .map_or((seen.body.len() as u64) < MAX_READ, |stat| stat.size == seen.body.len() as u64);
    if whole { seen.sha256.clone() } else { String::new() }
}

pub(crate) fn put(file: &Content, expect: Expect) -> Put {
    Put {
        path: file.path.clone(),
        mode: file.mode,
        uid: file.uid,
        gid: file.gid,
        mtime: file.mtime,
        body: file.body.clone(),
        expect,
    }
}
