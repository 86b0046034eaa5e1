//! The OpenAPI document: committed, served without roles, and true.

use std::{collections::BTreeSet, path::Path};

use decnet_api::openapi_json;
use serde_json::Value;

use crate::world::World;

#[test]
fn the_committed_document_is_the_one_of_this_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == openapi_json(), "docs/openapi.json is out of date: run `cargo xtask gen`");
}

#[test]
fn every_reference_resolves_and_every_name_is_unique() {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let mut names = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name), "{name} occurs twice");
            assert!(
                operation["summary"].as_str().is_some_and(|text| !text.is_empty()),
                "{name} has no summary"
            );
        }
    }
}

fn collect(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                into.insert(reference.clone());
            }
            map.values().for_each(|value| collect(value, into));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, into)),
        _ => {}
    }
}

#[tokio::test]
async fn the_served_document_is_open_and_without_roles() {
    let world = World::new().await;
    let response = world.client.get(world.url("/openapi.json")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let served: Value = response.json().await.unwrap();
    assert!(!served.to_string().contains("x-decnet-role"));
    let committed: Value = serde_json::from_str(&openapi_json()).unwrap();
    let paths =
        |document: &Value| document["paths"].as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(paths(&served), paths(&committed));
}
