//! Row of `synthetic_files`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "synthetic_files")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: String,
    pub decky_uuid: String,
    pub path: String,
    pub persona: String,
    pub content_class: String,
    pub created_at: i64,
    pub last_modified: i64,
    pub edit_count: i64,
    pub content_hash: String,
    pub last_body: String,
    pub login: String,
    pub planted_mtime: i64,
    pub size: i64,
    pub mode: i64,
    pub uid: i64,
    pub gid: i64,
    pub state: String,
    pub last_verified_at: Option<i64>,
    pub last_event_uuid: Option<String>,
    pub body_b64: Option<String>,
    pub found_hash: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
