//! Row of `attacker_commands`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attacker_commands")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub attacker_uuid: String,
    pub timestamp: i64,
    pub host_uuid: String,
    pub decky: String,
    pub service: String,
    pub conn_id: Option<String>,
    pub command: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
