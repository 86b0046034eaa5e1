//! Row of `credentials`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "credentials")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub attacker_ip: String,
    pub attacker_uuid: Option<String>,
    pub host_uuid: String,
    pub decky_name: String,
    pub service: String,
    pub principal: Option<String>,
    pub principal_key: String,
    pub secret_kind: String,
    pub secret_sha256: String,
    pub secret_len: i64,
    pub secret_b64: Option<String>,
    pub secret_printable: Option<String>,
    pub outcome: Option<String>,
    pub fields: String,
    pub first_seen: i64,
    pub last_seen: i64,
    pub attempt_count: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
