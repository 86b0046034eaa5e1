//! What the lines add up to: `attackers` with their child lists, `credentials`, `sessions`. Unique keys make twins impossible.

use sea_orm::DbErr;
use sea_orm_migration::sea_query::{
    ForeignKey, ForeignKeyAction, ForeignKeyCreateStatement, Index, IndexCreateStatement,
};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use crate::columns::{
    Columns, drop_tables, flag, index, maybe_number, number, required, row_number, text, unique,
};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0003_attackers"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager).await?;
        let mut attackers = columns.table("attackers");
        attackers
            .col(required("uuid", 36).primary_key())
            .col(required("ip", 45))
            .col(number("first_seen"))
            .col(number("last_seen"))
            .col(number("event_count"))
            .col(number("service_count"))
            .col(number("decky_count"))
            .col(number("credential_count"))
            .col(number("session_count"))
            .col(number("command_count"))
            .col(number("updated_at"));
        manager.create_table(attackers).await?;
        manager.create_index(unique("attackers", &["ip"])).await?;
        for column in ["first_seen", "last_seen", "event_count", "updated_at"] {
            manager.create_index(index("attackers", &[column])).await?;
        }

        let mut services = columns.table("attacker_services");
        services
            .col(required("attacker_uuid", 36))
            .col(required("service", 48))
            .col(flag("interacted"))
            .col(number("event_count"))
            .col(number("first_seen"))
            .col(number("last_seen"))
            .primary_key(&mut key(&["attacker_uuid", "service"]))
            .foreign_key(&mut of_attacker("attacker_services"));
        manager.create_table(services).await?;
        manager.create_index(index("attacker_services", &["service"])).await?;

        let mut deckies = columns.table("attacker_deckies");
        deckies
            .col(required("attacker_uuid", 36))
            .col(required("host_uuid", 64))
            .col(required("decky", 255))
            .col(number("ord"))
            .col(number("event_count"))
            .col(number("first_seen"))
            .col(number("last_seen"))
            .primary_key(&mut key(&["attacker_uuid", "host_uuid", "decky"]))
            .foreign_key(&mut of_attacker("attacker_deckies"));
        manager.create_table(deckies).await?;

        let mut commands = columns.table("attacker_commands");
        commands
            .col(row_number())
            .col(required("attacker_uuid", 36))
            .col(number("timestamp"))
            .col(required("host_uuid", 64))
            .col(required("decky", 255))
            .col(required("service", 48))
            .col(text("conn_id", 64))
            .col(columns.long_text("command").not_null())
            .foreign_key(&mut of_attacker("attacker_commands"));
        manager.create_table(commands).await?;
        manager.create_index(index("attacker_commands", &["attacker_uuid", "id"])).await?;

        let mut credentials = columns.table("credentials");
        credentials
            .col(required("id", 36).primary_key())
            .col(required("attacker_ip", 45))
            .col(text("attacker_uuid", 36))
            .col(required("host_uuid", 64))
            .col(required("decky_name", 255))
            .col(required("service", 48))
            .col(text("principal", 256))
            .col(required("principal_key", 256))
            .col(required("secret_kind", 32).default("plaintext"))
            .col(required("secret_sha256", 64))
            .col(number("secret_len"))
            .col(text("secret_b64", 2048))
            .col(text("secret_printable", 512))
            .col(text("outcome", 16))
            .col(columns.long_text("fields").not_null())
            .col(number("first_seen"))
            .col(number("last_seen"))
            .col(number("attempt_count"))
            .foreign_key(&mut of_attacker("credentials"));
        manager.create_table(credentials).await?;
        let twins = ["secret_sha256", "attacker_ip", "decky_name", "service", "secret_kind", "principal_key"];
        manager.create_index(unique("credentials", &twins)).await?;
        for columns in [
            &["attacker_uuid"][..],
            &["attacker_ip"],
            &["principal", "service"],
            &["service", "last_seen"],
            &["last_seen"],
        ] {
            manager.create_index(index("credentials", columns)).await?;
        }

        let mut sessions = columns.table("sessions");
        sessions
            .col(required("id", 36).primary_key())
            .col(required("host_uuid", 64))
            .col(required("decky", 255))
            .col(required("conn_id", 64))
            .col(required("attacker_uuid", 36))
            .col(required("attacker_ip", 45))
            .col(maybe_number("src_port"))
            .col(required("service", 48))
            .col(number("started_at"))
            .col(number("last_seen"))
            .col(maybe_number("ended_at"))
            .col(number("event_count"))
            .col(number("command_count"))
            .col(number("auth_count"))
            .col(flag("authenticated"))
            .col(text("client", 512))
            .foreign_key(&mut of_attacker("sessions"));
        manager.create_table(sessions).await?;
        manager.create_index(unique("sessions", &["conn_id", "decky", "host_uuid"])).await?;
        for columns in [&["attacker_uuid", "started_at"][..], &["started_at"], &["ended_at", "last_seen"]] {
            manager.create_index(index("sessions", columns)).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let children_first = [
            "sessions",
            "credentials",
            "attacker_commands",
            "attacker_deckies",
            "attacker_services",
            "attackers",
        ];
        drop_tables(manager, &children_first).await
    }
}

fn key(columns: &[&'static str]) -> IndexCreateStatement {
    let mut key = Index::create();
    for column in columns {
        key.col(*column);
    }
    key
}

fn of_attacker(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("fk_{table}_attacker"))
        .from(table, "attacker_uuid")
        .to("attackers", "uuid")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}
