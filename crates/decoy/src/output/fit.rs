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

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use decnet_core::{DeckyName, ManualClock};
    use decnet_logline::{Record, captured_secret, scan};
    use proptest::prelude::*;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn output(folder: Option<&std::path::Path>) -> Output {
        Output::start(
            DeckyName::parse("web-01").unwrap(),
            Arc::new(ManualClock::at(chrono::DateTime::UNIX_EPOCH)),
            std::io::sink(),
            folder,
            Duration::from_secs(5),
            CancellationToken::new(),
        )
        .unwrap()
    }

    async fn record(output: &Output, report: Report) -> Record {
        let line =
            output.line("ssh", &[("src_ip", "127.0.0.1".to_owned())], &AtomicU64::new(0), report).await;
        assert!(line.len() <= MAX_LINE, "{} bytes", line.len());
        assert!(!line.contains(['\n', '\r', '\0']));
        scan(line.as_bytes()).unwrap()
    }

    #[tokio::test]
    async fn a_large_value_is_kept_beside_the_line_or_at_least_named() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..=255u8).cycle().take(64 << 10).collect();
        let report = || Report::new("command").field("first", "1").bytes("body", &bytes).field("last", "2");
        let sha256 = hex::encode(Sha256::digest(&bytes));

        let kept = record(&output(Some(folder.path())), report()).await;
        let file = folder.path().join(kept.fields.get("body_stored_as").unwrap());
        assert_eq!(std::fs::read(file).unwrap(), bytes);
        assert_eq!(kept.fields.get("body_sha256"), Some(sha256.as_str()));
        assert_eq!(kept.fields.get("body_size"), Some("65536"));
        assert_eq!((kept.fields.get("first"), kept.fields.get("last")), (Some("1"), Some("2")));

        let named = record(&output(None), report()).await;
        assert_eq!(named.fields.get("body_truncated"), Some("1"));
        assert_eq!(named.fields.get("body_sha256"), Some(sha256.as_str()));
        assert!(named.fields.get("body").is_some_and(|preview| !preview.is_empty()));
    }

    #[tokio::test]
    async fn a_large_secret_and_name_stay_a_credential() {
        let folder = tempfile::tempdir().unwrap();
        let output = output(Some(folder.path()));
        let secret = Secret::plaintext("\u{1}n".repeat(9000), "s".repeat(40_000));
        let record = record(&output, Report::new("auth_attempt").secret(secret)).await;
        let captured = captured_secret(&record).expect("no credential any more");
        assert!(captured.principal.is_some());
        let stored = |key| std::fs::read(folder.path().join(record.fields.get(key).unwrap())).unwrap().len();
        assert_eq!(stored("secret_stored_as"), 40_000);
        assert_eq!(stored("principal_stored_as"), 18_000);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_values_make_exactly_one_line(
            values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20_000), 0..8),
            name in ".{0,3000}",
            secret in proptest::collection::vec(any::<u8>(), 0..9000),
        ) {
            const KEYS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut report = Report::new("command").secret(Secret::plaintext(name, secret));
                for (key, value) in KEYS.iter().zip(&values) {
                    report = report.bytes(key, value);
                }
                let record = record(&output(None), report.msg("x\ny")).await;
                assert_eq!(record.hostname, "web-01");
                assert_eq!(record.fields.get("src_ip"), Some("127.0.0.1"));
            });
        }
    }
}
