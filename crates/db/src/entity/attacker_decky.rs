//! Row of `attacker_deckies`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attacker_deckies")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub attacker_uuid: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub host_uuid: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub decky: String,
    pub ord: i64,
    pub event_count: i64,
    pub first_seen: i64,
    pub last_seen: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
