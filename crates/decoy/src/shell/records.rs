//! The books that `w`, `who` and `last` read: `/run/utmp`, `/var/log/wtmp` and `/var/log/lastlog` of the container.
//!
//! Written like the system's own library does (x86-64 and other 64-bit layouts with 32-bit times): a machine on which
//! the intruder's own session is missing would be a strange one. A book that cannot be written is left alone.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    net::IpAddr,
    os::unix::fs::OpenOptionsExt,
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

const UTMP: &str = "/run/utmp";
const WTMP: &str = "/var/log/wtmp";
const LASTLOG: &str = "/var/log/lastlog";
/// Size of a record of `utmp` and `wtmp`.
const RECORD: usize = 384;
/// Size of a record of `lastlog`.
const LAST: usize = 292;
/// Records of `utmp` that are looked through.
const SLOTS_MAX: usize = 4096;
const BOOT_TIME: i16 = 2;
const USER_PROCESS: i16 = 7;
const DEAD_PROCESS: i16 = 8;

/// A session in the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// `pts/0`.
    pub(super) line: String,
    pub(super) user: String,
    pub(super) uid: u32,
    pub(super) pid: i32,
    pub(super) from: IpAddr,
}

/// When somebody was here last, and from where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) at: DateTime<Utc>,
    pub(super) host: String,
}

/// Says when the machine booted, unless the book has it.
pub(super) fn boot(at: DateTime<Utc>, kernel: &str) {
    let mut record = blank(BOOT_TIME, 0, "~", b"~~", "reboot", at);
    put(&mut record, 76, 256, kernel.as_bytes());
    let _ = (|| {
        let mut options = OpenOptions::new();
        let mut utmp = options.read(true).write(true).create(true).truncate(false).mode(0o664).open(UTMP)?;
        if let Some(group) = super::account::group_id("utmp") {
            let _ = std::os::unix::fs::fchown(&utmp, None, Some(group));
        }
        if utmp.metadata()?.len() == 0 {
            utmp.write_all(&record)?;
        }
        append(WTMP, &record)
    })();
}

/// The session begins. Returns when the account was here last.
pub(super) fn login(entry: &Entry, at: DateTime<Utc>) -> Option<Last> {
    let record = record(entry, USER_PROCESS, at);
    let _ = replace(&record);
    let _ = append(WTMP, &record);
    last(entry, at).ok().flatten()
}

/// The session ends.
pub(super) fn logout(entry: &Entry, at: DateTime<Utc>) {
    let mut record = record(entry, DEAD_PROCESS, at);
    // As the server leaves it: without name, host and address.
    put(&mut record, 44, 32, b"");
    put(&mut record, 76, 256, b"");
    put(&mut record, 348, 16, b"");
    let _ = replace(&record);
    let _ = append(WTMP, &record);
}

fn blank(kind: i16, pid: i32, line: &str, id: &[u8], user: &str, at: DateTime<Utc>) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    put(&mut record, 0, 2, &kind.to_ne_bytes());
    put(&mut record, 4, 4, &pid.to_ne_bytes());
    put(&mut record, 8, 32, line.as_bytes());
    put(&mut record, 40, 4, id);
    put(&mut record, 44, 32, user.as_bytes());
    let seconds = i32::try_from(at.timestamp()).unwrap_or(i32::MAX);
    put(&mut record, 340, 4, &seconds.to_ne_bytes());
    let micros = i32::try_from(at.timestamp_subsec_micros()).unwrap_or(0);
    put(&mut record, 344, 4, &micros.to_ne_bytes());
    record
}

fn record(entry: &Entry, kind: i16, at: DateTime<Utc>) -> [u8; RECORD] {
    let line = entry.line.as_bytes();
    let id = line.get(line.len().saturating_sub(4)..).unwrap_or(line);
    let mut record = blank(kind, entry.pid, &entry.line, id, &entry.user, at);
    put(&mut record, 76, 256, entry.from.to_string().as_bytes());
    let octets: Vec<u8> = match entry.from {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    put(&mut record, 348, 16, &octets);
    record
}

/// Writes a field, its rest filled with NUL.
fn put(record: &mut [u8], at: usize, len: usize, value: &[u8]) {
    if let Some(field) = record.get_mut(at..at + len) {
        field.fill(0);
        for (to, from) in field.iter_mut().zip(value) {
            *to = *from;
        }
    }
}

/// Puts a record where the same line's is, else at the end.
fn replace(record: &[u8; RECORD]) -> io::Result<()> {
    let mut file = open(UTMP)?;
    let mut slot = [0; RECORD];
    let mut at = 0;
    for _ in 0..SLOTS_MAX {
        if file.read_exact(&mut slot).is_err() {
            break;
        }
        // Same id: the fields of the line's last four characters.
        if slot.get(40..44) == record.get(40..44) && slot.get(0..2) != Some(&BOOT_TIME.to_ne_bytes()[..]) {
            break;
        }
        at += RECORD as u64;
    }
    file.seek(SeekFrom::Start(at))?;
    file.write_all(record)
}

fn append(path: &str, record: &[u8; RECORD]) -> io::Result<()> {
    let file = OpenOptions::new().append(true).custom_flags(NO_TRICKS).open(path)?;
    check(&file)?;
    (&file).write_all(record)
}

/// Neither through a link nor waiting for the other end of a pipe: the intruder's root may have replaced the book.
const NO_TRICKS: i32 =
    (rustix::fs::OFlags::NOFOLLOW.bits() | rustix::fs::OFlags::NONBLOCK.bits()).cast_signed();

fn open(path: &str) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).custom_flags(NO_TRICKS).open(path)?;
    check(&file)?;
    Ok(file)
}

fn check(file: &File) -> io::Result<()> {
    if file.metadata()?.is_file() { Ok(()) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

fn last(entry: &Entry, at: DateTime<Utc>) -> io::Result<Option<Last>> {
    // A book that is not there is begun, as the server does.
    let options = &mut OpenOptions::new();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .custom_flags(NO_TRICKS)
        .open(LASTLOG)?;
    check(&file)?;
    let place = SeekFrom::Start(u64::from(entry.uid) * LAST as u64);
    file.seek(place)?;
    let mut before = [0; LAST];
    let found = file.read_exact(&mut before).is_ok();
    let mut now = [0; LAST];
    put(&mut now, 0, 4, &i32::try_from(at.timestamp()).unwrap_or(i32::MAX).to_ne_bytes());
    put(&mut now, 4, 32, entry.line.as_bytes());
    put(&mut now, 36, 256, entry.from.to_string().as_bytes());
    file.seek(place)?;
    file.write_all(&now)?;
    Ok(found.then(|| decode_last(&before)).flatten())
}

fn decode_last(record: &[u8; LAST]) -> Option<Last> {
    let seconds = i32::from_ne_bytes(*record.first_chunk()?);
    if seconds == 0 {
        return None;
    }
    let host = record.get(36..)?;
    let host = host.split(|byte| *byte == 0).next().unwrap_or_default();
    let host =
        host.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' }).collect();
    Some(Last { at: DateTime::from_timestamp(i64::from(seconds), 0)?, host })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_layout_of_the_systems_library() {
        let at = DateTime::from_timestamp(1_767_225_659, 250_000_000).unwrap();
        let entry = Entry {
            line: "pts/12".to_owned(),
            user: "mkeller".to_owned(),
            uid: 1000,
            pid: 4711,
            from: [192, 0, 2, 9].into(),
        };
        let record = record(&entry, USER_PROCESS, at);
        assert_eq!(record[..2], 7i16.to_ne_bytes());
        assert_eq!(record[4..8], 4711i32.to_ne_bytes());
        assert_eq!(&record[8..14], b"pts/12");
        assert_eq!(&record[40..44], b"s/12");
        assert_eq!(&record[44..51], b"mkeller");
        assert_eq!(&record[76..85], b"192.0.2.9");
        assert_eq!(record[340..344], 1_767_225_659i32.to_ne_bytes());
        assert_eq!(record[344..348], 250_000i32.to_ne_bytes());
        assert_eq!(record[348..352], [192, 0, 2, 9]);
    }
}
