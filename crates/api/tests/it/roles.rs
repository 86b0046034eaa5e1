//! The role matrix, read from `x-decnet-role` of the document, over every operation.

use std::sync::Arc;

use chrono::TimeDelta;
use decnet_api::openapi_json;
use decnet_core::{Clock, ManualClock, SystemClock};
use decnet_db::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{ADMIN, Options, VIEWER, World};

struct Operation {
    method: Method,
    path: String,
    role: String,
    has_body: bool,
}

/// Every operation of the document. Path parameters become things that do not exist.
fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let role = operation["x-decnet-role"].as_str();
            all.push(Operation {
                method: method.to_uppercase().parse().unwrap(),
                path: path
                    .replace("{uuid}", "01890000-0000-7000-8000-000000000000")
                    .replace("{name}", "nobody")
                    .replace("{decky}", "nobody")
                    .replace("{stored_as}", "2026-01-01T00-00-59Z_0123456789ab_x")
                    .replace("{letter}", "01890000-0000-7000-8000-000000000001")
                    .replace("{sid}", "01890000"),
                role: role.unwrap_or_else(|| panic!("{method} {path} has no role")).to_owned(),
                has_body: operation.get("requestBody").is_some(),
            });
        }
    }
    assert!(all.len() > 25, "the document lists {} operations", all.len());
    all
}

impl World {
    /// The operation with a body that no schema takes, so that only the guard can answer before it.
    async fn status(&self, operation: &Operation, token: Option<&str>) -> StatusCode {
        let mut request = self.request(operation.method.clone(), &operation.path, token);
        if operation.has_body {
            request = request.json(&json!({"no such field": [1, 2, 3]}));
        }
        request.send().await.unwrap().status()
    }
}

#[tokio::test]
async fn every_operation_admits_exactly_its_roles() {
    let now = SystemClock.now();
    let clock = ManualClock::at(now);
    let world = World::with(Options { clock: Arc::new(clock.clone()), ..Options::default() }).await;
    world.user("newcomer", Role::Admin, true).await;
    let expired = world.login(ADMIN).await;
    clock.advance(TimeDelta::minutes(241));
    let newcomer = world.login("newcomer").await;
    let stranger = "eyJhbGciOiJIUzI1NiJ9.eyJ1dWlkIjoiYSJ9.AAAA";
    let mut operations = operations();
    // Logging out is allowed to everyone, and ends the token of the checks after it.
    operations.sort_by_key(|operation| operation.path.ends_with("/logout"));
    for operation in operations {
        let name = format!("{} {} ({})", operation.method, operation.path, operation.role);
        if operation.role == "open" {
            let status = world.status(&operation, None).await;
            assert!(
                ![401, 403].contains(&status.as_u16()) || operation.path.ends_with("/login"),
                "{name}: {status}"
            );
            continue;
        }
        // Before body validation and existence checks.
        for token in [None, Some(expired.as_str()), Some(stranger)] {
            assert_eq!(world.status(&operation, token).await, 401, "{name} with {token:?}");
        }
        let forced = world.status(&operation, Some(&newcomer)).await;
        match operation.role.as_str() {
            "any" if operation.path.ends_with("/logout") => {
                assert_eq!(forced, 200, "{name}");
            }
            "any" => assert_eq!(forced, 400, "{name}: a bad body is the only thing wrong"),
            _ => assert_eq!(forced, 403, "{name} before the password change"),
        }
    }
}

#[tokio::test]
async fn viewers_read_and_administrators_do() {
    let world = World::new().await;
    let (admin, viewer) = (world.login(ADMIN).await, world.login(VIEWER).await);
    for operation in operations() {
        let name = format!("{} {} ({})", operation.method, operation.path, operation.role);
        // A stream answers for ever, and a logout ends the token.
        if operation.path.ends_with("/logout") {
            continue;
        }
        let as_viewer = world.status(&operation, Some(&viewer)).await;
        let as_admin = world.status(&operation, Some(&admin)).await;
        match operation.role.as_str() {
            "admin" => {
                assert_eq!(as_viewer, 403, "{name} as viewer");
                assert!(![401, 403].contains(&as_admin.as_u16()), "{name} as admin: {as_admin}");
            }
            _ => {
                for (who, status) in [("viewer", as_viewer), ("admin", as_admin)] {
                    let refused = [401, 403].contains(&status.as_u16());
                    assert!(!refused, "{name} as {who}: {status}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_stream_token_opens_streams_only_and_an_access_token_is_refused_in_the_url() {
    let world = World::new().await;
    let access = world.login(VIEWER).await;
    let answer: Value = world
        .request(Method::POST, "/api/v1/auth/stream-token", Some(&access))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(answer["expires_in"], 60);
    let stream = answer["token"].as_str().unwrap();
    for operation in operations().iter().filter(|operation| operation.role != "open") {
        let status = world.status(operation, Some(stream)).await;
        assert_eq!(status, 401, "{} {} with a stream token in the header", operation.method, operation.path);
    }
    let open = |token: String| world.client.get(world.url(&format!("/api/v1/stream?token={token}"))).send();
    assert_eq!(open(access).await.unwrap().status(), 401);
    assert_eq!(open(stream.to_owned()).await.unwrap().status(), 200);
    assert_eq!(open(stream.to_owned()).await.unwrap().status(), 401, "used once");
}
