//! Compression as the packages configure it: Debian and its children switch it on, the others do not.
//!
//! nginx compresses only `text/html` (its own error pages too) for HTTP/1.1, Apache the text types but never its
//! error pages. The bytes come from another deflate implementation than zlib; the headers are theirs.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::{
    head::{Head, Version},
    reply::Reply,
    server::{Family, Server},
};

/// nginx: `gzip_min_length`.
const NGINX_MIN: usize = 20;
/// Apache leaves alone what is smaller (seen: 60 bytes are not compressed, 70 are).
pub const APACHE_MIN: usize = 64;

/// Whether Apache's filter applies to a body of this type and size.
pub fn apache_filters(server: &Server, reply: &Reply) -> bool {
    const TYPES: [&str; 7] = [
        "text/html",
        "text/plain",
        "text/css",
        "text/javascript",
        "text/xml",
        "application/xml",
        "multipart/byteranges",
    ];
    let named = |content_type: &str| TYPES.iter().any(|name| content_type.starts_with(name));
    server.compresses
        && (reply.modified.is_some() || reply.scripted)
        && reply.content_type.as_deref().is_some_and(named)
        && (reply.file_length >= APACHE_MIN
            || (reply.body.len() >= APACHE_MIN && reply.status == 200)
            || !server.recent)
}

/// Compresses the body if the client takes gzip and the server would.
pub fn compress(reply: &mut Reply, head: &Head, server: &Server) {
    let takes = head.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("accept-encoding")).any(
        |(_, value)| {
            value.split(|b| *b == b',').any(|one| {
                let mut parts = one.split(|b| *b == b';').map(<[u8]>::trim_ascii);
                parts.next().is_some_and(|name| name.eq_ignore_ascii_case(b"gzip"))
                    && !parts.any(|weight| weight == b"q=0" || weight == b"q=0.0")
            })
        },
    );
    let applies = match server.family {
        Family::Nginx => {
            server.compresses
                && head.version == Version::V11
                && matches!(reply.status, 200 | 403 | 404)
                && reply.body.len() >= NGINX_MIN
                && reply.content_type.as_deref().is_some_and(|text| text.starts_with("text/html"))
        }
        Family::Apache => reply.status == 200 && apache_filters(server, reply),
    };
    if !takes || !applies || reply.body.is_empty() {
        return;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    if encoder.write_all(&reply.body).is_ok()
        && let Ok(packed) = encoder.finish()
    {
        reply.body = packed;
        reply.gzip = true;
    }
}
