//! How a column is spelled on each database, decided once for all tables.
//!
//! * Times are `BIGINT` microseconds since 1970 UTC: one order, one arithmetic, no time zone of a server in between.
//! * Ids are `VARCHAR(36)`; JSON is text, because the order of keys (HTTP headers) is evidence and `jsonb` loses it.
//! * MySQL and MariaDB compare byte by byte and do not pad: `root` and `Root` and `root ` are three principals.

use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::SchemaManager;
use sea_orm_migration::sea_query::{
    Alias, ColumnDef, Index, IndexCreateStatement, Table, TableCreateStatement,
};

/// Spells columns for the database at hand.
pub(crate) struct Columns {
    backend: DbBackend,
    collation: Option<&'static str>,
}

impl Columns {
    pub(crate) async fn of(manager: &SchemaManager<'_>) -> Result<Self, DbErr> {
        let conn = manager.get_connection();
        let backend = manager.get_database_backend();
        let mut collation = None;
        if backend == DbBackend::MySql {
            let statement = sea_orm::Statement::from_string(backend, "SELECT VERSION()");
            let version: String = match conn.query_one_raw(statement).await? {
                Some(row) => row.try_get_by_index(0)?,
                None => String::new(),
            };
            let maria = version.to_ascii_lowercase().contains("mariadb");
            collation = Some(if maria { "utf8mb4_nopad_bin" } else { "utf8mb4_0900_bin" });
        }
        Ok(Self { backend, collation })
    }

    /// An empty table with the right character set.
    pub(crate) fn table(&self, name: &'static str) -> TableCreateStatement {
        let mut table = Table::create();
        table.table(name);
        if let Some(collation) = self.collation {
            table.engine("InnoDB").character_set("utf8mb4").collate(collation);
        }
        table
    }

    /// Text of any length that a bounded row may hold (`MEDIUMTEXT` where `TEXT` ends at 64 KiB).
    pub(crate) fn long_text(&self, name: &'static str) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        if self.backend == DbBackend::MySql {
            column.custom(Alias::new("MEDIUMTEXT"));
        } else {
            column.text();
        }
        column
    }
}

pub(crate) fn text(name: &'static str, chars: u32) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.string_len(chars);
    column
}

pub(crate) fn required(name: &'static str, chars: u32) -> ColumnDef {
    let mut column = text(name, chars);
    column.not_null();
    column
}

pub(crate) fn number(name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.big_integer().not_null();
    column
}

pub(crate) fn maybe_number(name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.big_integer();
    column
}

pub(crate) fn flag(name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.boolean().not_null().default(false);
    column
}

/// A row number that the database counts and never gives twice, even after the newest rows are deleted.
pub(crate) fn row_number() -> ColumnDef {
    let mut column = ColumnDef::new("id");
    column.big_integer().not_null().auto_increment().primary_key();
    column
}

pub(crate) fn index(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(format!("ix_{table}_{}", columns.join("_"))).table(table);
    for column in columns {
        index.col(*column);
    }
    index
}

pub(crate) fn unique(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = index(table, columns);
    index.name(format!("uq_{table}")).unique();
    index
}

/// Drops tables, children first.
pub(crate) async fn drop_tables(manager: &SchemaManager<'_>, tables: &[&'static str]) -> Result<(), DbErr> {
    for table in tables {
        manager.drop_table(Table::drop().table(*table).if_exists().to_owned()).await?;
    }
    Ok(())
}
