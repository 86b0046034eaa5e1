//! Without a broker, and without a database.

use std::time::Duration;

use decnet_db::{Db, DbOptions};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::world::{ADMIN, Options, VIEWER, World, eventually, serve, url_of};

#[tokio::test]
async fn without_a_broker_everything_but_orders_works() {
    let world = World::new().await;
    let (admin, viewer) = (world.login(ADMIN).await, world.login(VIEWER).await);
    let panel = world.get_json("/api/v1/workers", &viewer).await;
    assert_eq!(panel["bus_connected"], false);
    assert_eq!(panel["workers"][1]["status"], "unknown");
    for path in
        ["stats", "logs", "attackers", "credentials", "sessions", "deckies", "logs/histogram", "config"]
    {
        world.get_json(&format!("/api/v1/{path}"), &viewer).await;
    }
    let stop = world.request(Method::POST, "/api/v1/workers/agent/stop", Some(&admin)).send().await.unwrap();
    assert_eq!(stop.status(), 503);
    let body = json!({"ini_content": "[web-01]\nservices=ssh\n"});
    let deploy = world.post("/api/v1/deckies/deploy", &admin, body).await;
    assert_eq!(deploy.status(), 503);
    let ready = world.client.get(world.url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 200);
    assert_eq!(ready.json::<Value>().await.unwrap()["nats"], false);
}

#[tokio::test]
async fn without_a_database_it_comes_up_says_so_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("not-yet");
    let url = url_of(&folder);
    let options = Options { seed: true, admin_password: Some("first password!"), ..Options::default() };
    let (base, _, stop) = serve(dir.path(), &url, None, &options).await;
    let client = Client::new();
    let get = |path: &str| client.get(format!("{base}{path}")).send();
    assert_eq!(get("/healthz").await.unwrap().status(), 200);
    let ready = get("/readyz").await.unwrap();
    assert_eq!(ready.status(), 503);
    assert_eq!(ready.json::<Value>().await.unwrap()["database"], false);
    assert_eq!(get("/openapi.json").await.unwrap().status(), 200);
    assert_eq!(get("/api/v1/stats").await.unwrap().status(), 401, "no token needs no database");
    let body = json!({"username": "admin", "password": "first password!"});
    let login = || client.post(format!("{base}/api/v1/auth/login")).json(&body).send();
    let refused = login().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    assert!(refused.headers().contains_key("retry-after"));

    std::fs::create_dir(&folder).unwrap();
    // An empty database is of no use either.
    let db = Db::connect(&url, DbOptions::default()).await.unwrap();
    assert_eq!(login().await.unwrap().status(), 503);
    eventually("the schema is told", Duration::from_secs(5), || async {
        (get("/readyz").await.unwrap().json::<Value>().await.unwrap()["schema"] == false).then_some(())
    })
    .await;
    db.migrate().await.unwrap();
    eventually("the API recovers", Duration::from_secs(15), || async {
        (login().await.unwrap().status() == 200).then_some(())
    })
    .await;
    eventually("and is ready", Duration::from_secs(5), || async {
        (get("/readyz").await.unwrap().status() == 200).then_some(())
    })
    .await;
    stop.cancel();
}

#[tokio::test]
async fn a_failure_inside_has_an_id_and_tells_nothing() {
    let world = World::new().await;
    let viewer = world.login(VIEWER).await;
    // The table vanishes under a running API: everything down to the step that made it (m0005).
    world.db.rollback(Some(4)).await.unwrap();
    let response = world.get("/api/v1/orchestrator/events", &viewer).await;
    assert_eq!(response.status(), 500);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: Value = response.json().await.unwrap();
    assert!(problem["error_id"].as_str().unwrap().parse::<uuid::Uuid>().is_ok());
    assert!(!problem.to_string().contains("orchestrator_events"), "{problem}");
}
