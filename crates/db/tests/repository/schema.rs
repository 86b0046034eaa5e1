//! The schema goes up, down and up again, and refuses what it does not fit.

use decnet_db::{DbError, SchemaError};

use crate::lines::{batch, events, line};
use crate::place::{on_each, on_each_empty};

#[tokio::test]
async fn up_down_up() {
    on_each_empty(async |place| {
        let first = place.db.migrate().await.unwrap();
        assert_eq!(first.last(), Some(&decnet_migrations::version()));
        assert_eq!(place.db.migrate().await.unwrap(), Vec::<String>::new(), "a second run has nothing to do");
        place.db.ingest(&batch(vec![line("a", 0, "198.51.100.1")]), events).await.unwrap();

        place.db.rollback(None).await.unwrap();
        let err = place.db.check_schema().await.unwrap_err();
        assert!(
            matches!(&err, DbError::Schema(SchemaError::Stale { found, .. }) if found == "none"),
            "{err}"
        );

        assert_eq!(place.db.migrate().await.unwrap(), first);
        place.db.check_schema().await.unwrap();
        assert_eq!(place.db.stats().await.unwrap().total_logs, 0);
        place.db.ingest(&batch(vec![line("a", 0, "198.51.100.1")]), events).await.unwrap();
        assert_eq!(place.db.stats().await.unwrap().total_logs, 1);
    })
    .await;
}

#[tokio::test]
async fn each_step_down_leaves_a_stale_schema_that_goes_up_again() {
    on_each(async |place| {
        let steps = u32::try_from(decnet_migrations_count(place).await).unwrap();
        for step in 1..=steps {
            place.db.rollback(Some(step)).await.unwrap();
            let err = place.db.check_schema().await.unwrap_err();
            assert!(err.is_schema() && err.to_string().contains("decnet migrate"), "{err}");
            assert_eq!(place.db.migrate().await.unwrap().len(), step as usize);
            place.db.check_schema().await.unwrap();
        }
    })
    .await;
}

async fn decnet_migrations_count(place: &crate::place::Place) -> i64 {
    place.number("SELECT COUNT(*) FROM seaql_migrations").await
}

#[tokio::test]
async fn a_newer_database_is_left_alone() {
    on_each(async |place| {
        place.raw("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_later', 0)").await;
        for err in [place.db.check_schema().await.unwrap_err(), place.db.migrate().await.unwrap_err()] {
            assert!(err.is_schema(), "{err}");
            assert!(
                matches!(&err, DbError::Schema(SchemaError::Newer { found, .. }) if found == "m9999_later")
            );
            assert!(err.to_string().contains("install the newer DECNET release"), "{err}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_database_answers_a_ping() {
    on_each(async |place| place.db.ping().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn migrators_take_turns() {
    on_each_empty(async |place| {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let url = place.url.clone();
            tasks.spawn(async move {
                let db = decnet_db::Db::connect(&url, decnet_db::DbOptions::default()).await.unwrap();
                let applied = db.migrate().await.unwrap().len();
                db.check_schema().await.unwrap();
                db.close().await.unwrap();
                applied
            });
        }
        let applied: usize = tasks.join_all().await.into_iter().sum();
        assert_eq!(
            i64::try_from(applied).unwrap(),
            decnet_migrations_count(place).await,
            "each step is taken once"
        );
    })
    .await;
}
