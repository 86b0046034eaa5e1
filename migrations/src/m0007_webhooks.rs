//! Where events go: `webhooks` (subscriptions with their secrets sealed, and how their receivers do) and `webhook_deadletters`
//! (what a receiver refused for good).

use sea_orm::DbErr;
use sea_orm_migration::sea_query::{ForeignKey, ForeignKeyAction};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use crate::columns::{Columns, drop_tables, flag, index, maybe_number, number, required, text, unique};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0007_webhooks"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager).await?;
        let mut webhooks = columns.table("webhooks");
        webhooks
            .col(required("uuid", 36).primary_key())
            .col(required("name", 64))
            .col(required("url", 2048))
            .col(required("secret", 2048))
            .col(text("previous_secret", 2048))
            .col(maybe_number("previous_until"))
            .col(columns.long_text("simple_events").not_null())
            .col(columns.long_text("topic_patterns").not_null())
            .col(columns.long_text("allow_cidrs").not_null())
            .col(flag("enabled"))
            .col(flag("ordered"))
            .col(number("revision"))
            .col(number("created_at"))
            .col(number("updated_at"))
            // How it does: the worker's columns.
            .col(number("failure_count").default(0))
            .col(required("breaker", 16).default("closed"))
            .col(maybe_number("opened_at"))
            .col(maybe_number("auto_disabled_at"))
            .col(maybe_number("last_success_at"))
            .col(maybe_number("last_failure_at"))
            .col(text("last_error", 512))
            .col(maybe_number("settled"))
            .col(number("waiting").default(0));
        manager.create_table(webhooks).await?;
        manager.create_index(unique("webhooks", &["name"])).await?;

        let mut letters = columns.table("webhook_deadletters");
        letters
            .col(required("uuid", 36).primary_key())
            .col(required("webhook_uuid", 36))
            .col(required("event_id", 64))
            .col(required("topic", 256))
            .col(columns.long_text("body").not_null())
            .col(number("attempts"))
            .col(text("last_error", 512))
            .col(number("created_at"))
            .col(maybe_number("requested_at"))
            .foreign_key(
                ForeignKey::create()
                    .name("fk_webhook_deadletters_webhook")
                    .from("webhook_deadletters", "webhook_uuid")
                    .to("webhooks", "uuid")
                    .on_delete(ForeignKeyAction::Cascade),
            );
        manager.create_table(letters).await?;
        manager.create_index(index("webhook_deadletters", &["webhook_uuid", "created_at"])).await?;
        manager.create_index(index("webhook_deadletters", &["webhook_uuid", "requested_at"])).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["webhook_deadletters", "webhooks"]).await
    }
}
