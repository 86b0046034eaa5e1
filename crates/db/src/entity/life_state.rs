//! Row of `life_state`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "life_state")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub decky_uuid: String,
    pub incarnation: String,
    pub born: i64,
    pub aged_at: Option<i64>,
    pub updated_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
