//! Request heads: where one ends, what it says, and why the claimed server would refuse it.
//!
//! Header lines are read by `httparse`, which keeps order and case (both are evidence). What it does not know is
//! added before: the limits and tolerances in which nginx and Apache differ. Bodies are `body`'s business.

use super::server::{Family, Server};

/// Header lines that are read; Apache refuses more than 100, nginx has no limit but that of its buffers.
const HEADERS_MAX: usize = 512;
/// Longest request line or header line of nginx (`large_client_header_buffers 4 8k`).
const NGINX_LINE: usize = 8192;
/// All header lines together.
const NGINX_HEAD: usize = 4 * 8192;
/// Longest request line or header line of Apache.
const APACHE_LINE: usize = 8190;
/// Bound of our own: 100 fields of Apache's size would be 800 KiB.
const APACHE_HEAD: usize = 256 * 1024;

/// Version of the protocol that a request speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// A bare `GET /path`.
    V09,
    /// HTTP/1.0.
    V10,
    /// HTTP/1.1 and what is read as such.
    V11,
}

/// A request without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Method as sent.
    pub method: String,
    /// Request target as sent.
    pub target: Vec<u8>,
    /// Version.
    pub version: Version,
    /// Version as sent, such as `HTTP/1.1`.
    pub version_text: String,
    /// Header lines in order, names in the sender's case.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// First value of a header.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }

    /// First value of a header as text.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// How many lines carry this header.
    pub fn count(&self, name: &str) -> usize {
        self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).count()
    }

    /// Whether a comma-separated header contains a token.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).any(|(_, value)| {
            value.split(|b| *b == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
        })
    }
}

/// Why a request is refused before anyone looks at its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reject {
    /// Not HTTP, or not as this server reads it.
    Malformed,
    /// Request line too long.
    UriTooLong,
    /// A header line too long.
    FieldTooLarge,
    /// Too many header lines.
    TooManyFields,
    /// An HTTP version that the server does not speak.
    Version,
    /// A transfer coding that the server does not know.
    TransferCoding,
}

/// What stands at the start of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// More input is needed.
    Partial,
    /// A request head of this many bytes.
    Head(Box<Head>, usize),
    /// A refusal; what could be read of the head is kept as evidence.
    Reject(Reject, Option<Box<Head>>),
}

/// Reads the head at the start of `input`.
pub fn parse(input: &[u8], server: &Server) -> Parsed {
    let nginx = server.family == Family::Nginx;
    // Empty lines before a request are skipped by both.
    let skipped = input.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let rest = input.get(skipped..).unwrap_or_default();
    let blank = input.get(..skipped).unwrap_or_default();
    if !nginx && !server.lenient && blank.split(|b| *b == b'\n').rev().skip(1).any(|line| line != b"\r") {
        return Parsed::Reject(Reject::Malformed, None);
    }
    let (line_max, head_max) = if nginx { (NGINX_LINE, NGINX_HEAD) } else { (APACHE_LINE, APACHE_HEAD) };

    let Some(line_end) = rest.iter().position(|b| *b == b'\n') else {
        if rest.len() > line_max {
            return Parsed::Reject(Reject::UriTooLong, None);
        }
        // A TLS hello or other binary may never bring a line feed. nginx answers as soon as the first byte cannot be
        // a method, Apache waits for the line.
        return match rest.first() {
            Some(byte) if nginx && !byte.is_ascii_graphic() => Parsed::Reject(Reject::Malformed, None),
            _ => Parsed::Partial,
        };
    };
    let raw_line = rest.get(..line_end).unwrap_or_default();
    let line = raw_line.strip_suffix(b"\r").unwrap_or(raw_line);
    if line.len() > line_max {
        return Parsed::Reject(Reject::UriTooLong, None);
    }
    let bare_lf = line.len() == raw_line.len();
    let mut head = match request_line(line, server) {
        Ok(head) => head,
        Err((reject, head)) => return Parsed::Reject(reject, head.map(Box::new)),
    };
    if bare_lf && !nginx && !server.lenient {
        return Parsed::Reject(Reject::Malformed, Some(Box::new(head)));
    }
    if head.version == Version::V09 {
        return Parsed::Head(Box::new(head), skipped + line_end + 1);
    }
    let block = rest.get(line_end + 1..).unwrap_or_default();
    let Some(block_len) = head_end(block) else {
        let longest = block.split(|b| *b == b'\n').map(<[u8]>::len).max().unwrap_or(0);
        return if longest > line_max || block.len() > head_max {
            Parsed::Reject(Reject::FieldTooLarge, Some(Box::new(head)))
        } else {
            Parsed::Partial
        };
    };
    match header_lines(block.get(..block_len).unwrap_or_default(), server, line_max, head_max) {
        Ok(headers) => head.headers = headers,
        Err(reject) => return Parsed::Reject(reject, Some(Box::new(head))),
    }
    match check(&head, server) {
        Some(reject) => Parsed::Reject(reject, Some(Box::new(head))),
        None => Parsed::Head(Box::new(head), skipped + line_end + 1 + block_len),
    }
}

/// Length of the header block with its closing empty line.
fn head_end(block: &[u8]) -> Option<usize> {
    let mut start = 0;
    for (at, byte) in block.iter().enumerate() {
        if *byte == b'\n' {
            let line = block.get(start..at)?;
            if line.is_empty() || line == b"\r" {
                return Some(at + 1);
            }
            start = at + 1;
        }
    }
    None
}

fn request_line(line: &[u8], server: &Server) -> Result<Head, (Reject, Option<Head>)> {
    let nginx = server.family == Family::Nginx;
    let mut words = line.split(|b| *b == b' ');
    let method = words.next().unwrap_or_default();
    // nginx skips any number of spaces between the words and after the last.
    let words: Vec<&[u8]> = words.filter(|word| !nginx || !word.is_empty()).collect();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let head = |target: &[u8], version, version_text: String| Head {
        method: text(method),
        target: target.to_vec(),
        version,
        version_text,
        headers: Vec::new(),
    };
    let evidence =
        |target: Option<&&[u8]>| Some(head(target.copied().unwrap_or_default(), Version::V10, String::new()));
    let method_ok = !method.is_empty()
        && method
            .iter()
            .all(|b| if nginx { b.is_ascii_uppercase() || *b == b'_' || *b == b'-' } else { is_token(*b) });
    let target = words.first();
    let Some(target_bytes) = target.filter(|_| method_ok) else {
        return Err((Reject::Malformed, evidence(target)));
    };
    let clean = target_bytes.iter().all(|b| *b > 0x20 && *b != 0x7f);
    // Apache wants an absolute path or form; `#` may not appear. nginx cuts at it.
    let form_ok = if nginx {
        target_bytes.starts_with(b"/")
            || target_bytes.starts_with(b"http://")
            || target_bytes.starts_with(b"https://")
    } else {
        let has_form = target_bytes.starts_with(b"/")
            || target_bytes.windows(3).any(|w| w == b"://")
            || (*target_bytes == b"*" && (server.lenient || method == b"OPTIONS"))
            || method == b"CONNECT";
        has_form && (server.lenient || !target_bytes.contains(&b'#'))
    };
    if !clean {
        return Err((Reject::Malformed, evidence(target)));
    }
    match words.as_slice() {
        [_] if form_ok && method == b"GET" => Ok(head(target_bytes, Version::V09, String::new())),
        [_, version] => match version_of(version, server) {
            Ok(parsed) if form_ok => Ok(head(target_bytes, parsed, text(version))),
            Ok(_) => Err((Reject::Malformed, evidence(target))),
            // Nobody asks which version it was if the target makes no sense.
            Err(_) if !form_ok => Err((Reject::Malformed, evidence(target))),
            Err(reject) => Err((reject, Some(head(target_bytes, Version::V11, text(version))))),
        },
        _ => Err((Reject::Malformed, evidence(target))),
    }
}

fn version_of(version: &[u8], server: &Server) -> Result<Version, Reject> {
    let digits = version.strip_prefix(b"HTTP/").ok_or(Reject::Malformed)?;
    if server.family == Family::Nginx {
        return nginx_version(digits);
    }
    match digits {
        [b'1', b'.', b'0'] => Ok(Version::V10),
        // Apache reads any higher version as the one it speaks.
        [b'1', b'.', b'1'..=b'9'] | [b'2'..=b'9', b'.', b'0'..=b'9'] => Ok(Version::V11),
        _ => Err(Reject::Malformed),
    }
}

/// nginx reads numbers of several digits, and refuses a major version as soon as it is above 1.
fn nginx_version(digits: &[u8]) -> Result<Version, Reject> {
    match digits {
        [b'1', b'.', minor @ ..] => match std::str::from_utf8(minor).ok().filter(|text| text.len() <= 3) {
            Some(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
                Ok(if text.bytes().all(|b| b == b'0') { Version::V10 } else { Version::V11 })
            }
            _ => Err(Reject::Malformed),
        },
        [b'2'..=b'9', ..] | [b'1', b'0'..=b'9', ..] => Err(Reject::Version),
        _ => Err(Reject::Malformed),
    }
}

fn header_lines(
    block: &[u8],
    server: &Server,
    line_max: usize,
    head_max: usize,
) -> Result<Vec<(String, Vec<u8>)>, Reject> {
    let nginx = server.family == Family::Nginx;
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for raw in block.split(|b| *b == b'\n') {
        let line = raw.strip_suffix(b"\r").unwrap_or(raw);
        if line.is_empty() {
            continue;
        }
        if line.len() > line_max || block.len() > head_max {
            return Err(Reject::FieldTooLarge);
        }
        if line.contains(&0) {
            return Err(Reject::Malformed);
        }
        if matches!(line.first(), Some(b' ' | b'\t')) {
            // A folded line: Apache joins it to the one before, nginx refuses.
            match lines.last_mut().filter(|_| !nginx) {
                Some(last) => {
                    last.push(b' ');
                    last.extend_from_slice(line.trim_ascii_start());
                    continue;
                }
                None => return Err(Reject::Malformed),
            }
        }
        match line.iter().position(|b| *b == b':') {
            Some(colon)
                if line
                    .get(..colon)
                    .is_some_and(|name| !name.is_empty() && name.iter().all(|b| is_token(*b))) => {}
            // nginx drops a line that is no header, unless it has spaces or controls in its name.
            None if nginx && !line.iter().any(|b| *b <= 0x20) => continue,
            Some(colon)
                if nginx
                    && colon > 0
                    && line.get(..colon).is_some_and(|name| !name.iter().any(|b| *b <= 0x20)) =>
            {
                continue;
            }
            _ => return Err(Reject::Malformed),
        }
        lines.push(line.to_vec());
        if (!nginx && lines.len() > 100) || lines.len() > HEADERS_MAX {
            return Err(Reject::TooManyFields);
        }
    }
    if nginx {
        return nginx_headers(&lines);
    }
    let mut canonical = lines.join(&b"\r\n"[..]);
    canonical.extend_from_slice(if lines.is_empty() { b"\r\n" } else { b"\r\n\r\n" });
    let mut parsed = vec![httparse::EMPTY_HEADER; lines.len()];
    match httparse::parse_headers(&canonical, &mut parsed) {
        Ok(httparse::Status::Complete((_, headers))) => {
            Ok(headers.iter().map(|header| (header.name.to_owned(), header.value.to_vec())).collect())
        }
        _ => Err(Reject::Malformed),
    }
}

/// nginx takes any byte in a value but the ends of lines.
fn nginx_headers(lines: &[Vec<u8>]) -> Result<Vec<(String, Vec<u8>)>, Reject> {
    lines
        .iter()
        .map(|line| {
            let colon = line.iter().position(|b| *b == b':').ok_or(Reject::Malformed)?;
            let (name, value) = line.split_at(colon);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            if value.contains(&b'\r') {
                return Err(Reject::Malformed);
            }
            Ok((String::from_utf8_lossy(name).into_owned(), value.to_vec()))
        })
        .collect()
}

/// Rules on the head as a whole.
fn check(head: &Head, server: &Server) -> Option<Reject> {
    let nginx = server.family == Family::Nginx;
    if head.count("host") > 1 || (head.version == Version::V11 && head.count("host") == 0) {
        return Some(Reject::Malformed);
    }
    let host_ok = head.get("host").is_none_or(|host| {
        (server.lenient || !host.is_empty())
            && host.iter().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b'\\'))
            && (nginx || server.lenient || port_ok(host))
            && (nginx || host.iter().all(|b| b.is_ascii_alphanumeric() || b".-_:[]~".contains(b)))
    });
    let length_ok = head
        .get("content-length")
        .is_none_or(|value| !value.is_empty() && value.len() <= 18 && value.iter().all(u8::is_ascii_digit));
    if !host_ok || !length_ok || head.count("content-length") > 1 {
        return Some(Reject::Malformed);
    }
    let coding = head.get("transfer-encoding")?;
    if nginx && server.strict && head.version < Version::V11 {
        return Some(Reject::Malformed);
    }
    let last =
        if nginx { Some(coding) } else { coding.split(|b| *b == b',').next_back().map(<[u8]>::trim_ascii) };
    if !last.is_some_and(|last| last.eq_ignore_ascii_case(b"chunked")) {
        return Some(if nginx { Reject::TransferCoding } else { Reject::Malformed });
    }
    (nginx && head.get("content-length").is_some()).then_some(Reject::Malformed)
}

/// Whether a port in `Host:`, if there is one, is a port.
fn port_ok(host: &[u8]) -> bool {
    let Some(colon) = host.iter().rposition(|b| *b == b':') else { return true };
    let digits = host.get(colon + 1..).unwrap_or_default();
    digits.contains(&b']')
        || digits.is_empty()
        || std::str::from_utf8(digits).is_ok_and(|text| text.parse::<u16>().is_ok_and(|port| port > 0))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
