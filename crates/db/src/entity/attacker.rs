//! Row of `attackers`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attackers")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: String,
    pub ip: String,
    pub first_seen: i64,
    pub last_seen: i64,
    pub event_count: i64,
    pub service_count: i64,
    pub decky_count: i64,
    pub credential_count: i64,
    pub session_count: i64,
    pub command_count: i64,
    pub updated_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
