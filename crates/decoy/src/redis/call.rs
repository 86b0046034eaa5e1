//! One command being executed: its arguments, who sent it, and the state it may change.
//!
//! Holds the small readers that all command families share. What commands do is in the families' own files.

use super::{
    reply::{Reply, double},
    request::number,
    shared::{Session, Shared},
    store::{Entry, Value},
};

/// Outcome of a command: an error reply is an error.
pub type Outcome = Result<Reply, Reply>;

/// Something worth reporting besides the command itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A login.
    Auth {
        /// User of AUTH with two arguments.
        user: Option<Vec<u8>>,
        /// Password.
        password: Vec<u8>,
        /// Accepted.
        success: bool,
    },
    /// A step of a known way to run code on a Redis host.
    Rce {
        /// Which way.
        technique: &'static str,
        /// What was asked.
        detail: String,
    },
    /// What a client has had written to disk.
    Dump {
        /// Where it was to go.
        path: String,
        /// Bytes.
        bytes: Vec<u8>,
    },
}

/// A command in execution.
pub struct Call<'a> {
    /// Words of the command.
    pub args: &'a [Vec<u8>],
    /// Unix milliseconds.
    pub now: i64,
    /// The server.
    pub shared: &'a mut Shared,
    /// The client.
    pub session: &'a mut Session,
    /// What is to be reported.
    pub facts: Vec<Fact>,
}

impl<'a> Call<'a> {
    /// A word; empty if there is none.
    pub fn arg(&self, at: usize) -> &'a [u8] {
        self.args.get(at).map(Vec::as_slice).unwrap_or_default()
    }

    /// A word in upper case.
    pub fn upper(&self, at: usize) -> String {
        String::from_utf8_lossy(self.arg(at)).to_uppercase()
    }

    /// The words from `at` on.
    pub fn rest(&self, at: usize) -> &'a [Vec<u8>] {
        self.args.get(at..).unwrap_or_default()
    }

    /// A word as whole number.
    pub fn int(&self, at: usize) -> Result<i64, Reply> {
        number(self.arg(at)).ok_or_else(|| Reply::err("value is not an integer or out of range"))
    }

    /// A word as floating-point number.
    pub fn float(&self, at: usize) -> Result<f64, Reply> {
        float(self.arg(at)).ok_or_else(|| Reply::err("value is not a valid float"))
    }

    /// The chosen database.
    pub fn db(&self) -> usize {
        self.session.db
    }

    /// Refuses to add to a full keyspace.
    pub fn room(&self) -> Result<(), Reply> {
        if self.shared.store.is_full() {
            Err(Reply::Error("OOM command not allowed when used memory > 'maxmemory'.".to_owned()))
        } else {
            Ok(())
        }
    }

    /// `wrong number of arguments` for a command.
    pub fn arity(command: &str) -> Reply {
        Reply::err(format!("wrong number of arguments for '{command}' command"))
    }

    /// Looks up a string.
    pub fn string(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Reply> {
        match self.shared.store.look(self.session.db, key) {
            None => Ok(None),
            Some(Value::Str(bytes)) => Ok(Some(bytes.clone())),
            Some(_) => Err(wrong_type()),
        }
    }

    /// Sets a string, keeping nothing of what was there.
    pub fn set(&mut self, key: &[u8], bytes: Vec<u8>, expires: Option<i64>) {
        self.shared.store.put(
            self.session.db,
            key,
            Entry { value: Value::Str(bytes), expires, foreign: true },
        );
        self.shared.store.dirty += 1;
    }

    /// Looks up a collection through `view`, which gives `None` for another type.
    pub fn view<R>(
        &mut self,
        key: &[u8],
        missing: R,
        view: impl FnOnce(&Value) -> Option<R>,
    ) -> Result<R, Reply> {
        match self.shared.store.look(self.session.db, key) {
            None => Ok(missing),
            Some(value) => view(value).ok_or_else(wrong_type),
        }
    }

    /// Changes a collection, made by `make` if missing, through `change`, which gives `None` for another type.
    pub fn change<R>(
        &mut self,
        key: &[u8],
        make: impl FnOnce() -> Value,
        change: impl FnOnce(&mut Value) -> Option<R>,
    ) -> Result<R, Reply> {
        self.shared.store.update(self.session.db, key, make, change).ok_or_else(wrong_type)
    }
}

/// The reply to a command on another type.
pub fn wrong_type() -> Reply {
    Reply::Error("WRONGTYPE Operation against a key holding the wrong kind of value".to_owned())
}

/// A floating-point number as the server reads it.
pub fn float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok().filter(|text| !text.is_empty() && text.trim() == *text)?;
    text.parse::<f64>().ok().filter(|value| !value.is_nan())
}

/// A score as bytes.
pub fn score(value: f64) -> Vec<u8> {
    double(value).into_bytes()
}

/// Start and end of a range of `length` items given in the server's way (negative counts from the end).
pub fn range(start: i64, stop: i64, length: usize) -> Option<(usize, usize)> {
    let length = i64::try_from(length).ok()?;
    let from_end = |at: i64| if at < 0 { at.saturating_add(length) } else { at };
    let start = from_end(start).max(0);
    let stop = from_end(stop).min(length - 1);
    if start > stop || start >= length {
        return None;
    }
    Some((usize::try_from(start).ok()?, usize::try_from(stop).ok()?))
}
