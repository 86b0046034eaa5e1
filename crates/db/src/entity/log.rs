//! Row of `logs`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "logs")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub timestamp: i64,
    pub decky: String,
    pub service: String,
    pub event_type: String,
    pub attacker_ip: String,
    pub src_port: Option<i64>,
    pub conn_id: Option<String>,
    pub origin: String,
    pub forged: bool,
    pub raw_line: String,
    pub fields: String,
    pub msg: Option<String>,
    pub trace_id: Option<String>,
    pub span_id: Option<String>,
    pub host_uuid: String,
    pub source: String,
    pub seq: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
