//! Accounts, tokens taken back, the shelf.

use chrono::TimeDelta;
use decnet_core::{Clock, ManualClock};
use decnet_db::{Db, DbError, DbOptions, NewUser, Role};
use serde_json::json;
use uuid::Uuid;

use crate::lines::start;
use crate::place::on_each;

#[tokio::test]
async fn accounts_live_and_die() {
    on_each(async |place| {
        let users = place.db.users();
        let new = |name: &str| NewUser {
            username: name.into(),
            password_hash: "h1".into(),
            role: Role::Viewer,
            must_change_password: true,
        };
        let anna = users.create(new("anna")).await.unwrap().unwrap();
        assert_eq!(users.create(new("anna")).await.unwrap(), None, "a name is taken once");
        assert!(users.create(new("Anna")).await.unwrap().is_some(), "names differ by case");
        assert!(matches!(users.create(new("")).await, Err(DbError::Refused(_))));
        assert_eq!(users.by_name("anna").await.unwrap().as_ref(), Some(&anna));
        assert_eq!(users.by_name("an\0na").await.unwrap(), None);
        assert!(!serde_json::to_string(&anna).unwrap().contains("h1"), "hashes are never shown");

        assert!(users.set_password(anna.uuid, "h2", false).await.unwrap());
        assert!(users.set_role(anna.uuid, Role::Admin).await.unwrap());
        let changed = users.by_uuid(anna.uuid).await.unwrap().unwrap();
        assert_eq!(
            (changed.password_hash.as_str(), changed.role, changed.must_change_password),
            ("h2", Role::Admin, false)
        );
        assert!(changed.tokens_valid_from.is_some());
        assert!(!users.set_role(Uuid::nil(), Role::Admin).await.unwrap());
        assert!(!users.set_password(Uuid::nil(), "x", true).await.unwrap());

        assert_eq!(users.list().await.unwrap().len(), 2);
        assert!(users.delete(anna.uuid).await.unwrap());
        assert!(!users.delete(anna.uuid).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn the_first_admin_follows_the_environment_until_it_has_changed_its_password() {
    on_each(async |place| {
        let users = place.db.users();
        let admin = users.ensure_admin("admin", "h1").await.unwrap().unwrap();
        assert!(admin.must_change_password && admin.role == Role::Admin);
        assert_eq!(users.ensure_admin("admin", "h2").await.unwrap().unwrap().password_hash, "h2");
        users.set_password(admin.uuid, "own", false).await.unwrap();
        assert_eq!(users.ensure_admin("admin", "h3").await.unwrap(), None);
        assert_eq!(users.by_name("admin").await.unwrap().unwrap().password_hash, "own");
    })
    .await;
}

#[tokio::test]
async fn a_token_is_refused_until_it_would_have_ended() {
    on_each(async |place| {
        let clock = ManualClock::at(start());
        let options = DbOptions { clock: std::sync::Arc::new(clock.clone()), ..DbOptions::default() };
        let db = Db::connect(&place.url, options).await.unwrap();
        let users = db.users();
        for _ in 0..2 {
            users.revoke_token("t1", Uuid::nil(), start() + TimeDelta::hours(4)).await.unwrap();
        }
        assert!(users.is_revoked("t1").await.unwrap() && !users.is_revoked("t2").await.unwrap());
        assert_eq!(users.prune_revoked().await.unwrap(), 0);
        clock.advance(TimeDelta::hours(5));
        assert!(clock.now() > start());
        assert_eq!(users.prune_revoked().await.unwrap(), 1);
        assert!(!users.is_revoked("t1").await.unwrap());
        db.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_shelf_keeps_json() {
    on_each(async |place| {
        let state = place.db.state();
        assert_eq!(state.get::<u64>("config_limits").await.unwrap(), None);
        state.set("config_limits", &json!({"deployment_limit": 10})).await.unwrap();
        state.set("config_limits", &json!({"deployment_limit": 50, "größe": "ä"})).await.unwrap();
        let value: serde_json::Value = state.get("config_limits").await.unwrap().unwrap();
        assert_eq!(value, json!({"deployment_limit": 50, "größe": "ä"}));
        assert!(matches!(state.get::<u64>("config_limits").await, Err(DbError::Damaged { .. })));
        assert!(state.remove("config_limits").await.unwrap());
        assert!(!state.remove("config_limits").await.unwrap());
        assert!(matches!(state.set("", &1).await, Err(DbError::Refused(_))));
    })
    .await;
}
