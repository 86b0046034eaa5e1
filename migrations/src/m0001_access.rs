//! Who may come in, and the key/value shelf: `users`, `revoked_tokens`, `state`. Roles and hashing are the API's business.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use crate::columns::{Columns, drop_tables, flag, index, maybe_number, number, required, unique};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0001_access"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager).await?;
        let mut users = columns.table("users");
        users
            .col(required("uuid", 36).primary_key())
            .col(required("username", 64))
            .col(required("password_hash", 512))
            .col(required("role", 16).default("viewer"))
            .col(flag("must_change_password"))
            .col(maybe_number("tokens_valid_from"))
            .col(number("created_at"));
        manager.create_table(users).await?;
        manager.create_index(unique("users", &["username"])).await?;

        let mut revoked = columns.table("revoked_tokens");
        revoked
            .col(required("jti", 64).primary_key())
            .col(required("user_uuid", 36))
            .col(number("expires_at"))
            .col(number("revoked_at"));
        manager.create_table(revoked).await?;
        manager.create_index(index("revoked_tokens", &["user_uuid"])).await?;
        manager.create_index(index("revoked_tokens", &["expires_at"])).await?;

        let mut state = columns.table("state");
        state
            .col(required("key", 128).primary_key())
            .col(columns.long_text("value").not_null())
            .col(number("updated_at"));
        manager.create_table(state).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["state", "revoked_tokens", "users"]).await
    }
}
