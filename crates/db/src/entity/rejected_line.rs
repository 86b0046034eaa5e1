//! Row of `rejected_lines`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rejected_lines")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub host_uuid: String,
    pub source: String,
    pub seq: i64,
    pub decky: String,
    pub raw: String,
    pub encoding: String,
    pub error: String,
    pub error_offset: i64,
    pub received_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
