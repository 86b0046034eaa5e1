//! The mirror of what is deployed: `fleet_deckies`. No foreign key on the host, on purpose: a host row may come later or never.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use crate::columns::{Columns, drop_tables, index, maybe_number, number, required, text};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0004_fleet"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager).await?;
        let mut key = sea_orm_migration::sea_query::Index::create();
        key.col("host_uuid").col("name");
        let mut fleet = columns.table("fleet_deckies");
        fleet
            .col(required("host_uuid", 64).default("local"))
            .col(required("name", 64))
            .col(columns.long_text("services").not_null())
            .col(columns.long_text("decky_config"))
            .col(text("decky_ip", 45))
            .col(required("state", 32).default("pending"))
            .col(columns.long_text("last_error"))
            .col(text("compose_hash", 128))
            .col(maybe_number("last_seen"))
            .col(number("updated_at"))
            .col(number("generation").default(0))
            .primary_key(&mut key);
        manager.create_table(fleet).await?;
        manager.create_index(index("fleet_deckies", &["state"])).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["fleet_deckies"]).await
    }
}
