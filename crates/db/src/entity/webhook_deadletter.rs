//! Row of `webhook_deadletters`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_deadletters")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: String,
    pub webhook_uuid: String,
    pub event_id: String,
    pub topic: String,
    pub body: String,
    pub attempts: i64,
    pub last_error: Option<String>,
    pub created_at: i64,
    pub requested_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
