//! Each way a credential can travel, precedence, and that no bytes break the readers.

use proptest::prelude::*;

use super::*;

fn plain(captured: Option<Captured>) -> (Option<String>, Vec<u8>, &'static str) {
    let captured = captured.expect("a credential");
    (captured.secret.principal, captured.secret.bytes, captured.method)
}

fn want(name: &str, secret: &str, method: &'static str) -> (Option<String>, Vec<u8>, &'static str) {
    (Some(name.to_owned()), secret.as_bytes().to_vec(), method)
}

#[test]
fn authorization_schemes() {
    assert_eq!(plain(of_authorization(b"Basic YWRtaW46czNjOnJldA==")), want("admin", "s3c:ret", "basic"));
    assert_eq!(plain(of_authorization(b"Bearer abc.def")), (None, b"abc.def".to_vec(), "bearer"));
    let digest = of_authorization(
        b"Digest username=\"Mufasa\", realm=\"a, \\\"b\\\"\", nonce=\"dcd9\", uri=\"/x\", qop=auth, nc=00000001, cnonce=\"0a\", response=\"6629\"",
    )
    .expect("digest");
    assert_eq!(digest.secret.kind, SecretKind::HttpDigestMd5);
    assert_eq!(
        (digest.secret.principal.as_deref(), digest.secret.bytes.as_slice()),
        (Some("Mufasa"), &b"6629"[..])
    );
    assert!(digest.extra.contains(&("digest_realm", "a, \"b\"".to_owned())));
    assert!(digest.extra.contains(&("challenge_hex", hex::encode("dcd9"))));
    for nothing in [&b"Basic ???"[..], b"Basic", b"Hawk id=1", b"Basic YWJj", b"Bearer ", b"\xff\xfe x"] {
        assert_eq!(of_authorization(nothing), None);
    }
}

#[test]
fn ntlm_type_3_keeps_response_and_owner() {
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let (domain, user, nt) = (wide("CORP"), wide("anna"), [7u8; 24]);
    let mut msg = b"NTLMSSP\0\x03\0\0\0".to_vec();
    let mut payload: Vec<u8> = Vec::new();
    for value in [&[][..], &nt[..], &domain, &user, &[][..], &[][..]] {
        let length = u16::try_from(value.len()).unwrap().to_le_bytes();
        msg.extend_from_slice(&length);
        msg.extend_from_slice(&length);
        msg.extend_from_slice(&u32::try_from(64 + payload.len()).unwrap().to_le_bytes());
        payload.extend_from_slice(value);
    }
    msg.extend_from_slice(&1u32.to_le_bytes());
    msg.extend_from_slice(&payload);
    let header = format!("NTLM {}", STANDARD.encode(&msg));
    let captured = of_authorization(header.as_bytes()).expect("type 3");
    assert_eq!(captured.secret.principal.as_deref(), Some("CORP\\anna"));
    assert_eq!((captured.secret.kind, captured.secret.bytes.len()), (SecretKind::NtlmsspV1, 24));
}

#[test]
fn bodies_and_queries() {
    let form = Some("application/x-www-form-urlencoded; charset=utf-8");
    assert_eq!(plain(of_body(form, b"log=bob&pwd=a%26b+c&pwd=no&email=e%40x")), want("e@x", "a&b c", "form"));
    assert_eq!(
        plain(of_body(Some("application/json"), br#"{"user":{"login":"x","password":"p]\n"}}"#)),
        want("x", "p]\n", "json")
    );
    let body = b"--BB\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nann\r\n--BB\r\nContent-Disposition: form-data; name=\"pass\"\r\n\r\nx;y\r\n--BB--\r\n";
    assert_eq!(
        plain(of_body(Some("multipart/form-data; boundary=BB"), body)),
        want("ann", "x;y", "multipart")
    );
    assert_eq!(plain(of_query("a=1&username=u&password=p")), want("u", "p", "query"));
    assert_eq!(plain(of_body(None, b"pass=x")), (None, b"x".to_vec(), "form"));
    assert_eq!(of_body(form, b"user=only"), None);
    assert_eq!(of_body(Some("image/png"), b"user=a&password=b"), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(input in proptest::collection::vec(any::<u8>(), 0..400), kind in 0usize..5) {
        let types = ["application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=\"a\"", "", "multipart/form-data; boundary="];
        let _ = of_body(types.get(kind).copied(), &input);
        let _ = of_authorization(&input);
        let _ = ntlm(&input);
        let _ = ntlm(&[b"NTLMSSP\0\x03\0\0\0", &input[..]].concat());
        let digest = [b"Digest ", &input[..]].concat();
        let _ = of_authorization(&digest);
    }
}
