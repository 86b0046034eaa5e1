//! Row of `fleet_deckies`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "fleet_deckies")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub host_uuid: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub services: String,
    pub decky_config: Option<String>,
    pub decky_ip: Option<String>,
    pub state: String,
    pub last_error: Option<String>,
    pub compose_hash: Option<String>,
    pub last_seen: Option<i64>,
    pub updated_at: i64,
    pub generation: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
