//! What came in: `logs`, `rejected_lines`, and the one row that writers of a batch hold (`ingest_lock`). The key (host, source, seq) makes redelivery harmless.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use crate::columns::{
    Columns, drop_tables, flag, index, maybe_number, number, required, row_number, text, unique,
};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0002_logs"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager).await?;
        let mut logs = columns.table("logs");
        logs.col(row_number())
            .col(number("timestamp"))
            .col(required("decky", 255))
            .col(required("service", 48))
            .col(required("event_type", 64))
            .col(required("attacker_ip", 45))
            .col(maybe_number("src_port"))
            .col(text("conn_id", 64))
            .col(required("origin", 16))
            .col(flag("forged"))
            .col(columns.long_text("raw_line").not_null())
            .col(columns.long_text("fields").not_null())
            .col(columns.long_text("msg"))
            .col(text("trace_id", 32))
            .col(text("span_id", 16))
            .col(required("host_uuid", 64))
            .col(required("source", 255))
            .col(number("seq"));
        manager.create_table(logs).await?;
        manager.create_index(unique("logs", &["source", "seq", "host_uuid"])).await?;
        for column in ["timestamp", "decky", "service", "event_type", "attacker_ip"] {
            manager.create_index(index("logs", &[column])).await?;
        }

        let mut rejected = columns.table("rejected_lines");
        rejected
            .col(row_number())
            .col(required("host_uuid", 64))
            .col(required("source", 255))
            .col(number("seq"))
            .col(required("decky", 255))
            .col(columns.long_text("raw").not_null())
            .col(required("encoding", 8))
            .col(required("error", 512))
            .col(number("error_offset"))
            .col(number("received_at"));
        manager.create_table(rejected).await?;
        manager.create_index(unique("rejected_lines", &["source", "seq", "host_uuid"])).await?;

        let mut lock = columns.table("ingest_lock");
        lock.col(number("id").primary_key());
        manager.create_table(lock).await?;
        let row = sea_orm_migration::sea_query::Query::insert()
            .into_table("ingest_lock")
            .columns(["id"])
            .values_panic([1.into()])
            .to_owned();
        manager.execute(row).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["ingest_lock", "rejected_lines", "logs"]).await
    }
}
