//! Row of `sessions`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub host_uuid: String,
    pub decky: String,
    pub conn_id: String,
    pub attacker_uuid: String,
    pub attacker_ip: String,
    pub src_port: Option<i64>,
    pub service: String,
    pub started_at: i64,
    pub last_seen: i64,
    pub ended_at: Option<i64>,
    pub event_count: i64,
    pub command_count: i64,
    pub auth_count: i64,
    pub authenticated: bool,
    pub client: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
