//! Captured files and recorded terminals: what is there is served as it is, and nothing leads out of the folder.

use std::{fs, io::Write, os::unix::fs::symlink, path::PathBuf};

use serde_json::json;

use crate::world::{ADMIN, World};

const STORED: &str = "2026-01-01T00-00-59Z_0123456789ab_evil.sh";

fn folder(world: &World, below: &str) -> PathBuf {
    let folder = world.dir.path().join("artifacts").join(below);
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test]
async fn a_captured_file_is_served_byte_for_byte_and_never_shown() {
    let world = World::new().await;
    let admin = world.login(ADMIN).await;
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    fs::write(folder(&world, "web-01/ssh").join(STORED), &bytes).unwrap();
    fs::write(folder(&world, "web-01/smtp").join(STORED), b"mail").unwrap();
    let path = format!("/api/v1/artifacts/web-01/{STORED}");
    let response = world.get(&path, &admin).await;
    assert_eq!(response.status(), 200);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/octet-stream");
    assert_eq!(header("content-disposition"), format!("attachment; filename=\"{STORED}\""));
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("content-length"), "300000");
    assert!(response.bytes().await.unwrap() == bytes);
    let mail = world.get(&format!("{path}?service=smtp"), &admin).await;
    assert_eq!(mail.text().await.unwrap(), "mail");
    for (path, status) in [
        (format!("{path}?service=ftp"), 400),
        (format!("{path}?other=1"), 400),
        (path.replace("evil", "good"), 404),
        (path.replace("web-01", "web-02"), 404),
        (path.replace("evil.sh", &"x".repeat(250)), 404),
        (path.replace("evil.sh", &"x".repeat(256)), 400),
    ] {
        assert_eq!(world.get(&path, &admin).await.status(), status, "{path}");
    }
}

#[tokio::test]
async fn nothing_leads_out_of_the_folder_of_evidence() {
    let world = World::new().await;
    let admin = world.login(ADMIN).await;
    let shells = folder(&world, "web-01/ssh");
    let secret = world.dir.path().join("secret");
    fs::write(&secret, "of the fleet").unwrap();
    fs::create_dir_all(world.dir.path().join("ssh")).unwrap();
    fs::write(world.dir.path().join("ssh").join(STORED), "of the fleet").unwrap();
    // Links, a folder and a pipe where a file should be.
    symlink(&secret, shells.join(STORED)).unwrap();
    let named = |n: u8| format!("2026-01-01T00-00-5{n}Z_0123456789ab_evil.sh");
    fs::create_dir(shells.join(named(1))).unwrap();
    let made = std::process::Command::new("mkfifo").arg(shells.join(named(2))).status().unwrap();
    assert!(made.success());
    symlink(world.dir.path(), world.dir.path().join("artifacts/linked")).unwrap();
    symlink(&secret, folder(&world, "web-01/transcripts").join("sessions-2026-01-01.jsonl")).unwrap();
    let mut wanted = vec![
        format!("artifacts/web-01/{STORED}"),
        format!("artifacts/web-01/{}", named(1)),
        format!("artifacts/web-01/{}", named(2)),
        format!("artifacts/linked/{STORED}"),
        "transcripts/web-01/s-1".to_owned(),
        "transcripts/linked/s-1".to_owned(),
    ];
    for way in [
        "..",
        "../..",
        "%2e%2e",
        "%2e%2e%2f%2e%2e",
        "..%2f..%2fsecret",
        "%252e%252e%252fsecret",
        "....//....//secret",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "..%5c..%5csecret",
        "secret%00",
        "%00",
        ".",
        "%c0%ae%c0%ae%c0%af",
        "web-01%0a",
        "WEB-01",
        "-web",
    ] {
        for end in [STORED, way] {
            wanted.push(format!("artifacts/{way}/{end}"));
            wanted.push(format!("artifacts/web-01/{way}{end}"));
            wanted.push(format!("artifacts/web-01/{end}%2f{way}"));
        }
        wanted.push(format!("transcripts/{way}/s-1"));
        wanted.push(format!("transcripts/web-01/{way}"));
        wanted.push(format!("transcripts/web-01/..{way}"));
    }
    let port = world.base.rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    for path in wanted {
        // By hand: an HTTP client would tidy the path first.
        let answer = raw(port, &format!("/api/v1/{path}"), &admin).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(matches!(status, "400" | "404"), "{path}: {answer}");
        assert!(!answer.contains("of the fleet") && !answer.contains("root:"), "{path}: {answer}");
    }
}

async fn raw(port: u16, path: &str, token: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn event(sid: &str, t: f64, data: &str) -> String {
    json!({"sid": sid, "t": t, "ch": "o", "d": data}).to_string() + "\n"
}

fn header(sid: &str) -> String {
    json!({"sid": sid, "hdr": {"version": 2, "width": 80, "height": 24, "timestamp": 1, "env": {"TERM": "xterm"}}})
        .to_string()
        + "\n"
}

#[tokio::test]
async fn a_terminal_is_served_in_pages_while_it_is_being_recorded() {
    let world = World::new().await;
    let admin = world.login(ADMIN).await;
    let path = folder(&world, "web-01/transcripts").join("sessions-2026-01-01.jsonl");
    let mut file = fs::File::create(&path).unwrap();
    // Two sessions at once, with lines between them that are none.
    file.write_all((header("s-1") + &header("s-2")).as_bytes()).unwrap();
    for n in 0..700_u32 {
        let lines = event("s-1", f64::from(n), &format!("one {n}\u{1b}[31m")) + &event("s-2", 0.5, "two");
        file.write_all(lines.as_bytes()).unwrap();
        file.write_all(b"not json\n{\"sid\":\"s-1\",\"t\":1,\"ch\":\"x\",\"d\":\"\"}\n\xff\xfe\n").unwrap();
    }
    file.write_all(&vec![b'a'; 200_000]).unwrap();
    file.write_all(b"\n{\"sid\":\"s-1\",\"t\":700,\"ch\":\"o\",\"d\":\"to").unwrap();
    let url = |query: &str| format!("/api/v1/transcripts/web-01/s-1{query}");
    let page = world.get_json(&url(""), &admin).await;
    assert_eq!(
        (&page["total"], &page["limit"], &page["offset"], &page["has_more"], &page["truncated"]),
        (&json!(700), &json!(500), &json!(0), &json!(true), &json!(false))
    );
    assert_eq!(
        (&page["sid"], &page["service"], &page["header"]["width"]),
        (&json!("s-1"), &json!("ssh"), &json!(80))
    );
    assert_eq!(page["events"][499], json!([499.0, "o", "one 499\u{1b}[31m"]));
    for (offset, limit, first, count, more) in [
        (0, 1, 0, 1, true),
        (255, 3, 255, 3, true),
        (511, 5000, 511, 189, false),
        (699, 5, 699, 1, false),
        (700, 5, 0, 0, false),
        (9999, 5, 0, 0, false),
    ] {
        let page = world.get_json(&url(&format!("?offset={offset}&limit={limit}")), &admin).await;
        let events = page["events"].as_array().unwrap();
        assert_eq!((events.len(), &page["has_more"]), (count, &json!(more)), "{offset} {limit}");
        assert!(events.first().is_none_or(|event| event[0] == f64::from(first)), "{offset}: {}", events[0]);
    }
    // The torn line is finished, and the session is cut off at its limit.
    file.write_all(b"rn\"}\n{\"sid\":\"s-1\",\"trunc\":true}\n").unwrap();
    let page = world.get_json(&url("?offset=700"), &admin).await;
    assert_eq!((&page["events"], &page["truncated"]), (&json!([[700.0, "o", "torn"]]), &json!(true)));
    // It goes on past midnight.
    let next = path.with_file_name("sessions-2026-01-02.jsonl");
    fs::write(&next, event("s-1", 701.0, "after midnight") + &header("s-3")).unwrap();
    fs::write(path.with_file_name("sessions-2026-13-99.jsonl"), event("s-1", 1.0, "no day")).unwrap();
    let page = world.get_json(&url("?offset=700&limit=10"), &admin).await;
    assert_eq!((&page["total"], &page["events"][1][2]), (&json!(702), &json!("after midnight")));
    assert_eq!(page["header"]["env"]["TERM"], "xterm");
    // Rewritten from the start: the index does not hold on to what was.
    fs::write(&next, event("s-9", 0.0, "another")).unwrap();
    let page = world.get_json(&url(""), &admin).await;
    assert_eq!(page["total"], 701);
    for (query, status) in
        [("?limit=5001", 400), ("?limit=0", 400), ("?offset=-1", 400), ("?limit=null", 200)]
    {
        assert_eq!(world.get(&url(query), &admin).await.status(), status, "{query}");
    }
    assert_eq!(world.get("/api/v1/transcripts/web-01/s-8", &admin).await.status(), 404);
    assert_eq!(world.get("/api/v1/transcripts/web-02/s-1", &admin).await.status(), 404);
}

#[tokio::test]
async fn many_sessions_and_large_events_keep_the_answer_bounded() {
    let world = World::new().await;
    let admin = world.login(ADMIN).await;
    let path = folder(&world, "web-01/transcripts").join("sessions-2026-01-01.jsonl");
    let mut text = String::new();
    for n in 0..12_000 {
        text += &header(&format!("s-{n}"));
    }
    let large = "x".repeat(4000);
    for n in 0..3000_u32 {
        text += &event("s-11999", f64::from(n), &large);
    }
    fs::write(path, text).unwrap();
    let (mut offset, mut pages) = (0, 0);
    loop {
        let page = world
            .get_json(&format!("/api/v1/transcripts/web-01/s-11999?limit=5000&offset={offset}"), &admin)
            .await;
        let events = page["events"].as_array().unwrap();
        assert!(events.len() <= 2100, "{} events of 4000 bytes", events.len());
        assert!(events.iter().zip(offset..).all(|(event, n)| event[0] == f64::from(n)));
        offset += u32::try_from(events.len()).unwrap();
        pages += 1;
        if page["has_more"] == false {
            break;
        }
    }
    assert_eq!((offset, pages), (3000, 2));
}
