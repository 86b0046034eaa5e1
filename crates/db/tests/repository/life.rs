//! What the orchestrator did, the files it planted, the mail it delivered, and what it was about to do.

use chrono::{DateTime, TimeDelta, Utc};
use decnet_core::{Clock, IdSource, SystemClock, SystemIds};
use decnet_db::{
    DbError, EmailQuery, FileState, Intent, LifeChange, LifeState, NewOrchestratorEmail,
    NewOrchestratorEvent, NewPoolText, NewSyntheticFile, OrchestratorQuery, Paging, SyntheticFileQuery,
};
use serde_json::json;

use crate::lines::{event, start};
use crate::place::{Place, on_each};

fn action(dst: &str, second: i64) -> NewOrchestratorEvent {
    NewOrchestratorEvent {
        uuid: SystemIds.next_id(),
        ts: start() + TimeDelta::seconds(second),
        kind: if second % 2 == 0 { "traffic" } else { "file" }.into(),
        protocol: "ssh".into(),
        action: "connect:22".into(),
        src_decky_uuid: Some("local:alpha".into()),
        dst_decky_uuid: dst.into(),
        success: second % 3 != 0,
        payload: json!({"banner": "SSH-2.0-x"}),
    }
}

fn file(path: &str, body: &[u8]) -> NewSyntheticFile {
    NewSyntheticFile {
        decky_uuid: "local:alpha".into(),
        path: path.into(),
        persona: "Anna Löw".into(),
        login: "anna".into(),
        content_class: "note".into(),
        mtime: start() + TimeDelta::nanoseconds(123_456_789),
        mode: 0o644,
        uid: 1000,
        gid: 1001,
        content_hash: format!("{:064x}", body.len()),
        body: body.to_vec(),
        edit_count: None,
        last_event_uuid: None,
    }
}

async fn put(place: &Place, file: NewSyntheticFile) {
    place.db.life().apply(&[LifeChange::File(Box::new(file))], &[]).await.unwrap();
}

fn mail(decky: &str, second: i64, success: bool) -> NewOrchestratorEmail {
    NewOrchestratorEmail {
        uuid: SystemIds.next_id(),
        ts: start() + TimeDelta::seconds(second),
        mail_decky_uuid: decky.into(),
        thread_id: "t1".into(),
        message_id: format!("<{second}@corp.example>"),
        in_reply_to: None,
        sender_email: "anna@corp.example".into(),
        recipient_email: "tom@corp.example".into(),
        subject: "Urlaubsplanung für März".into(),
        language: "de".into(),
        eml_path: format!("/var/mail/vhosts/corp.example/tom/new/{second}"),
        success,
        payload: json!({}),
        references: vec!["<1@x>".into(), "<2@x>".into()],
        excerpt: "ä".repeat(3000),
        answered: false,
        mtime: start() + TimeDelta::nanoseconds(987_654_321),
        mode: 0o600,
        uid: 5000,
        gid: 5000,
        content_hash: "0".repeat(64),
        raw: "From: a\r\n\r\nhäh\r\n".into(),
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
        let path = "/home/anna/notes.txt";
        for body in ["one".as_bytes(), b"three", "ä".repeat(70_000).as_bytes()] {
            put(place, file(path, body)).await;
        }
        put(place, NewSyntheticFile { decky_uuid: "local:beta".into(), ..file(path, b"x") }).await;
        let row = files.at("local:alpha", path).await.unwrap().unwrap();
        assert_eq!((row.file.edit_count, row.last_body.chars().count()), (2, 65_536));
        assert_eq!(
            row.file.planted_mtime,
            start() + TimeDelta::nanoseconds(123_456_789),
            "to the nanosecond"
        );
        assert_eq!((row.file.mode, row.file.uid, row.file.gid), (0o644, 1000, 1001));
        assert!(row.is_truncated());
        assert_eq!(
            row.body.as_deref(),
            Some("ä".repeat(70_000).as_bytes()),
            "what is shown is cut, what is kept is not"
        );
        // Another file at the old place: its history is its own.
        put(place, NewSyntheticFile { edit_count: Some(0), persona: String::new(), ..file(path, b"new") })
            .await;
        let row = files.at("local:alpha", path).await.unwrap().unwrap();
        assert_eq!(
            (row.file.edit_count, row.file.persona.as_str(), row.body.unwrap().as_slice()),
            (0, "", &b"new"[..])
        );
        assert_eq!(files.get(row.file.uuid).await.unwrap().unwrap().last_body, "new");

        let count = async |query: SyntheticFileQuery| files.page(&query).await.unwrap().total;
        assert_eq!(count(SyntheticFileQuery::default()).await, 2);
        let of =
            SyntheticFileQuery { decky_uuid: Some("local:beta".into()), ..SyntheticFileQuery::default() };
        assert_eq!(count(of).await, 1);
        let of = SyntheticFileQuery { persona: Some("Anna Löw".into()), ..SyntheticFileQuery::default() };
        assert_eq!(count(of).await, 1);
        let of = SyntheticFileQuery { content_class: Some("draft".into()), ..SyntheticFileQuery::default() };
        assert_eq!(count(of).await, 0);
        let long = LifeChange::File(Box::new(file(&"x".repeat(513), b"x")));
        assert!(matches!(place.db.life().apply(&[long], &[]).await, Err(DbError::Refused(_))));
    })
    .await;
}

#[tokio::test]
async fn bytes_that_are_no_text_come_back_and_what_is_too_large_is_never_whole() {
    on_each(async |place| {
        let files = place.db.synthetic_files();
        let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
        put(place, file("/var/log/cron.log.2.gz", &bytes)).await;
        put(place, file("/a", b"nul\0inside")).await;
        put(place, file("/huge", &vec![b'x'; (1 << 20) + 1])).await;
        let of = async |path: &str| files.at("local:alpha", path).await.unwrap().unwrap();
        let row = of("/var/log/cron.log.2.gz").await;
        assert_eq!((row.body.as_deref(), row.last_body.as_str()), (Some(&bytes[..]), ""));
        assert_eq!(of("/a").await.body.unwrap(), b"nul\0inside");
        let row = of("/huge").await;
        assert_eq!((row.body, row.file.size, row.last_body.len()), (None, (1 << 20) + 1, 65_536));
    })
    .await;
}

#[tokio::test]
async fn what_becomes_of_a_file_is_kept_and_only_what_is_gone_is_forgotten() {
    on_each(async |place| {
        let (files, life) = (place.db.synthetic_files(), place.db.life());
        for path in ["/a", "/b", "/c", "/d"] {
            put(place, file(path, b"x")).await;
        }
        put(place, NewSyntheticFile { decky_uuid: "local:beta".into(), ..file("/a", b"x") }).await;
        let state = |path: &str, state, found: Option<&str>| LifeChange::FileState {
            decky_uuid: "local:alpha".into(),
            path: path.into(),
            state,
            found: found.map(str::to_owned),
            event: None,
        };
        let hash = "ab".repeat(32);
        let changes = [
            state("/b", FileState::Diverged, Some(&hash)),
            state("/c", FileState::Lost, None),
            state("/d", FileState::Gone, None),
        ];
        life.apply(&changes, &[]).await.unwrap();
        let shelf = files.shelf("local:alpha").await.unwrap();
        let seen: Vec<_> = shelf.iter().map(|row| (row.file.path.as_str(), row.file.state)).collect();
        assert_eq!(seen, [("/a", FileState::Planted), ("/b", FileState::Diverged), ("/c", FileState::Lost)]);
        assert_eq!(shelf[1].file.found_hash.as_deref(), Some(hash.as_str()));
        let planted = ("planted".to_owned(), 2);
        assert!(files.counts().await.unwrap().contains(&planted));

        let later = SystemClock.now() + TimeDelta::days(1);
        assert_eq!(files.prune(start(), &[]).await.unwrap(), 0, "nothing is that old");
        let known = ["local:alpha".to_owned(), "local:beta".to_owned()];
        assert_eq!(files.prune(later, &known).await.unwrap(), 1, "the removed one");
        assert_eq!(files.prune(later, &known[..1]).await.unwrap(), 1, "the other decky's");
        assert_eq!(files.shelf("local:alpha").await.unwrap().len(), 3);
    })
    .await;
}

#[tokio::test]
async fn mail_is_listed_answered_and_pruned_per_mail_decky() {
    on_each(async |place| {
        let (life, emails) = (place.db.life(), place.db.emails());
        for second in 0..6 {
            let new = mail("local:mx", second / 2, second != 1);
            life.apply(&[LifeChange::Mail(Box::new(new))], &[]).await.unwrap();
        }
        life.apply(&[LifeChange::Mail(Box::new(mail("local:other", 9, true)))], &[]).await.unwrap();
        let answered =
            LifeChange::Answered { decky_uuid: "local:mx".into(), message_id: "<2@corp.example>".into() };
        life.apply(&[answered], &[]).await.unwrap();

        let of = |decky: Option<&str>| EmailQuery {
            mail_decky_uuid: decky.map(str::to_owned),
            ..EmailQuery::default()
        };
        assert_eq!(emails.page(&of(None)).await.unwrap().total, 7);
        let failed = EmailQuery { success: Some(false), ..of(Some("local:mx")) };
        assert_eq!(emails.page(&failed).await.unwrap().total, 1);
        let thread = EmailQuery { thread_id: Some("t2".into()), ..EmailQuery::default() };
        assert_eq!(emails.page(&thread).await.unwrap().total, 0);

        let recent = emails.recent("local:mx", start() + TimeDelta::seconds(1), 3).await.unwrap();
        assert_eq!(recent.len(), 3);
        assert!(recent.is_sorted_by_key(|mail| mail.ts), "oldest first");
        assert!(recent[1].answered && recent[2].answered && !recent[0].answered);
        assert_eq!(recent[0].references, ["<1@x>", "<2@x>"]);
        assert_eq!(
            (recent[0].excerpt.chars().count(), recent[0].subject.as_str()),
            (2000, "Urlaubsplanung für März")
        );
        assert_eq!(recent[0].mtime, start() + TimeDelta::nanoseconds(987_654_321));

        let mut all = Vec::new();
        let mut after: Option<(DateTime<Utc>, uuid::Uuid)> = None;
        loop {
            let part = emails.whole("local:mx", after.as_ref(), 2).await.unwrap();
            let Some((last, _)) = part.last() else { break };
            after = Some((last.ts, last.uuid));
            all.extend(part);
        }
        assert_eq!(all.len(), 5, "each once, whatever the ties");
        assert_eq!(all[0].1, "From: a\r\n\r\nhäh\r\n");

        assert_eq!(emails.prune(2).await.unwrap(), 4);
        assert_eq!(emails.prune(2).await.unwrap(), 0);
        assert_eq!(emails.page(&of(Some("local:other"))).await.unwrap().total, 1);
    })
    .await;
}

#[tokio::test]
async fn an_intent_is_open_until_its_action_is_in_and_a_failed_transaction_changes_nothing() {
    on_each(async |place| {
        let life = place.db.life();
        let intent = Intent {
            uuid: SystemIds.next_id(),
            decky_uuid: "local:alpha".into(),
            kind: "create".into(),
            path: "/home/anna/x".into(),
            created_at: start(),
            document: json!({"sha256": "00"}),
        };
        life.apply(&[LifeChange::Intend(intent.clone())], &[]).await.unwrap();
        assert_eq!(life.intents().await.unwrap(), std::slice::from_ref(&intent));

        let row = action("local:alpha", 1);
        let done = [
            LifeChange::Settle(intent.uuid),
            LifeChange::File(Box::new(file("/home/anna/x", b"x"))),
            LifeChange::Event(Box::new(row.clone())),
            // The same row twice is refused, and with it all of the above.
            LifeChange::Event(Box::new(row)),
        ];
        life.apply(&done, &[event("orchestrator", "orchestrator.file.local:alpha")]).await.unwrap_err();
        assert_eq!(life.intents().await.unwrap().len(), 1);
        assert!(place.db.synthetic_files().shelf("local:alpha").await.unwrap().is_empty());
        life.apply(&done[..3], &[event("orchestrator", "orchestrator.file.local:alpha")]).await.unwrap();
        assert!(life.intents().await.unwrap().is_empty());
        assert_eq!(place.db.synthetic_files().shelf("local:alpha").await.unwrap().len(), 1);
        assert_eq!(place.db.outbox().pending("orchestrator", 9).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn the_life_of_a_decky_goes_on_where_it_was() {
    on_each(async |place| {
        let life = place.db.life();
        let state = |incarnation: &str, aged: bool| LifeState {
            decky_uuid: "local:alpha".into(),
            incarnation: incarnation.into(),
            born: start() - TimeDelta::weeks(5),
            aged_at: aged.then(start),
        };
        assert_eq!(life.state("local:alpha").await.unwrap(), None);
        for step in [state("one", false), state("one", true), state("two", true)] {
            life.apply(&[LifeChange::Lived(step.clone())], &[]).await.unwrap();
            assert_eq!(life.state("local:alpha").await.unwrap(), Some(step));
        }
        assert_eq!(life.states().await.unwrap().len(), 1);
        let later = SystemClock.now() + TimeDelta::days(1);
        assert_eq!(life.prune(later, &["local:alpha".to_owned()]).await.unwrap(), 0);
        assert_eq!(life.prune(later, &[]).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_text_of_the_pool_is_used_once() {
    on_each(async |place| {
        let pool = place.db.content_pool();
        let text = |body: &str| NewPoolText {
            content_class: "email".into(),
            persona: "anna@corp.example".into(),
            language: "de".into(),
            context: "budget".into(),
            subject: "Budget".into(),
            body: body.into(),
            content_hash: format!("{:064x}", body.len()),
            model: "m".into(),
        };
        assert!(pool.add(&text("a")).await.unwrap());
        assert!(pool.add(&text("bb")).await.unwrap());
        assert!(!pool.add(&text("a")).await.unwrap(), "no text twice");
        assert_eq!(pool.waiting().await.unwrap(), [("email".to_owned(), "anna@corp.example".to_owned(), 2)]);
        let next = async |class: &str, language: &str| {
            pool.next(class, "anna@corp.example", language).await.unwrap()
        };
        assert_eq!(next("note", "de").await, None);
        assert_eq!(next("email", "en").await, None);
        let first = next("email", "de").await.unwrap();
        assert!(pool.used(first.uuid).await.unwrap());
        assert!(!pool.used(first.uuid).await.unwrap());
        assert_ne!(next("email", "de").await.unwrap().uuid, first.uuid);
        let later = SystemClock.now() + TimeDelta::days(1);
        assert_eq!(pool.prune(later, start()).await.unwrap(), 1, "used ones");
        assert_eq!(pool.prune(start(), later).await.unwrap(), 1, "stale ones");
        assert!(pool.waiting().await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn more_files_than_any_page_are_one_row_each() {
    on_each(async |place| {
        let many: Vec<LifeChange> =
            (0..250).map(|n| LifeChange::File(Box::new(file(&format!("/f{n:03}"), b"x")))).collect();
        place.db.life().apply(&many, &[]).await.unwrap();
        place.db.life().apply(&many, &[]).await.unwrap();
        let all =
            SyntheticFileQuery { paging: Paging { limit: 300, offset: 0 }, ..SyntheticFileQuery::default() };
        let page = place.db.synthetic_files().page(&all).await.unwrap();
        assert_eq!(page.data.len(), 250);
        assert!(page.data.iter().all(|file| file.edit_count == 1));
    })
    .await;
}
