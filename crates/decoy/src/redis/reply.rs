//! Replies and their two encodings, RESP2 and RESP3.
//!
//! Commands say what they mean ("a map", "a set", "nothing"); what that looks like depends on the protocol that
//! the client chose with HELLO. Order of maps is kept.

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// `+OK` and the like.
    Simple(String),
    /// An error with its prefix.
    Error(String),
    /// A number.
    Int(i64),
    /// Bytes.
    Bulk(Vec<u8>),
    /// Text for people.
    Verbatim(String),
    /// No value.
    Null,
    /// No list.
    NullArray,
    /// A list.
    Array(Vec<Reply>),
    /// Pairs.
    Map(Vec<(Reply, Reply)>),
    /// A set.
    Set(Vec<Reply>),
    /// A floating-point number.
    Double(f64),
    /// Out-of-band data.
    Push(Vec<Reply>),
    /// Several replies in a row (SUBSCRIBE with several channels).
    Many(Vec<Reply>),
    /// Bytes that are no RESP, such as a replication payload.
    Raw(Vec<u8>),
}

impl Reply {
    /// `+OK`.
    pub fn ok() -> Self {
        Self::Simple("OK".to_owned())
    }

    /// An error that starts with `ERR`.
    pub fn err(text: impl AsRef<str>) -> Self {
        Self::Error(format!("ERR {}", text.as_ref()))
    }

    /// Bytes.
    pub fn bulk(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Bulk(bytes.into())
    }

    /// A list of byte strings.
    pub fn list<T: Into<Vec<u8>>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::Array(items.into_iter().map(Self::bulk).collect())
    }

    /// A list of lines, as HELP prints them.
    pub fn lines(items: &[&str]) -> Self {
        Self::Array(items.iter().map(|line| Self::Simple((*line).to_owned())).collect())
    }

    /// The number of something.
    pub fn count(count: usize) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// The bytes for protocol 2 or 3.
    pub fn encode(&self, resp3: bool) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(resp3, &mut out);
        out
    }

    fn write(&self, resp3: bool, out: &mut Vec<u8>) {
        let mut line = |text: String| {
            out.extend_from_slice(text.as_bytes());
            out.extend_from_slice(b"\r\n");
        };
        match self {
            Self::Simple(text) => line(format!("+{}", one_line(text))),
            Self::Error(text) => line(format!("-{}", one_line(text))),
            Self::Int(value) => line(format!(":{value}")),
            Self::Null | Self::NullArray if resp3 => line("_".to_owned()),
            Self::Null => line("$-1".to_owned()),
            Self::NullArray => line("*-1".to_owned()),
            Self::Double(value) if resp3 => line(format!(",{}", double(*value))),
            Self::Double(value) => bulk(double(*value).as_bytes(), out),
            Self::Bulk(bytes) => bulk(bytes, out),
            Self::Verbatim(text) if resp3 => {
                line(format!("={}", text.len() + 4));
                line(format!("txt:{text}"));
            }
            Self::Verbatim(text) => bulk(text.as_bytes(), out),
            Self::Raw(bytes) => out.extend_from_slice(bytes),
            Self::Many(items) => {
                for item in items {
                    item.write(resp3, out);
                }
            }
            Self::Map(pairs) => {
                line(if resp3 { format!("%{}", pairs.len()) } else { format!("*{}", pairs.len() * 2) });
                for (key, value) in pairs {
                    key.write(resp3, out);
                    value.write(resp3, out);
                }
            }
            Self::Array(items) | Self::Set(items) | Self::Push(items) => {
                let sign = match self {
                    Self::Set(_) if resp3 => '~',
                    Self::Push(_) if resp3 => '>',
                    _ => '*',
                };
                line(format!("{sign}{}", items.len()));
                for item in items {
                    item.write(resp3, out);
                }
            }
        }
    }
}

fn bulk(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("${}\r\n", bytes.len()).as_bytes());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Errors quote what was sent; line breaks would end them early.
fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

/// A score as the server prints it.
pub fn double(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    format!("{value}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redis_protocol::{resp2, resp3};

    use super::*;

    fn any_reply() -> impl Strategy<Value = Reply> {
        let leaf = prop_oneof![
            ".{0,20}".prop_map(Reply::Simple),
            ".{0,20}".prop_map(Reply::err),
            any::<i64>().prop_map(Reply::Int),
            proptest::collection::vec(any::<u8>(), 0..30).prop_map(Reply::Bulk),
            "[a-z\r\n]{0,20}".prop_map(Reply::Verbatim),
            Just(Reply::Null),
            Just(Reply::NullArray),
            (-1e6f64..1e6).prop_map(Reply::Double),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Reply::Array),
                proptest::collection::vec((Just(Reply::bulk("k")), inner), 0..2).prop_map(Reply::Map),
            ]
        })
    }

    proptest! {
        /// Another implementation reads exactly one frame out of every reply.
        #[test]
        fn replies_are_valid_resp(reply in any_reply()) {
            let two = reply.encode(false);
            let (_, used) = resp2::decode::decode(&two).unwrap().unwrap();
            prop_assert_eq!(used, two.len());
            let three = reply.encode(true);
            let (_, used) = resp3::decode::complete::decode(&three).unwrap().unwrap();
            prop_assert_eq!(used, three.len());
        }
    }

    #[test]
    fn shapes_of_both_protocols() {
        let map = Reply::Map(vec![(Reply::bulk("a"), Reply::Int(1))]);
        assert_eq!(map.encode(false), b"*2\r\n$1\r\na\r\n:1\r\n");
        assert_eq!(map.encode(true), b"%1\r\n$1\r\na\r\n:1\r\n");
        assert_eq!(Reply::Error("ERR a\r\nb".into()).encode(false), b"-ERR a  b\r\n");
        assert_eq!(Reply::Double(1.0).encode(false), b"$1\r\n1\r\n");
    }
}
