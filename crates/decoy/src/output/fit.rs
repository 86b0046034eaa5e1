//! Makes a report fit into one line: values too large go to the artifact folder, and the line keeps a preview
//! with name, size and digest. Says nothing about how lines are written.

use std::sync::atomic::AtomicU64;

use base64::{Engine, engine::general_purpose::STANDARD};
use decnet_logline::{Event, MAX_LINE, Secret, clean_bytes};
use sha2::{Digest, Sha256};

use super::Output;
use crate::report::Report;

/// Bytes of a large value that stay in the line.
const PREVIEW: usize = 1024;
/// The largest secret that a line carries whole.
const SECRET_MAX: usize = 2048;
/// The longest principal that a line carries whole.
const PRINCIPAL_MAX: usize = 1024;
/// The longest free text.
const MSG_MAX: usize = 1024;

struct Value {
    key: &'static str,
    bytes: Vec<u8>,
    /// Fields about the whole of a value that was cut.
    about: Vec<(String, String)>,
}

impl Output {
    pub(super) async fn line(
        &self,
        service: &'static str,
        ident: &[(&'static str, String)],
        stored: &AtomicU64,
        report: Report,
    ) -> String {
        let Report { event_type, severity, fields, secret, msg } = report;
        let mut values: Vec<Value> =
            fields.into_iter().map(|(key, bytes)| Value { key, bytes, about: Vec::new() }).collect();
        let secret = match secret {
            Some(secret) => Some(self.fit_secret(stored, secret, &mut values).await),
            None => None,
        };
        let msg = msg.map(|text| cut_text(text, MSG_MAX));
        loop {
            let mut event = Event::new(service, event_type).severity(severity);
            for (key, value) in ident {
                event = event.field(key, value);
            }
            for value in &values {
                if value.about.is_empty() || !value.bytes.is_empty() {
                    event = event.bytes(value.key, &value.bytes);
                }
                for (key, text) in &value.about {
                    event = event.field(key, text);
                }
            }
            if let Some(secret) = &secret {
                event = event.secret(secret);
            }
            if let Some(msg) = &msg {
                event = event.msg(msg.clone());
            }
            let line = event.into_record(self.clock.now(), self.decky.as_str()).encode();
            if line.len() <= MAX_LINE {
                return line;
            }
            // What a value costs in the line, not what it weighs: controls grow sevenfold.
            let largest = values
                .iter_mut()
                .filter(|value| value.about.is_empty())
                .max_by_key(|value| clean_bytes(&value.bytes).len());
            match largest {
                Some(value) if value.bytes.len() > 64 => self.shrink(stored, value).await,
                // Nothing large is left, there are just too many: keep the first ones.
                _ => {
                    values.truncate(values.len() / 2);
                    if values.is_empty() {
                        return cut_text(line, MAX_LINE);
                    }
                }
            }
        }
    }

    /// Moves the value to an artifact (or at least notes its digest) and keeps its beginning.
    async fn shrink(&self, stored: &AtomicU64, value: &mut Value) {
        let key = value.key;
        let size = value.bytes.len();
        value.about = match self.store(stored, key, &value.bytes).await {
            Some(kept) => vec![
                (format!("{key}_stored_as"), kept.stored_as),
                (format!("{key}_size"), kept.size.to_string()),
                (format!("{key}_sha256"), kept.sha256),
            ],
            None => vec![
                (format!("{key}_truncated"), "1".to_owned()),
                (format!("{key}_size"), size.to_string()),
                (format!("{key}_sha256"), hex::encode(Sha256::digest(&value.bytes))),
            ],
        };
        // Controls become six characters each, one of them escaped: cut by what the preview costs.
        let mut keep = size.min(PREVIEW);
        while keep > 0 && clean_bytes(value.bytes.get(..keep).unwrap_or_default()).len() > 2 * PREVIEW {
            keep /= 2;
        }
        // Not through the middle of a character, where there are characters.
        while keep > 0 && value.bytes.get(keep).is_some_and(|byte| (0x80..0xc0).contains(byte)) {
            keep -= 1;
        }
        value.bytes.truncate(keep);
        value.bytes.shrink_to_fit();
    }

    /// A secret that fits. What is cut of it is kept beside it, like any other value.
    async fn fit_secret(&self, stored: &AtomicU64, mut secret: Secret, values: &mut Vec<Value>) -> Secret {
        if secret.bytes.len() > SECRET_MAX {
            let mut whole = Value { key: "secret", bytes: secret.bytes.clone(), about: Vec::new() };
            self.shrink(stored, &mut whole).await;
            whole.bytes.clear();
            values.push(whole);
            secret.bytes.truncate(SECRET_MAX);
        }
        if let Some(principal) = secret.principal.as_mut().filter(|name| name.len() > PRINCIPAL_MAX) {
            let mut whole =
                Value { key: "principal", bytes: principal.clone().into_bytes(), about: Vec::new() };
            self.shrink(stored, &mut whole).await;
            whole.bytes.clear();
            values.push(whole);
            *principal = cut_text(std::mem::take(principal), PRINCIPAL_MAX / 2);
        }
        debug_assert!(STANDARD.encode(&secret.bytes).len() < MAX_LINE / 2);
        secret
    }
}

fn cut_text(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
    }
    text
}
