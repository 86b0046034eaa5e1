//! Row of `webhooks`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhooks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: String,
    pub name: String,
    pub url: String,
    pub secret: String,
    pub previous_secret: Option<String>,
    pub previous_until: Option<i64>,
    pub simple_events: String,
    pub topic_patterns: String,
    pub allow_cidrs: String,
    pub enabled: bool,
    pub ordered: bool,
    pub revision: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub failure_count: i64,
    pub breaker: String,
    pub opened_at: Option<i64>,
    pub auto_disabled_at: Option<i64>,
    pub last_success_at: Option<i64>,
    pub last_failure_at: Option<i64>,
    pub last_error: Option<String>,
    pub settled: Option<i64>,
    pub waiting: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
