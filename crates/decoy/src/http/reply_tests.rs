//! Answers against what nginx 1.22.1 and Apache 2.4.71 of Debian 12 sent for the same file.

use chrono::TimeZone;
use decnet_core::FleetSecret;

use super::*;
use crate::http::head::{Parsed, parse};

const BODY: &[u8] =
    b"<!doctype html><html><head><title>x</title></head><body>hello world hello world</body></html>\n";

fn answer(token: &str, request: &str) -> String {
    let server = Server::choose(&FleetSecret::from_number(1).seed(), "debian", "web.test.lan", Some(token));
    let Parsed::Head(head, _) = parse(request.as_bytes(), &server) else { panic!("{request}") };
    // The microseconds are those in Apache's tag.
    let modified = DateTime::from_timestamp_micros(0x0006_610e_08aa_d63f).unwrap();
    let file = Reply::file("text/html", BODY.to_vec(), modified);
    let about = About { port: 18081, host: Some(("x".to_owned(), 18081)), ..About::default() };
    let reply = conditional(file, &head, &server, &about, modified);
    let wire = Wire {
        version: head.version,
        head_only: head.method == "HEAD",
        asked_keep_alive: head.has_token("connection", "keep-alive"),
        left: 99,
        now: Utc.with_ymd_and_hms(2026, 11, 24, 23, 26, 51).unwrap(),
    };
    String::from_utf8(encode(&reply, &wire, &server, &[])).unwrap()
}

#[test]
fn a_plain_get_has_the_real_servers_headers() {
    let body = std::str::from_utf8(BODY).unwrap();
    assert_eq!(
        answer("nginx/1.22.1", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!(
            "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 24 Nov 2026 23:26:51 GMT\r\nContent-Type: text/html\r\nContent-Length: 94\r\nLast-Modified: Tue, 24 Nov 2026 23:26:03 GMT\r\nConnection: keep-alive\r\nETag: \"6b061d0b-5e\"\r\nAccept-Ranges: bytes\r\n\r\n{body}"
        )
    );
    assert_eq!(
        answer("Apache/2.4.71 (Debian)", "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"),
        format!(
            "HTTP/1.1 200 OK\r\nDate: Tue, 24 Nov 2026 23:26:51 GMT\r\nServer: Apache/2.4.71 (Debian)\r\nLast-Modified: Tue, 24 Nov 2026 23:26:03 GMT\r\nETag: \"5e-6610e08aad63f\"\r\nAccept-Ranges: bytes\r\nContent-Length: 94\r\nVary: Accept-Encoding\r\nKeep-Alive: timeout=5, max=100\r\nConnection: Keep-Alive\r\nContent-Type: text/html\r\n\r\n{body}"
        )
    );
}

#[test]
fn not_modified_ranges_and_head() {
    let tag = answer("nginx/1.22.1", "GET / HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"6b061d0b-5e\"\r\n\r\n");
    assert_eq!(
        tag,
        "HTTP/1.1 304 Not Modified\r\nServer: nginx/1.22.1\r\nDate: Tue, 24 Nov 2026 23:26:51 GMT\r\nLast-Modified: Tue, 24 Nov 2026 23:26:03 GMT\r\nConnection: keep-alive\r\nETag: \"6b061d0b-5e\"\r\n\r\n"
    );
    let since = answer(
        "Apache/2.4.71 (Debian)",
        "GET / HTTP/1.1\r\nHost: x\r\nIf-Modified-Since: Tue, 24 Nov 2026 23:26:03 GMT\r\n\r\n",
    );
    assert_eq!(
        since,
        "HTTP/1.1 304 Not Modified\r\nDate: Tue, 24 Nov 2026 23:26:51 GMT\r\nServer: Apache/2.4.71 (Debian)\r\nLast-Modified: Tue, 24 Nov 2026 23:26:03 GMT\r\nETag: \"5e-6610e08aad63f\"\r\nAccept-Ranges: bytes\r\n\r\n"
    );
    let part = answer("nginx/1.22.1", "GET / HTTP/1.1\r\nHost: x\r\nRange: bytes=0-9\r\n\r\n");
    assert!(part.starts_with("HTTP/1.1 206 Partial Content\r\n"), "{part}");
    assert!(
        part.ends_with("ETag: \"6b061d0b-5e\"\r\nContent-Range: bytes 0-9/94\r\n\r\n<!doctype "),
        "{part}"
    );
    let parts = answer("nginx/1.22.1", "GET / HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1,4-5\r\n\r\n");
    assert!(parts.contains("Content-Length: 196\r\n"), "{parts}");
    let beyond = answer("nginx/1.22.1", "GET / HTTP/1.1\r\nHost: x\r\nRange: bytes=5000-\r\n\r\n");
    assert!(
        beyond.contains("416 Requested Range Not Satisfiable\r\n")
            && beyond.contains("Connection: keep-alive\r\nContent-Range: bytes */94\r\n"),
        "{beyond}"
    );
    let odd = answer("Apache/2.4.71 (Debian)", "GET / HTTP/1.1\r\nHost: x\r\nRange: bytes=abc\r\n\r\n");
    assert!(odd.starts_with("HTTP/1.1 200 OK"), "{odd}");
    let head = answer("nginx/1.22.1", "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(head.contains("Content-Length: 94\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    let old = answer("Apache/2.4.71 (Debian)", "GET /\r\n");
    assert!(old.starts_with("<!doctype"), "{old}");
}
