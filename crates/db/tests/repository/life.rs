//! What the orchestrator did, and the files it planted.

use chrono::TimeDelta;
use decnet_core::{IdSource, SystemIds};
use decnet_db::{DbError, NewOrchestratorEvent, NewSyntheticFile, OrchestratorQuery, Paging};
use serde_json::json;

use crate::lines::{event, start};
use crate::place::on_each;

fn action(dst: &str, second: i64) -> NewOrchestratorEvent {
    NewOrchestratorEvent {
        uuid: SystemIds.next_id(),
        ts: start() + TimeDelta::seconds(second),
        kind: if second % 2 == 0 { "traffic" } else { "file" }.into(),
        protocol: "ssh".into(),
        action: "exec:tcp_connect:22".into(),
        src_decky_uuid: Some("local:alpha".into()),
        dst_decky_uuid: dst.into(),
        success: second % 3 != 0,
        payload: json!({"banner": "SSH-2.0-x"}),
    }
}

#[tokio::test]
async fn actions_are_recorded_with_their_event_and_pruned_per_destination() {
    on_each(async |place| {
        let life = place.db.orchestrator();
        // Ties in time: pruning must still leave exactly the newest.
        let mut kept = Vec::new();
        for second in 0..12 {
            let new = action("local:omega", second / 2);
            life.record(&new, &[event("orchestrator", "orchestrator.traffic.local:omega")]).await.unwrap();
            kept.push(new.uuid);
        }
        life.record(&action("local:beta", 1), &[]).await.unwrap();
        assert_eq!(place.db.outbox().pending("orchestrator", 100).await.unwrap().len(), 12);

        let of = |kind: Option<&str>, dst: Option<&str>| OrchestratorQuery {
            kind: kind.map(str::to_owned),
            dst_decky_uuid: dst.map(str::to_owned),
            ..OrchestratorQuery::default()
        };
        assert_eq!(life.page(&of(None, None)).await.unwrap().total, 13);
        assert_eq!(life.page(&of(Some("traffic"), None)).await.unwrap().total, 6);
        let failed = OrchestratorQuery {
            success: Some(false),
            since: Some(start() + TimeDelta::seconds(1)),
            ..of(None, None)
        };
        assert_eq!(life.page(&failed).await.unwrap().total, 2);

        assert_eq!(life.prune(5).await.unwrap(), 7);
        assert_eq!(life.prune(5).await.unwrap(), 0);
        let left = life.page(&of(None, Some("local:omega"))).await.unwrap();
        let newest: Vec<_> = kept.iter().rev().take(5).copied().collect();
        assert_eq!(left.data.iter().map(|row| row.uuid).collect::<Vec<_>>(), newest);
        assert_eq!(left.data[0].payload, json!({"banner": "SSH-2.0-x"}));
        assert_eq!(life.page(&of(None, Some("local:beta"))).await.unwrap().total, 1);
    })
    .await;
}

#[tokio::test]
async fn a_planted_file_is_one_row_however_often_it_is_edited() {
    on_each(async |place| {
        let files = place.db.synthetic_files();
        let file = |body: &str| NewSyntheticFile {
            decky_uuid: "local:alpha".into(),
            path: "/home/anna/notes.txt".into(),
            persona: "Anna Löw".into(),
            content_class: "note".into(),
            content_hash: format!("{:064x}", body.len()),
            last_body: body.into(),
        };
        files.upsert(&file("one")).await.unwrap();
        files.upsert(&file("three")).await.unwrap();
        files.upsert(&file(&"ä".repeat(70_000))).await.unwrap();
        files.upsert(&NewSyntheticFile { decky_uuid: "local:beta".into(), ..file("x") }).await.unwrap();
        let row = files.get("local:alpha", "/home/anna/notes.txt").await.unwrap().unwrap();
        assert_eq!((row.edit_count, row.last_body.chars().count()), (2, 65_536));
        assert_eq!(files.list(None, Paging::default()).await.unwrap().total, 2);
        assert_eq!(files.list(Some("local:beta"), Paging::default()).await.unwrap().total, 1);
        assert_eq!(files.editable("local:alpha", &["note"], TimeDelta::days(30)).await.unwrap().len(), 1);
        assert_eq!(files.editable("local:alpha", &["draft"], TimeDelta::days(30)).await.unwrap().len(), 0);
        let long = NewSyntheticFile { path: "x".repeat(513), ..file("x") };
        assert!(matches!(files.upsert(&long).await, Err(DbError::Refused(_))));
        assert!(files.delete("local:beta", "/home/anna/notes.txt").await.unwrap());
        assert!(!files.delete("local:beta", "/home/anna/notes.txt").await.unwrap());
    })
    .await;
}
