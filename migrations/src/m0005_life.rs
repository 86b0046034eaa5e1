//! What the orchestrator did: `orchestrator_events`, `synthetic_files`. Decky ids are opaque text: no foreign keys may point from events to deckies.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use crate::columns::{Columns, drop_tables, flag, index, number, required, text, unique};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0005_life"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager).await?;
        let mut events = columns.table("orchestrator_events");
        events
            .col(required("uuid", 36).primary_key())
            .col(number("ts"))
            .col(required("kind", 16))
            .col(required("protocol", 16))
            .col(required("action", 64))
            .col(text("src_decky_uuid", 128))
            .col(required("dst_decky_uuid", 128))
            .col(flag("success"))
            .col(columns.long_text("payload").not_null());
        manager.create_table(events).await?;
        for columns in
            [&["ts"][..], &["kind", "ts"], &["src_decky_uuid"], &["success"], &["dst_decky_uuid", "ts"]]
        {
            manager.create_index(index("orchestrator_events", columns)).await?;
        }

        let mut files = columns.table("synthetic_files");
        files
            .col(required("uuid", 36).primary_key())
            .col(required("decky_uuid", 128))
            .col(required("path", 512))
            .col(required("persona", 128))
            .col(required("content_class", 32))
            .col(number("created_at"))
            .col(number("last_modified"))
            .col(number("edit_count"))
            .col(required("content_hash", 64))
            .col(columns.long_text("last_body").not_null());
        manager.create_table(files).await?;
        manager.create_index(unique("synthetic_files", &["decky_uuid", "path"])).await?;
        for columns in [&["content_class"][..], &["created_at"], &["decky_uuid", "last_modified"]] {
            manager.create_index(index("synthetic_files", columns)).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["synthetic_files", "orchestrator_events"]).await
    }
}
