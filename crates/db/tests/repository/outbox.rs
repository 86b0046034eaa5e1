//! Events wait for their own producer, in order, until they are stamped.

use chrono::{TimeDelta, Utc};
use decnet_core::{Clock, SystemClock};

use crate::lines::event;
use crate::place::on_each;

#[tokio::test]
async fn events_wait_for_their_producer_in_order() {
    on_each(async |place| {
        let outbox = place.db.outbox();
        let rows: Vec<_> =
            (0..600).map(|n| event(["collector", "agent"][n % 2], &format!("t.{n}"))).collect();
        outbox.insert(&rows).await.unwrap();
        let pending = outbox.pending("collector", 1000).await.unwrap();
        let expected: Vec<_> =
            rows.iter().filter(|row| row.producer == "collector").map(|row| row.id).collect();
        assert_eq!(pending.iter().map(|row| row.id).collect::<Vec<_>>(), expected);
        assert_eq!((pending[0].topic.as_str(), &pending[0].headers), ("t.0", &rows[0].headers));
        assert_eq!(outbox.pending("collector", 3).await.unwrap().len(), 3);
        let (waiting, oldest) = outbox.backlog("agent").await.unwrap();
        assert!(waiting == 300 && oldest.is_some());
        assert_eq!(outbox.backlog("nobody").await.unwrap(), (0, None));

        outbox.mark_published(&expected).await.unwrap();
        outbox.mark_published(&expected).await.unwrap();
        assert_eq!(outbox.pending("collector", 10).await.unwrap(), vec![]);
        assert_eq!(outbox.pending("agent", 1000).await.unwrap().len(), 300);

        let now: chrono::DateTime<Utc> = SystemClock.now();
        assert_eq!(outbox.prune(now - TimeDelta::hours(1)).await.unwrap(), 0);
        assert_eq!(outbox.prune(now + TimeDelta::hours(1)).await.unwrap(), 300, "unpublished rows stay");
        assert_eq!(outbox.pending("agent", 1000).await.unwrap().len(), 300);
    })
    .await;
}

#[tokio::test]
async fn pruning_goes_on_until_all_old_rows_are_gone() {
    on_each(async |place| {
        let outbox = place.db.outbox();
        let rows: Vec<_> = (0..4500).map(|_| event("collector", "t")).collect();
        outbox.insert(&rows).await.unwrap();
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        outbox.mark_published(&ids).await.unwrap();
        assert_eq!(outbox.prune(SystemClock.now() + TimeDelta::hours(1)).await.unwrap(), 4500);
    })
    .await;
}
