//! From an answer to the bytes on the wire: header order and case of the claimed server, conditional requests, ranges.
//!
//! nginx: `Server, Date, Content-Type, Content-Length, Last-Modified, Location, Transfer-Encoding, Connection`,
//! then the rest. Apache: `Date, Server`, the rest, `Keep-Alive, Connection`, and `Content-Type` last. Which page
//! is shown is decided in `site`.

use std::fmt::Write as _;

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, NaiveDateTime, Utc};

use super::{
    compress,
    errors::{self, About},
    head::{Head, Version},
    server::{Family, Server},
};

/// What is answered, before the server's habits are applied.
#[expect(clippy::struct_excessive_bools, reason = "independent properties of one answer")]
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// Status.
    pub status: u16,
    /// `Content-Type`, if any.
    pub content_type: Option<String>,
    /// Body.
    pub body: Vec<u8>,
    /// Time of the file, for static files only: makes `Last-Modified`, `ETag` and ranges.
    pub modified: Option<DateTime<Utc>>,
    /// Length of the whole file, which tags and ranges speak of.
    pub file_length: usize,
    /// `Location`.
    pub location: Option<String>,
    /// Further headers in order.
    pub headers: Vec<(String, String)>,
    /// Made by a script: nginx sends it in chunks.
    pub scripted: bool,
    /// The connection ends after it.
    pub close: bool,
    /// The body is compressed.
    pub gzip: bool,
    /// The connection ends after it although the headers do not say so (nginx after a failed condition).
    pub hang_up: bool,
    /// Body to the end of the connection, without a length (Apache's answer to broken bodies).
    pub unsized_body: bool,
}

impl Reply {
    /// A static file.
    pub fn file(content_type: &str, body: Vec<u8>, modified: DateTime<Utc>) -> Self {
        Self {
            status: 200,
            content_type: Some(content_type.to_owned()).filter(|text| !text.is_empty()),
            file_length: body.len(),
            body,
            modified: Some(modified),
            ..Self::default()
        }
    }

    /// A script's page.
    pub fn script(status: u16, body: String) -> Self {
        Self {
            status,
            content_type: Some("text/html; charset=UTF-8".to_owned()),
            body: body.into_bytes(),
            scripted: true,
            ..Self::default()
        }
    }

    /// The server's own page for this status.
    pub fn error(server: &Server, status: u16, about: &About<'_>) -> Self {
        let content_type = match server.family {
            Family::Nginx => "text/html",
            Family::Apache => "text/html; charset=iso-8859-1",
        };
        Self {
            status,
            content_type: Some(content_type.to_owned()),
            body: errors::page(server, status, about).into_bytes(),
            location: Some(about.location.to_owned()).filter(|text| !text.is_empty()),
            ..Self::default()
        }
    }

    /// With another header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Ends the connection.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }
}

/// What the answer has to know of the request and of the connection.
#[derive(Debug, Clone, Copy)]
pub struct Wire {
    /// Version of the request.
    pub version: Version,
    /// HEAD: no body.
    pub head_only: bool,
    /// The client asked for keep-alive by name.
    pub asked_keep_alive: bool,
    /// Requests left on this connection after this one.
    pub left: u32,
    /// Now.
    pub now: DateTime<Utc>,
}

/// `ETag` of a file.
pub fn etag(family: Family, length: usize, modified: DateTime<Utc>) -> String {
    match family {
        Family::Nginx => format!("\"{:x}-{length:x}\"", modified.timestamp()),
        Family::Apache => format!("\"{length:x}-{:x}\"", modified.timestamp_micros()),
    }
}

/// Applies `If-None-Match`, `If-Modified-Since`, `If-Range` and `Range` to a static file.
pub fn conditional(
    reply: Reply,
    head: &Head,
    server: &Server,
    about: &About<'_>,
    now: DateTime<Utc>,
) -> Reply {
    let Some(modified) = reply.modified.filter(|_| reply.status == 200) else { return reply };
    let length = reply.body.len();
    let tag = etag(server.family, length, modified);
    let matches = head
        .text("if-match")
        .is_none_or(|list| list.trim() == "*" || list.split(',').any(|one| one.trim() == tag));
    let unmodified = head
        .text("if-unmodified-since")
        .filter(|_| head.get("if-match").is_none() || server.family == Family::Nginx)
        .and_then(parse_date)
        .is_none_or(|until| until.timestamp() >= modified.timestamp());
    if !matches || !unmodified {
        return match server.family {
            Family::Nginx => Reply { hang_up: true, ..Reply::error(server, 412, about) },
            Family::Apache => Reply { status: 412, body: Vec::new(), ..reply },
        };
    }
    let since = head.text("if-modified-since").and_then(parse_date);
    let unchanged = match head.text("if-none-match") {
        Some(list) => list.trim() == "*" || list.split(',').any(|one| same_tag(one, &tag)),
        // nginx compares for equality, Apache for order, ignoring dates in the future.
        None => since.is_some_and(|since| match server.family {
            Family::Nginx => since.timestamp() == modified.timestamp(),
            Family::Apache => since.timestamp() >= modified.timestamp() && since <= now,
        }),
    };
    if unchanged {
        return Reply { status: 304, body: Vec::new(), content_type: None, ..reply };
    }
    if head.text("if-range").is_some_and(|range| range.trim() != tag && parse_date(range) != Some(modified)) {
        return reply;
    }
    let Some(ranges) = head.text("range").and_then(|text| read_ranges(text, length, server.family)) else {
        return reply;
    };
    match ranges.as_slice() {
        [] => Reply {
            headers: match server.family {
                Family::Nginx => vec![("Content-Range".to_owned(), format!("bytes */{length}"))],
                Family::Apache => Vec::new(),
            },
            ..Reply::error(server, 416, about)
        },
        [(from, to)] => Reply {
            status: 206,
            body: reply.body.get(*from..=*to).unwrap_or_default().to_vec(),
            headers: vec![("Content-Range".to_owned(), format!("bytes {from}-{to}/{length}"))],
            ..reply
        },
        many => multipart(&reply, many, server),
    }
}

/// nginx numbers such bodies from its start.
static NGINX_PARTS: AtomicU64 = AtomicU64::new(1);

fn multipart(reply: &Reply, ranges: &[(usize, usize)], server: &Server) -> Reply {
    let boundary = match server.family {
        Family::Nginx => format!("{:020}", NGINX_PARTS.fetch_add(1, Ordering::Relaxed)),
        Family::Apache => server.boundary.clone(),
    };
    let mut body = Vec::new();
    let content_type = reply.content_type.as_deref().unwrap_or("application/octet-stream");
    let (type_name, range_name) = match server.family {
        Family::Nginx => ("Content-Type", "Content-Range"),
        Family::Apache => ("Content-type", "Content-range"),
    };
    for (from, to) in ranges {
        body.extend_from_slice(
            format!(
                "\r\n--{boundary}\r\n{type_name}: {content_type}\r\n{range_name}: bytes {from}-{to}/{}\r\n\r\n",
                reply.body.len()
            )
            .as_bytes(),
        );
        body.extend_from_slice(reply.body.get(*from..=*to).unwrap_or_default());
    }
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    Reply {
        status: 206,
        body,
        content_type: Some(format!("multipart/byteranges; boundary={boundary}")),
        ..reply.clone()
    }
}

/// Whether a tag that a client sent is this file's, compressed or not.
fn same_tag(sent: &str, tag: &str) -> bool {
    let sent = sent.trim().trim_start_matches("W/");
    sent == tag || sent.strip_suffix("-gzip\"").is_some_and(|rest| Some(rest) == tag.strip_suffix('"'))
}

/// Satisfiable ranges of a `Range` header: empty when there is none, `None` when the header is to be ignored.
fn read_ranges(text: &str, length: usize, family: Family) -> Option<Vec<(usize, usize)>> {
    /// Ranges that are answered; more are a known way to make servers work.
    const MOST: usize = 16;
    let broken = || if family == Family::Nginx { Some(Vec::new()) } else { None };
    let list = text.trim().strip_prefix("bytes=")?;
    let mut ranges = Vec::new();
    for one in list.split(',') {
        let Some((from, to)) = one.trim().split_once('-') else { return broken() };
        // Beyond a signed offset both give up: nginx says 416, Apache ignores the header.
        let number = |digits: &str| digits.trim().parse::<i64>().ok().and_then(|n| usize::try_from(n).ok());
        let last = length.checked_sub(1)?;
        let range = match (number(from), number(to)) {
            (Some(from), Some(to)) if from <= to => (from <= last).then_some((from, to.min(last))),
            (Some(from), None) if to.trim().is_empty() => (from <= last).then_some((from, last)),
            (None, Some(suffix)) if from.trim().is_empty() => {
                (suffix > 0).then_some((length.saturating_sub(suffix), last))
            }
            _ => return broken(),
        };
        ranges.extend(range);
        if ranges.len() > MOST {
            return None;
        }
    }
    // Asking for more than there is gets the whole file.
    let asked: usize = ranges.iter().map(|(from, to)| to - from + 1).sum();
    if ranges.len() > 1 && asked > length { None } else { Some(ranges) }
}

/// The bytes of an answer.
pub fn encode(reply: &Reply, wire: &Wire, server: &Server, extra: &[(String, String)]) -> Vec<u8> {
    if wire.version == Version::V09 {
        return reply.body.clone();
    }
    let nginx = server.family == Family::Nginx;
    let no_body = reply.status == 304;
    let chunked = wire.version == Version::V11
        && !no_body
        && ((nginx && (reply.scripted || reply.gzip)) || (!nginx && reply.status == 416));
    let by_close = reply.unsized_body || (nginx && reply.scripted && !chunked && !no_body);
    let close = reply.close || (by_close && !chunked);
    let mut text = format!("HTTP/1.1 {} {}\r\n", reply.status, errors::reason(server, reply.status));
    let date = http_date(wire.now);
    let mut line = |name: &str, value: &str| {
        let _ = write!(text, "{name}: {value}\r\n");
    };
    let tag = reply
        .modified
        .filter(|_| reply.status < 400 || reply.status == 412)
        .map(|modified| (http_date(modified), etag(server.family, reply.file_length, modified)));
    let length = (!no_body && !chunked && !by_close).then(|| reply.body.len().to_string());
    if nginx {
        line("Server", &server.token);
        line("Date", &date);
        if let Some(content_type) = &reply.content_type {
            line("Content-Type", content_type);
        }
        if let Some(length) = &length {
            line("Content-Length", length);
        }
        if let Some((modified, _)) = &tag {
            line("Last-Modified", modified);
        }
        if let Some(location) = &reply.location {
            line("Location", location);
        }
        if chunked {
            line("Transfer-Encoding", "chunked");
        }
        line("Connection", if close { "close" } else { "keep-alive" });
        if let Some((_, tag)) = &tag {
            line("ETag", &if reply.gzip { format!("W/{tag}") } else { tag.clone() });
        }
        for (name, value) in reply.headers.iter().chain(extra) {
            line(name, value);
        }
        if reply.gzip {
            line("Content-Encoding", "gzip");
        } else if reply.status == 200 && tag.is_some() {
            line("Accept-Ranges", "bytes");
        }
    } else {
        line("Date", &date);
        line("Server", &server.token);
        if let Some((modified, tag)) = &tag {
            if !no_body || server.recent {
                line("Last-Modified", modified);
            }
            line(
                "ETag",
                &if reply.gzip { format!("{}-gzip\"", tag.trim_end_matches('"')) } else { tag.clone() },
            );
            if !no_body || server.recent {
                line("Accept-Ranges", "bytes");
            }
        }
        if let Some(location) = &reply.location {
            line("Location", location);
        }
        let late = |name: &str| name == "Content-Range";
        for (name, value) in reply.headers.iter().chain(extra).filter(|(name, _)| !late(name)) {
            line(name, value);
        }
        let vary = !no_body && compress::apache_filters(server, reply);
        if vary && (reply.scripted || reply.gzip) {
            line("Vary", "Accept-Encoding");
        }
        if reply.gzip {
            line("Content-Encoding", "gzip");
        }
        if let Some(length) = length.filter(|_| !(wire.head_only && reply.status >= 400)) {
            line("Content-Length", &length);
        }
        if vary && !reply.scripted && !reply.gzip {
            line("Vary", "Accept-Encoding");
        }
        if chunked {
            line("Transfer-Encoding", "chunked");
        }
        // Apache drops the connection after a refused expectation without saying so.
        if close && reply.status == 417 {
        } else if close {
            line("Connection", "close");
        } else if wire.asked_keep_alive {
            line("Keep-Alive", &format!("timeout=5, max={}", wire.left + 1));
            line("Connection", "Keep-Alive");
        }
        for (name, value) in reply.headers.iter().filter(|(name, _)| late(name)) {
            line(name, value);
        }
        if let Some(content_type) = &reply.content_type {
            line("Content-Type", content_type);
        }
    }
    text.push_str("\r\n");
    let mut out = text.into_bytes();
    if !wire.head_only && !no_body {
        if chunked {
            out.extend_from_slice(format!("{:x}\r\n", reply.body.len()).as_bytes());
            out.extend_from_slice(&reply.body);
            out.extend_from_slice(b"\r\n0\r\n\r\n");
        } else {
            out.extend_from_slice(&reply.body);
        }
    }
    out
}

/// RFC 9110 date.
pub fn http_date(at: DateTime<Utc>) -> String {
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn parse_date(text: &str) -> Option<DateTime<Utc>> {
    NaiveDateTime::parse_from_str(text.trim(), "%a, %d %b %Y %H:%M:%S GMT").ok().map(|naive| naive.and_utc())
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
