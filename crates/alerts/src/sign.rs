//! Headers that vouch for a body.
//!
//! The first signature is the one receivers of the older contract know; it leaves the time out, so a caught request can be
//! played again. The second one covers the time: receivers refuse it beyond 300 seconds. While a secret is being changed the
//! second header carries one value for each active secret, newest first, and a receiver takes any that fits.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What we call ourselves.
pub const USER_AGENT: &str = "decnet-webhook/1.0";

/// A header set: names and values.
pub type Signed = Vec<(&'static str, String)>;

/// The headers of a post, for the secrets in force (newest first).
pub fn sign(secrets: &[&str], event_id: &str, topic: &str, body: &[u8], now: DateTime<Utc>) -> Signed {
    let timestamp = now.timestamp().to_string();
    let mut v2 = format!("t={timestamp}");
    for secret in secrets {
        v2.push_str(",v2=");
        v2.push_str(&mac(secret, &[timestamp.as_bytes(), b".", body]));
    }
    let first = secrets.first().copied().unwrap_or_default();
    vec![
        ("content-type", "application/json".to_owned()),
        ("x-decnet-signature", format!("sha256={}", mac(first, &[body]))),
        ("x-decnet-signature-v2", v2),
        ("x-decnet-event-id", event_id.to_owned()),
        ("x-decnet-event-topic", topic.to_owned()),
        ("x-decnet-timestamp", timestamp),
    ]
}

fn mac(secret: &str, parts: &[&[u8]]) -> String {
    // HMAC takes keys of every length, so the error of this constructor cannot occur; an empty text would be refused by
    // every receiver.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    for part in parts {
        mac.update(part);
    }
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mac_is_hmac_sha256() {
        // RFC 4231, test case 2.
        assert_eq!(
            mac("Jefe", &[b"what do ya ", b"want for nothing?"]),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn both_headers_are_as_the_receiver_sample_computes_them() {
        let now = DateTime::from_timestamp(1_767_225_600, 999_000_000).unwrap();
        let signed = sign(&["new secret of the receiver", "old secret"], "id", "test.ping", b"{}", now);
        let value = |name: &str| signed.iter().find(|(n, _)| *n == name).unwrap().1.clone();
        // python3: hmac.new(secret, body, 'sha256').hexdigest()
        assert_eq!(
            value("x-decnet-signature"),
            "sha256=df8190211fb873200a5251bdfcb905b079aa5f459867e624b622fb985abf64ec"
        );
        assert_eq!(value("x-decnet-timestamp"), "1767225600");
        assert_eq!(
            value("x-decnet-signature-v2"),
            concat!(
                "t=1767225600,v2=3b3cad366b7e7e9fa4cbcdd003bdc4fac5326cf39048e5603eee10607b812cf2",
                ",v2=39c506a4cad736286f941037ab903b1c7b1a4a4f72851669dc3e94fbcc79b932"
            )
        );
        assert_eq!(
            (value("x-decnet-event-id").as_str(), value("x-decnet-event-topic").as_str()),
            ("id", "test.ping")
        );
    }
}
