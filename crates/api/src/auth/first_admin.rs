//! The first administrator: made with the change flag set, so that nobody works with a password from an environment.
//!
//! Without a password in the settings one is made, written to `admin-password` in the state folder (mode 0600) and
//! shown once in the log. The file goes when the password is changed.

use std::path::PathBuf;

use anyhow::Context;
use decnet_db::User;

use super::key::write_private;
use crate::app::App;

/// Name of the file in the state folder.
pub const PASSWORD_FILE: &str = "admin-password";

/// Letters that are told apart in any font.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789-";

fn password_file(app: &App) -> PathBuf {
    app.config().state_dir.join(PASSWORD_FILE)
}

/// Sees to it that there is an administrator. Harmless to repeat; while the change flag is set, the hash follows the
/// settings, afterwards never.
pub async fn seed_first_admin(app: &App) -> anyhow::Result<()> {
    let name = app.config().admin_user.as_str();
    let db = app.database().await?;
    let account = db.users().by_name(name).await?;
    if account.as_ref().is_none_or(|account| account.must_change_password) {
        let given = app.config().admin_password.as_ref().map(|secret| secret.expose().to_owned());
        match given {
            Some(password) => bring_up_to_date(app, &db, account.as_ref(), &password).await?,
            None => with_own_password(app, &db, account.as_ref()).await?,
        }
    }
    Ok(())
}

async fn bring_up_to_date(
    app: &App,
    db: &decnet_db::Db,
    account: Option<&User>,
    password: &str,
) -> anyhow::Result<()> {
    let stored = account.map(|account| account.password_hash.as_str());
    if app.passwords().verify(password, stored).await?.right {
        return Ok(());
    }
    let hash = app.passwords().hash(password).await?;
    db.users().ensure_admin(&app.config().admin_user, &hash).await?;
    app.accounts().changed();
    let user = app.config().admin_user.as_str();
    tracing::info!(
        user,
        "first administrator ready; the password of the settings must be changed at the first login"
    );
    Ok(())
}

async fn with_own_password(app: &App, db: &decnet_db::Db, account: Option<&User>) -> anyhow::Result<()> {
    let path = password_file(app);
    if let (Some(account), Ok(text)) = (account, std::fs::read_to_string(&path)) {
        // Shown before; if it still fits there is nothing to do.
        if app.passwords().verify(text.trim(), Some(&account.password_hash)).await?.right {
            let file = path.display();
            tracing::warn!(%file, "the first administrator has not changed the password yet; it stands in this file");
            return Ok(());
        }
    }
    let password = make_password();
    let hash = app.passwords().hash(&password).await?;
    // The file first: a password that nobody can read would lock everyone out.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error)?,
        _ => {}
    }
    write_private(&path, &password).with_context(|| {
        format!("cannot write {}; check DECNET_STATE_DIR, or set DECNET_ADMIN_PASSWORD", path.display())
    })?;
    db.users().ensure_admin(&app.config().admin_user, &hash).await?;
    app.accounts().changed();
    let (user, file) = (app.config().admin_user.as_str(), path.display());
    tracing::warn!("FIRST LOGIN: user {user}, password {password} (also in {file}; must be changed at once)");
    Ok(())
}

fn make_password() -> String {
    let letter = |byte: u8| char::from(LETTERS[usize::from(byte % 32)]);
    // 20 letters of 32: 100 bits.
    decnet_core::secret::entropy::<20>().into_iter().map(letter).collect()
}

/// Removes the file of the first password, once it is of no use.
pub fn forget_first_password(app: &App, user: &User) {
    if user.username != app.config().admin_user {
        return;
    }
    match std::fs::remove_file(password_file(app)) {
        Ok(()) => tracing::info!("removed the file of the first password"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::warn!(%error, "cannot remove {PASSWORD_FILE} in the state folder; it is of no use any more");
        }
    }
}
