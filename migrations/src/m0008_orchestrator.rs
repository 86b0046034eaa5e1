//! What life needs to go on after a crash or a restart: `synthetic_files` as they were planted (time, owner, whole body, state),
//! `orchestrator_emails`, `life_state`, `orchestrator_intents` and the `content_pool` of texts that a model wrote ahead.

use sea_orm::DbErr;
use sea_orm_migration::sea_query::{ColumnDef, Table};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use crate::columns::{Columns, drop_tables, flag, index, maybe_number, number, required, text, unique};

const FILES: &str = "synthetic_files";
/// The columns that this step adds to `synthetic_files`.
const ADDED: [&str; 11] = [
    "login",
    "planted_mtime",
    "size",
    "mode",
    "uid",
    "gid",
    "state",
    "last_verified_at",
    "last_event_uuid",
    "body_b64",
    "found_hash",
];

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0008_orchestrator"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager).await?;
        // One a statement: SQLite takes no more. `planted_mtime` is in nanoseconds, which `ls --full-iso` shows.
        for column in added(&columns) {
            manager.alter_table(Table::alter().table(FILES).add_column(column).to_owned()).await?;
        }
        manager.create_index(index(FILES, &["persona"])).await?;
        // No two files of a fleet are alike: asked before each one.
        manager.create_index(index(FILES, &["content_hash"])).await?;
        manager.create_index(index(FILES, &["state", "last_modified"])).await?;
        emails(manager, &columns).await?;
        memory(manager, &columns).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = ["content_pool", "orchestrator_intents", "life_state", "orchestrator_emails"];
        drop_tables(manager, &tables).await?;
        for columns in [&["persona"][..], &["content_hash"], &["state", "last_modified"]] {
            let name = format!("ix_{FILES}_{}", columns.join("_"));
            let drop = sea_orm_migration::sea_query::Index::drop().name(name).table(FILES).to_owned();
            manager.drop_index(drop).await?;
        }
        for column in ADDED.into_iter().rev() {
            manager.alter_table(Table::alter().table(FILES).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

fn added(columns: &Columns) -> Vec<ColumnDef> {
    let [login, mtime, size, mode, uid, gid, state, verified, event, body, found] = ADDED;
    let with = |mut column: ColumnDef, default: i64| column.default(default).to_owned();
    vec![
        required(login, 64).default("").to_owned(),
        with(number(mtime), 0),
        with(number(size), 0),
        with(number(mode), 0o644),
        with(number(uid), 0),
        with(number(gid), 0),
        required(state, 16).default("planted").to_owned(),
        maybe_number(verified),
        text(event, 36),
        columns.long_text(body),
        // SHA-256 of what was found instead, `none` for nothing.
        text(found, 64),
    ]
}

async fn emails(manager: &SchemaManager<'_>, columns: &Columns) -> Result<(), DbErr> {
    let mut emails = columns.table("orchestrator_emails");
    emails
        .col(required("uuid", 36).primary_key())
        .col(number("ts"))
        .col(required("mail_decky_uuid", 128))
        .col(required("thread_id", 64))
        .col(required("message_id", 255))
        .col(text("in_reply_to", 255))
        .col(required("sender_email", 255))
        .col(required("recipient_email", 255))
        .col(required("subject", 512))
        .col(required("language", 8))
        .col(required("eml_path", 512))
        .col(flag("success"))
        .col(columns.long_text("payload").not_null())
        // For the answer: its ancestors (a JSON list), its text, and whether there is one already.
        .col(columns.long_text("ancestors").not_null())
        .col(columns.long_text("excerpt").not_null())
        .col(flag("answered"))
        // For putting it back: as it was delivered.
        .col(number("planted_mtime"))
        .col(number("mode"))
        .col(number("uid"))
        .col(number("gid"))
        .col(number("size"))
        .col(required("content_hash", 64))
        .col(columns.long_text("raw").not_null())
        .col(required("state", 16));
    manager.create_table(emails).await?;
    for columns in [
        &["ts"][..],
        &["mail_decky_uuid", "ts"],
        &["thread_id"],
        &["sender_email"],
        &["recipient_email"],
        &["success"],
    ] {
        manager.create_index(index("orchestrator_emails", columns)).await?;
    }
    Ok(())
}

async fn memory(manager: &SchemaManager<'_>, columns: &Columns) -> Result<(), DbErr> {
    let mut states = columns.table("life_state");
    states
        .col(required("decky_uuid", 128).primary_key())
        .col(required("incarnation", 128))
        .col(number("born"))
        .col(maybe_number("aged_at"))
        .col(number("updated_at"));
    manager.create_table(states).await?;

    let mut intents = columns.table("orchestrator_intents");
    intents
        .col(required("uuid", 36).primary_key())
        .col(required("decky_uuid", 128))
        .col(required("kind", 16))
        .col(required("path", 512))
        .col(number("created_at"))
        .col(columns.long_text("document").not_null());
    manager.create_table(intents).await?;
    manager.create_index(index("orchestrator_intents", &["created_at"])).await?;

    let mut pool = columns.table("content_pool");
    pool.col(required("uuid", 36).primary_key())
        .col(required("content_class", 32))
        .col(required("persona", 128))
        .col(required("language", 8))
        .col(required("context", 255))
        .col(required("subject", 512))
        .col(columns.long_text("body").not_null())
        .col(required("content_hash", 64))
        .col(required("model", 128))
        .col(number("created_at"))
        .col(maybe_number("used_at"));
    manager.create_table(pool).await?;
    manager.create_index(unique("content_pool", &["content_hash"])).await?;
    manager.create_index(index("content_pool", &["content_class", "persona", "used_at"])).await
}
