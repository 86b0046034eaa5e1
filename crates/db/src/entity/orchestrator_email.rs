//! Row of `orchestrator_emails`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "orchestrator_emails")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: String,
    pub ts: i64,
    pub mail_decky_uuid: String,
    pub thread_id: String,
    pub message_id: String,
    pub in_reply_to: Option<String>,
    pub sender_email: String,
    pub recipient_email: String,
    pub subject: String,
    pub language: String,
    pub eml_path: String,
    pub success: bool,
    pub payload: String,
    pub ancestors: String,
    pub excerpt: String,
    pub answered: bool,
    pub planted_mtime: i64,
    pub mode: i64,
    pub uid: i64,
    pub gid: i64,
    pub size: i64,
    pub content_hash: String,
    pub raw: String,
    pub state: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
