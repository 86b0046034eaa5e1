//! The pool of personas, and what the orchestrator does as it is listed and streamed.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{ADMIN, VIEWER, World};

fn persona(name: &str, email: &str) -> Value {
    json!({ "name": name, "email": email, "role": "Ops" })
}

#[tokio::test]
async fn a_pool_is_replaced_whole_or_not_at_all() {
    let world = World::new().await;
    let (admin, viewer) = (world.login(ADMIN).await, world.login(VIEWER).await);
    let path = "/api/v1/realism/personas";
    let get = async || -> Value {
        world.request(Method::GET, path, Some(&viewer)).send().await.unwrap().json().await.unwrap()
    };
    let put = async |token: &str, body: Value| {
        let answer = world.request(Method::PUT, path, Some(token)).json(&body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap())
    };
    let empty = get().await;
    let file = world.dir.path().join("people/pool.json");
    assert_eq!(empty["path"], file.to_str().unwrap());
    assert_eq!(empty["personas"], json!([]));

    let good = json!({ "personas": [persona("Ada Park", "ada@corp.example"), persona("Jörg Weiß", "joerg@corp.example")] });
    assert_eq!(put(&viewer, good.clone()).await.0, 403);
    let (status, written) = put(&admin, good).await;
    assert_eq!(status, 200, "{written}");
    assert_eq!(written["personas"][1]["language"], "en", "a missing language is filled in");
    assert_eq!(get().await["personas"], written["personas"]);
    let kept = std::fs::read_to_string(&file).unwrap();

    let mut bad = persona("Tom", "tom");
    bad["tone"] = json!("grumpy");
    let body = json!({ "personas": [persona("Ann", "ann@corp.example"), bad, 7] });
    let (status, problem) = put(&admin, body).await;
    assert_eq!(status, 400);
    let fields: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    for place in ["personas[1].email", "personas[1].tone", "personas[2]"] {
        assert!(fields.contains(&place), "{place} is not among {fields:?}");
    }
    assert_eq!(put(&admin, json!({ "personas": "everyone" })).await.0, 400);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), kept, "nothing was written");

    assert_eq!(put(&admin, json!({ "personas": [] })).await.0, 200);
    assert_eq!(get().await["personas"], json!([]));

    // Where the file cannot be written, the answer says which and what to do.
    std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file.parent().unwrap(), "in the way").unwrap();
    let (status, problem) = put(&admin, json!({ "personas": [] })).await;
    assert_eq!(status, 500);
    assert!(problem["detail"].as_str().unwrap().contains("pool.json"), "{problem}");
}
