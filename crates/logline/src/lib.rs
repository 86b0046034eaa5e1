//! The line that every decoy and sniffer writes, and the vocabulary of events in it: one writer, one scanner.
//!
//! A line is RFC 5424: `<PRI>1 TIMESTAMP HOSTNAME APP-NAME - MSGID [relay@55555 k="v" ...] MSG`. HOSTNAME is the decky,
//! APP-NAME the service, MSGID the event type. Values are hostile; they are made harmless where they enter
//! ([`clean`]), so no value can end a line, forge a second record or drive a terminal.
//! Where lines are kept, how they travel and what they mean for an attacker's row is not decided here.

mod event;
mod meaning;
mod record;
mod scan;
mod text;

pub use event::{Event, Secret, SecretKind};
pub use meaning::{CapturedSecret, EventClass, TypedEvent, attacker_ip, captured_secret, class_of};
pub use record::{Fields, Record, Severity};
pub use scan::{ScanError, scan};
pub use text::{clean, clean_bytes};

/// A decoy's line is at most this long (bytes): container log drivers cut at 16 KiB. Larger values go to an artifact.
pub const MAX_LINE: usize = 15 * 1024;

/// What the scanner accepts at most (bytes), so that one absurd line cannot eat the reader's memory.
pub const MAX_SCAN: usize = 256 * 1024;

/// SD-ID of the one structured-data element that carries the event's fields.
pub const SD_ID: &str = "relay@55555";
