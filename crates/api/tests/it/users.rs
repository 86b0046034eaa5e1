//! Accounts: who may make, change and delete them, and how a bad request is told.

use decnet_db::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{ADMIN, PASSWORD, VIEWER, World};

#[tokio::test]
async fn an_account_from_its_making_to_its_end() {
    let world = World::new().await;
    let admin = world.login(ADMIN).await;
    let new = json!({"username": "carol", "password": "a first password", "role": "viewer"});
    let made = world.post("/api/v1/config/users", &admin, new.clone()).await;
    assert_eq!(made.status(), 201);
    let carol: Value = made.json().await.unwrap();
    assert_eq!(carol["must_change_password"], true);
    assert!(carol.get("password_hash").is_none());
    assert_eq!(world.post("/api/v1/config/users", &admin, new).await.status(), 409);
    let id = carol["uuid"].as_str().unwrap();

    let first = world.login_with("carol", "a first password").await;
    let body = json!({"old_password": "a first password", "new_password": "carol's own password"});
    assert_eq!(world.post("/api/v1/auth/change-password", &first, body).await.status(), 200);
    let token = world.login_with("carol", "carol's own password").await;
    assert_eq!(world.get("/api/v1/config", &token).await.status(), 200);

    // A new role ends the tokens of the old one, at once.
    let put = async |path: String, body: Value| {
        world.request(Method::PUT, &path, Some(&admin)).json(&body).send().await.unwrap().status()
    };
    let role = |id: &str| format!("/api/v1/config/users/{id}/role");
    assert_eq!(put(role(id), json!({"role": "admin"})).await, 200);
    assert_eq!(world.get("/api/v1/config", &token).await.status(), 401);
    let token = world.login_with("carol", "carol's own password").await;
    let config = world.get_json("/api/v1/config", &token).await;
    assert_eq!(config["role"], "admin");
    assert_eq!(config["users"].as_array().unwrap().len(), 3);

    let reset = |id: &str| format!("/api/v1/config/users/{id}/reset-password");
    assert_eq!(put(reset(id), json!({"new_password": "given by the admin"})).await, 200);
    assert_eq!(world.get("/api/v1/config", &token).await.status(), 401);
    let answer: Value = world.try_login("carol", "given by the admin").await.json().await.unwrap();
    assert_eq!(answer["must_change_password"], true);

    let delete = async |id: &str| {
        let path = format!("/api/v1/config/users/{id}");
        world.request(Method::DELETE, &path, Some(&admin)).send().await.unwrap().status()
    };
    assert_eq!(delete(id).await, 200);
    assert_eq!(delete(id).await, 404);
    assert_eq!(put(role(id), json!({"role": "admin"})).await, 404);
    assert_eq!(put(reset(id), json!({"new_password": "given by the admin"})).await, 404);
    assert_eq!(world.try_login("carol", "given by the admin").await.status(), 401);
    assert_eq!(delete("not-a-uuid").await, 400);
}

#[tokio::test]
async fn one_administrator_always_remains() {
    let world = World::new().await;
    let me = world.user("solo", Role::Admin, false).await;
    let token = world.login("solo").await;
    let own = world
        .request(Method::DELETE, &format!("/api/v1/config/users/{me}"), Some(&token))
        .send()
        .await
        .unwrap();
    assert_eq!(own.status(), 403);
    let role = world.request(Method::PUT, &format!("/api/v1/config/users/{me}/role"), Some(&token));
    assert_eq!(role.json(&json!({"role": "viewer"})).send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn an_administrator_sets_limits() {
    let world = World::new().await;
    let admin = world.login(ADMIN).await;
    let put = async |what: &str, body: Value| {
        let path = format!("/api/v1/config/{what}");
        world.request(Method::PUT, &path, Some(&admin)).json(&body).send().await.unwrap().status()
    };
    for (value, status) in [(0, 400), (501, 400), (1, 200), (500, 200)] {
        assert_eq!(put("deployment-limit", json!({"deployment_limit": value})).await, status, "{value}");
    }
    for (value, status) in [
        ("0m", 400),
        ("30", 400),
        ("m", 400),
        ("1h", 400),
        ("1.5d", 400),
        ("-1m", 400),
        ("2M", 200),
        ("45m", 200),
    ] {
        assert_eq!(
            put("global-mutation-interval", json!({"global_mutation_interval": value})).await,
            status,
            "{value}"
        );
    }
    let config = world.get_json("/api/v1/config", &admin).await;
    assert_eq!(
        (&config["deployment_limit"], &config["global_mutation_interval"]),
        (&json!(500), &json!("45m"))
    );
}

#[tokio::test]
async fn a_viewer_sees_no_accounts() {
    let world = World::new().await;
    let config = world.get_json("/api/v1/config", &world.login(VIEWER).await).await;
    assert_eq!(config["role"], "viewer");
    assert!(config.get("users").is_none());
    assert_eq!(
        (&config["deployment_limit"], &config["global_mutation_interval"]),
        (&json!(10), &json!("30m"))
    );
}

async fn problem(response: reqwest::Response) -> (StatusCode, Value) {
    let status = response.status();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let body: Value = response.json().await.unwrap();
    for member in ["type", "title", "status", "detail"] {
        assert!(body.get(member).is_some(), "{member} is missing: {body}");
    }
    assert_eq!(body["status"], status.as_u16());
    (status, body)
}

#[tokio::test]
async fn bad_requests_name_their_fields() {
    let world = World::new().await;
    let admin = world.login(ADMIN).await;
    let post = |body: Value| world.post("/api/v1/config/users", &admin, body);
    for (body, field) in [
        (json!({"username": "x", "password": "long enough indeed", "role": "root"}), "role"),
        (json!({"username": "x", "password": "long enough indeed"}), ""),
        (json!({"username": 7, "password": "long enough indeed", "role": "admin"}), "username"),
        (json!({"username": "", "password": "long enough indeed", "role": "admin"}), "username"),
        (json!({"username": "a\u{7}b", "password": "long enough indeed", "role": "admin"}), "username"),
        (json!({"username": "x", "password": "short", "role": "admin"}), "password"),
        (json!({"username": "x", "password": "ä".repeat(40), "role": "admin"}), "password"),
        (json!({"username": "x", "password": "long enough indeed", "role": "admin", "uuid": "y"}), "uuid"),
        (json!([]), ""),
    ] {
        let (status, answer) = problem(post(body.clone()).await).await;
        assert_eq!(status, 400, "{body}");
        assert_eq!(answer["errors"][0]["field"], field, "{body}: {answer}");
    }
    let (_, both) = problem(post(json!({"username": "", "password": "", "role": "admin"})).await).await;
    assert_eq!(both["errors"].as_array().unwrap().len(), 2);

    let raw = |kind: &'static str, body: &'static str| {
        world
            .request(Method::POST, "/api/v1/config/users", Some(&admin))
            .header("content-type", kind)
            .body(body)
            .send()
    };
    assert_eq!(problem(raw("application/json", "{").await.unwrap()).await.0, 400);
    assert_eq!(problem(raw("application/json", "{} {}").await.unwrap()).await.0, 400);
    assert_eq!(problem(raw("text/plain", "{}").await.unwrap()).await.0, 415);
    let huge = json!({"username": "x".repeat(1024 * 1024), "password": PASSWORD, "role": "admin"});
    assert_eq!(problem(post(huge).await).await.0, 413);
    assert_eq!(problem(world.get("/api/v1/nothing", &admin).await).await.0, 404);
    let wrong = world.request(Method::PATCH, "/api/v1/config", Some(&admin)).send().await.unwrap();
    assert!(wrong.headers().contains_key("allow"));
    assert_eq!(problem(wrong).await.0, 405);
}

#[tokio::test]
async fn only_named_origins_may_call_from_a_browser() {
    let world = World::new().await;
    let ask = |origin: &'static str| {
        world
            .request(Method::OPTIONS, "/api/v1/stats", None)
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization")
            .send()
    };
    let ours = ask("https://panel.example").await.unwrap();
    assert_eq!(ours.headers()["access-control-allow-origin"], "https://panel.example");
    assert!(!ours.headers().contains_key("access-control-allow-credentials"));
    let theirs = ask("https://evil.example").await.unwrap();
    assert!(!theirs.headers().contains_key("access-control-allow-origin"));
}
