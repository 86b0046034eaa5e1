//! What nginx 1.22.1 and Apache 2.4.71 did with the same bytes, and that no bytes break the reader.

use decnet_core::FleetSecret;
use proptest::prelude::*;

use super::*;

fn server(token: &str) -> Server {
    Server::choose(&FleetSecret::from_number(1).seed(), "debian", "h", Some(token))
}

fn verdict(server: &Server, input: &str) -> Option<Reject> {
    match parse(input.as_bytes(), server) {
        Parsed::Head(..) => None,
        Parsed::Reject(reject, _) => Some(reject),
        Parsed::Partial => panic!("partial: {input:?}"),
    }
}

#[test]
fn the_two_servers_refuse_what_they_really_refuse() {
    use Reject::{FieldTooLarge, Malformed, TooManyFields, TransferCoding, UriTooLong, Version};
    let nginx = server("nginx/1.22.1");
    let apache = server("Apache/2.4.71 (Debian)");
    let long = "a".repeat(9000);
    let many = (0..150).map(|i| format!("X{i}: y\r\n")).collect::<Vec<_>>().concat();
    // Input, nginx, Apache: copied from runs of both on 127.0.0.1.
    let cases: &[(String, Option<Reject>, Option<Reject>)] = &[
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n".into(), None, None),
        ("GET / HTTP/1.1\r\n\r\n".into(), Some(Malformed), Some(Malformed)),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".into(), Some(Malformed), Some(Malformed)),
        ("GET / HTTP/1.1\r\nHost: <b>\r\n\r\n".into(), None, Some(Malformed)),
        ("GET / HTTP/2.0\r\nHost: x\r\n\r\n".into(), Some(Version), None),
        ("GET / HTTP/1.2\r\nHost: x\r\n\r\n".into(), None, None),
        ("GET / HTTX/1.1\r\nHost: x\r\n\r\n".into(), Some(Malformed), Some(Malformed)),
        ("get / HTTP/1.1\r\nHost: x\r\n\r\n".into(), Some(Malformed), None),
        ("G@T / HTTP/1.1\r\nHost: x\r\n\r\n".into(), Some(Malformed), Some(Malformed)),
        ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n".into(), Some(Malformed), None),
        ("CONNECT a.b:443 HTTP/1.1\r\nHost: x\r\n\r\n".into(), Some(Malformed), None),
        (format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"), Some(UriTooLong), Some(UriTooLong)),
        (format!("GET / HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"), Some(FieldTooLarge), Some(FieldTooLarge)),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n"), None, Some(TooManyFields)),
        ("GET / HTTP/1.1\r\nHost: x\r\nFoo : bar\r\n\r\n".into(), Some(Malformed), Some(Malformed)),
        ("GET / HTTP/1.1\r\nHost: x\r\nFoobar\r\n\r\n".into(), None, Some(Malformed)),
        ("GET / HTTP/1.1\r\nHost: x\r\nFoo: bar\r\n baz\r\n\r\n".into(), Some(Malformed), None),
        ("GET / HTTP/1.1\nHost: x\n\n".into(), None, Some(Malformed)),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n".into(), None, None),
        ("GET / HTTP/1.1\r\nHost: x\r\nFoo: b\0r\r\n\r\n".into(), Some(Malformed), Some(Malformed)),
        ("GET style.css HTTP/1.1\r\nHost: x\r\n\r\n".into(), Some(Malformed), Some(Malformed)),
        ("GET /a b HTTP/1.1\r\nHost: x\r\n\r\n".into(), Some(Malformed), Some(Malformed)),
        ("GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n".into(), None, Some(Malformed)),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: foo\r\n\r\n".into(),
            Some(TransferCoding),
            Some(Malformed),
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n".into(),
            Some(Malformed),
            None,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n".into(),
            Some(Malformed),
            Some(Malformed),
        ),
        ("hello\r\n\r\n".into(), Some(Malformed), Some(Malformed)),
        ("GET /\r\n".into(), None, None),
        ("GET / HTTP/3\r\nHost: x\r\n\r\n".into(), Some(Version), Some(Malformed)),
        ("GET / HTTP/1.10\r\nHost: x\r\n\r\n".into(), None, Some(Malformed)),
        ("GET  /  HTTP/1.1 \r\nHost: x\r\n\r\n".into(), None, Some(Malformed)),
        ("GET / HTTP/1.1\r\nHost: \r\n\r\n".into(), Some(Malformed), Some(Malformed)),
        ("GET / HTTP/1.1\r\nHost: x:99999\r\n\r\n".into(), None, Some(Malformed)),
        ("GET / HTTP/1.1\r\nHost: x\r\nX: a\u{1b}[31m\r\n\r\n".into(), None, Some(Malformed)),
        ("GET / HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n".into(), Some(Malformed), Some(Malformed)),
        ("GET * HTTP/1.1\r\nHost: x\r\n\r\n".into(), Some(Malformed), Some(Malformed)),
        ("\nGET / HTTP/1.1\r\nHost: x\r\n\r\n".into(), None, Some(Malformed)),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), Some(Malformed), None),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n".into(),
            Some(TransferCoding),
            None,
        ),
    ];
    for (input, of_nginx, of_apache) in cases {
        assert_eq!(verdict(&nginx, input), *of_nginx, "nginx {input:?}");
        assert_eq!(verdict(&apache, input), *of_apache, "apache {input:?}");
    }
    // Another protocol's hello: nginx refuses the first byte, Apache waits for a line.
    assert_eq!(verdict(&nginx, "\u{16}\u{3}\u{1}"), Some(Malformed));
    assert_eq!(parse(b"\x16\x03\x01", &apache), Parsed::Partial);
}

#[test]
fn order_and_case_of_headers_are_kept() {
    let Parsed::Head(head, used) =
        parse(b"GET /a?b HTTP/1.1\r\nhOST: x\r\nX-b:  1 \r\naccept: */*\r\n\r\nrest", &server("nginx"))
    else {
        panic!("no head")
    };
    let names: Vec<&str> = head.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["hOST", "X-b", "accept"]);
    assert_eq!(head.get("x-B"), Some(&b"1"[..]));
    assert_eq!(used, 53);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic_and_within_bounds(input in proptest::collection::vec(any::<u8>(), 0..2000)) {
        for token in ["nginx/1.22.1", "Apache/2.4.71 (Debian)"] {
            if let Parsed::Head(_, used) = parse(&input, &server(token)) {
                prop_assert!(used <= input.len());
            }
        }
    }

    #[test]
    fn a_head_split_anywhere_is_partial_then_the_same(cut in 1usize..60) {
        let whole = b"POST /login.php HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\nX: y\r\n\r\n";
        let server = server("Apache/2.4.62 (Debian)");
        prop_assert_eq!(parse(whole.get(..cut).unwrap_or_default(), &server), Parsed::Partial);
        prop_assert!(matches!(parse(whole, &server), Parsed::Head(_, used) if used == whole.len()));
    }
}
