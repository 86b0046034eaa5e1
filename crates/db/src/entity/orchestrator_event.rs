//! Row of `orchestrator_events`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "orchestrator_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: String,
    pub ts: i64,
    pub kind: String,
    pub protocol: String,
    pub action: String,
    pub src_decky_uuid: Option<String>,
    pub dst_decky_uuid: String,
    pub success: bool,
    pub payload: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
