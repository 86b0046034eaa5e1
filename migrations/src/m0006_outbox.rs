//! Events waiting to be published: `outbox`. Written with the rows they speak of, stamped by the producer's relay.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use crate::columns::{Columns, drop_tables, index, maybe_number, number, required};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0006_outbox"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager).await?;
        let mut outbox = columns.table("outbox");
        outbox
            .col(required("id", 36).primary_key())
            .col(required("producer", 64))
            .col(required("subject", 512))
            .col(required("topic", 512))
            .col(required("msg_id", 128))
            .col(columns.long_text("headers"))
            .col(columns.long_text("body").not_null())
            .col(number("created_at"))
            .col(maybe_number("published_at"));
        manager.create_table(outbox).await?;
        manager.create_index(index("outbox", &["producer", "published_at", "id"])).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["outbox"]).await
    }
}
