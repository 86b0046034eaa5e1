//! Logging in, the forced change, logging out, and the limit on tries.

use std::{os::unix::fs::PermissionsExt, time::Duration};

use decnet_api::auth::PASSWORD_FILE;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::world::{ADMIN, Options, PASSWORD, VIEWER, World, eventually, serve, url_of};

#[tokio::test]
async fn the_first_administrator_must_change_the_generated_password() {
    let world = World::with(Options { seed: true, ..Options::default() }).await;
    let file = world.dir.path().join(PASSWORD_FILE);
    let first = eventually("the password file is written", Duration::from_secs(10), || async {
        let password = std::fs::read_to_string(&file).ok()?.trim().to_owned();
        world.db.users().by_name("admin").await.unwrap().map(|_| password)
    })
    .await;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(first.len(), 20);

    let response = world.try_login("admin", &first).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let answer: Value = response.json().await.unwrap();
    assert_eq!((&answer["must_change_password"], &answer["token_type"]), (&json!(true), &json!("bearer")));
    let token = answer["access_token"].as_str().unwrap();

    let refused = world.get("/api/v1/stats", token).await;
    assert_eq!(refused.status(), 403);
    let problem: Value = refused.json().await.unwrap();
    assert!(problem["detail"].as_str().unwrap().starts_with("Password change required"), "{problem}");

    let change = |old: &str, new: &str| {
        world.post("/api/v1/auth/change-password", token, json!({"old_password": old, "new_password": new}))
    };
    assert_eq!(change("wrong", "a longer password").await.status(), 401);
    assert_eq!(change(&first, "short").await.status(), 400);
    assert_eq!(change(&first, &"x".repeat(73)).await.status(), 400);
    assert_eq!(change(&first, &first).await.status(), 409);
    assert_eq!(change(&first, "a longer password").await.status(), 200);
    assert!(!file.exists(), "the first password is of no use any more");

    assert_eq!(world.get("/api/v1/stats", token).await.status(), 401, "older tokens are dead");
    assert_eq!(world.try_login("admin", &first).await.status(), 401);
    let token = world.login_with("admin", "a longer password").await;
    assert_eq!(world.get("/api/v1/stats", &token).await.status(), 200);
}

#[tokio::test]
async fn a_restart_follows_the_environment_until_the_change_and_never_after() {
    let options = |password| Options { seed: true, admin_password: Some(password), ..Options::default() };
    let world = World::with(options("from the environment")).await;
    let works = async |base: &str, password: &str| {
        let body = json!({"username": "admin", "password": password});
        let sent = world.client.post(format!("{base}/api/v1/auth/login")).json(&body).send().await;
        sent.unwrap().status() == 200
    };
    eventually("the first administrator is there", Duration::from_secs(10), || async {
        works(&world.base, "from the environment").await.then_some(())
    })
    .await;
    assert!(!world.dir.path().join(PASSWORD_FILE).exists(), "a given password is not written down");

    let url = url_of(world.dir.path());
    let (second, _, stop) = serve(world.dir.path(), &url, None, &options("another environment")).await;
    eventually("the hash follows the environment", Duration::from_secs(10), || async {
        works(&second, "another environment").await.then_some(())
    })
    .await;
    stop.cancel();

    let token = world.login_with("admin", "another environment").await;
    let body = json!({"old_password": "another environment", "new_password": "my very own password"});
    assert_eq!(world.post("/api/v1/auth/change-password", &token, body).await.status(), 200);
    let (third, app, stop) = serve(world.dir.path(), &url, None, &options("a third environment")).await;
    decnet_api::auth::seed_first_admin(&app).await.unwrap();
    assert!(!works(&third, "a third environment").await);
    assert!(works(&third, "my very own password").await);
    stop.cancel();
}

#[tokio::test]
async fn wrong_names_and_wrong_passwords_look_alike() {
    let world = World::new().await;
    let body = async |name: &str, password: &str| {
        let response = world.try_login(name, password).await;
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        response.json::<Value>().await.unwrap()
    };
    let unknown = body("nobody", PASSWORD).await;
    assert_eq!(unknown, body(ADMIN, "wrong").await);
    assert_eq!(unknown["detail"], "Incorrect username or password");
    assert_eq!(unknown["status"], 401);
    // Case matters, also on databases that would not care.
    assert_eq!(world.try_login(&ADMIN.to_uppercase(), PASSWORD).await.status(), 401);
}

#[tokio::test]
async fn an_unknown_name_takes_as_long_as_a_wrong_password() {
    let world = World::new().await;
    // The quickest of each, taken in turns: other work on this machine only ever adds time.
    let mut quickest = [f64::MAX; 2];
    for _ in 0..12 {
        for (name, best) in ["nobody", ADMIN].into_iter().zip(&mut quickest) {
            let begun = std::time::Instant::now();
            world.try_login(name, "wrong").await;
            *best = best.min(begun.elapsed().as_secs_f64());
        }
    }
    let [unknown, known] = quickest;
    // What must not be seen is a hash that was not computed: a factor of twenty.
    assert!((0.6..1.67).contains(&(unknown / known)), "unknown {unknown:.4} s, known {known:.4} s");
}

#[tokio::test]
async fn logging_out_ends_one_token_and_a_password_change_all() {
    let world = World::new().await;
    let (one, two) = (world.login(VIEWER).await, world.login(VIEWER).await);
    assert_eq!(world.get("/api/v1/stats", &one).await.status(), 200);
    assert_eq!(
        world.request(Method::POST, "/api/v1/auth/logout", Some(&one)).send().await.unwrap().status(),
        200
    );
    assert_eq!(world.get("/api/v1/stats", &one).await.status(), 401);
    assert_eq!(world.get("/api/v1/stats", &two).await.status(), 200);
    let body = json!({"old_password": PASSWORD, "new_password": "another password"});
    assert_eq!(world.post("/api/v1/auth/change-password", &two, body).await.status(), 200);
    assert_eq!(world.get("/api/v1/stats", &two).await.status(), 401);
    let three = world.login_with(VIEWER, "another password").await;
    assert_eq!(world.get("/api/v1/stats", &three).await.status(), 200);
}

async fn attempt(world: &World, from: &str, name: &str) -> reqwest::Response {
    let client = Client::builder().local_address(Some(from.parse().unwrap())).build().unwrap();
    let body = json!({"username": name, "password": "wrong"});
    client
        .post(world.url("/api/v1/auth/login"))
        .header("x-forwarded-for", "203.0.113.1")
        .json(&body)
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn the_eleventh_try_is_refused_per_address_and_per_name() {
    let world = World::with(Options { limiter: true, ..Options::default() }).await;
    for n in 0..10 {
        assert_eq!(attempt(&world, "127.0.0.2", &format!("guess{n}")).await.status(), 401);
    }
    let refused = attempt(&world, "127.0.0.2", "guess10").await;
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=301).contains(&wait), "{wait}");
    assert_eq!(attempt(&world, "127.0.0.3", "guess10").await.status(), 401, "another address may");
    for n in 0..10 {
        assert_eq!(attempt(&world, &format!("127.0.1.{}", n + 1), "victim").await.status(), 401);
    }
    assert_eq!(attempt(&world, "127.0.2.1", "victim").await.status(), 429, "the name is tired");
    // Bodies that cannot be read share a bucket, and are refused as such until then.
    for n in 0..10 {
        let client = Client::builder()
            .local_address(Some(format!("127.0.3.{}", n + 1).parse().unwrap()))
            .build()
            .unwrap();
        let sent = client
            .post(world.url("/api/v1/auth/login"))
            .header("content-type", "application/json")
            .body("{")
            .send();
        assert_eq!(sent.await.unwrap().status(), 400);
    }
    let client = Client::builder().local_address(Some("127.0.4.1".parse().unwrap())).build().unwrap();
    let sent = client
        .post(world.url("/api/v1/auth/login"))
        .header("content-type", "application/json")
        .body("{")
        .send();
    assert_eq!(sent.await.unwrap().status(), 429);
}
