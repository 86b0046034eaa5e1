//! Row of `content_pool`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "content_pool")]
#[expect(clippy::struct_field_names, reason = "the column is the name of the language model")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: String,
    pub content_class: String,
    pub persona: String,
    pub language: String,
    pub context: String,
    pub subject: String,
    pub body: String,
    pub content_hash: String,
    pub model: String,
    pub created_at: i64,
    pub used_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
