//! Accounts of operators and tokens taken back. Password hashes are text made and checked by the API; this file only
//! keeps them.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{OnConflict, Query};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bounds::{micros, time};
use crate::entity::{revoked_token, user};
use crate::{Db, DbError};

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Admin,
    /// Reading.
    Viewer,
}

impl Role {
    /// The word in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Viewer => "viewer",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "admin" => Ok(Self::Admin),
            "viewer" => Ok(Self::Viewer),
            other => Err(format!("role {other:?} is neither admin nor viewer")),
        }
    }
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Row id.
    pub uuid: Uuid,
    /// Login name.
    pub username: String,
    /// Encoded password hash; never shown.
    #[serde(skip)]
    pub password_hash: String,
    /// What it may do.
    pub role: Role,
    /// The password must be changed before anything else.
    pub must_change_password: bool,
    /// Tokens issued before this time are refused.
    #[serde(skip)]
    pub tokens_valid_from: Option<DateTime<Utc>>,
    /// When the account was made.
    pub created_at: DateTime<Utc>,
}

/// An account to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// Login name (1 to 64 characters).
    pub username: String,
    /// Encoded password hash.
    pub password_hash: String,
    /// What it may do.
    pub role: Role,
    /// The password must be changed at the first login.
    pub must_change_password: bool,
}

/// The account repository.
#[derive(Debug, Clone, Copy)]
pub struct Users<'a>(pub(crate) &'a Db);

impl Users<'_> {
    /// Makes an account; `None` if the name is taken.
    pub async fn create(&self, new: NewUser) -> Result<Option<User>, DbError> {
        if !(1..=64).contains(&new.username.chars().count()) || new.username.contains('\0') {
            return Err(DbError::Refused("a user name has 1 to 64 characters".to_owned()));
        }
        let row = user::Model {
            uuid: self.0.new_id().to_string(),
            username: new.username,
            password_hash: new.password_hash,
            role: new.role.as_str().to_owned(),
            must_change_password: new.must_change_password,
            tokens_valid_from: None,
            created_at: micros(self.0.now()),
        };
        let insert = &row;
        let written = self
            .0
            .write(|tx| async move {
                let active = user::ActiveModel::from(insert.clone()).reset_all();

                user::Entity::insert(active).exec_without_returning(&*tx).await?;
                Ok(())
            })
            .await;
        match written {
            Ok(()) => User::try_from(row).map(Some),
            Err(err) if err.is_twin() => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// Makes the first administrator with the change flag set. While that flag is still set, a later call brings the
    /// hash up to date with `password_hash`; afterwards never. `None` if the name belongs to an account in use.
    pub async fn ensure_admin(&self, username: &str, password_hash: &str) -> Result<Option<User>, DbError> {
        if let Some(user) = self.by_name(username).await? {
            if !user.must_change_password {
                return Ok(None);
            }
            self.update(user.uuid, |row| row.password_hash = Set(password_hash.to_owned())).await?;
            return self.by_uuid(user.uuid).await;
        }
        self.create(NewUser {
            username: username.to_owned(),
            password_hash: password_hash.to_owned(),
            role: Role::Admin,
            must_change_password: true,
        })
        .await
    }

    /// The account with this login name.
    pub async fn by_name(&self, username: &str) -> Result<Option<User>, DbError> {
        if username.contains('\0') {
            return Ok(None);
        }
        let row =
            user::Entity::find().filter(user::Column::Username.eq(username)).one(self.0.reader()).await?;
        row.map(User::try_from).transpose()
    }

    /// The account with this id.
    pub async fn by_uuid(&self, uuid: Uuid) -> Result<Option<User>, DbError> {
        let row = user::Entity::find_by_id(uuid.to_string()).one(self.0.reader()).await?;
        row.map(User::try_from).transpose()
    }

    /// All accounts, by name.
    pub async fn list(&self) -> Result<Vec<User>, DbError> {
        let rows = user::Entity::find().order_by_asc(user::Column::Username).all(self.0.reader()).await?;
        rows.into_iter().map(User::try_from).collect()
    }

    /// Sets the password hash and the change flag, and refuses tokens issued before now. False if unknown.
    pub async fn set_password(
        &self,
        uuid: Uuid,
        password_hash: &str,
        must_change: bool,
    ) -> Result<bool, DbError> {
        let now = micros(self.0.now());
        self.update(uuid, |row| {
            row.password_hash = Set(password_hash.to_owned());
            row.must_change_password = Set(must_change);
            row.tokens_valid_from = Set(Some(now));
        })
        .await
    }

    /// Sets the role, and refuses tokens issued before now. False if unknown.
    pub async fn set_role(&self, uuid: Uuid, role: Role) -> Result<bool, DbError> {
        let now = micros(self.0.now());
        self.update(uuid, |row| {
            row.role = Set(role.as_str().to_owned());
            row.tokens_valid_from = Set(Some(now));
        })
        .await
    }

    /// Refuses tokens of the account issued before `at`. False if unknown.
    pub async fn set_tokens_valid_from(&self, uuid: Uuid, at: DateTime<Utc>) -> Result<bool, DbError> {
        self.update(uuid, |row| row.tokens_valid_from = Set(Some(micros(at)))).await
    }

    /// Deletes the account; false if unknown.
    pub async fn delete(&self, uuid: Uuid) -> Result<bool, DbError> {
        let id = &uuid.to_string();
        self.0
            .write(|tx| async move {
                Ok(user::Entity::delete_by_id(id.as_str()).exec(&*tx).await?.rows_affected > 0)
            })
            .await
    }

    /// Refuses one token until it would have ended by itself. Harmless to repeat.
    pub async fn revoke_token(
        &self,
        jti: &str,
        user: Uuid,
        expires_at: DateTime<Utc>,
    ) -> Result<(), DbError> {
        let now = micros(self.0.now());
        self.0
            .write(|tx| async move {
                use revoked_token::Column;
                let insert = Query::insert()
                    .into_table(revoked_token::Entity)
                    .columns([Column::Jti, Column::UserUuid, Column::ExpiresAt, Column::RevokedAt])
                    .values_panic([
                        jti.into(),
                        user.to_string().into(),
                        micros(expires_at).into(),
                        now.into(),
                    ])
                    .on_conflict(OnConflict::column(Column::Jti).do_nothing_on([Column::Jti]).to_owned())
                    .to_owned();
                tx.execute(&insert).await?;
                Ok(())
            })
            .await
    }

    /// The token was taken back.
    pub async fn is_revoked(&self, jti: &str) -> Result<bool, DbError> {
        Ok(revoked_token::Entity::find_by_id(jti).one(self.0.reader()).await?.is_some())
    }

    /// Forgets tokens that have ended by themselves; returns how many.
    pub async fn prune_revoked(&self) -> Result<u64, DbError> {
        let now = micros(self.0.now());
        self.0
            .write(|tx| async move {
                let ended = revoked_token::Column::ExpiresAt.lt(now);
                Ok(revoked_token::Entity::delete_many().filter(ended).exec(&*tx).await?.rows_affected)
            })
            .await
    }

    async fn update(
        &self,
        uuid: Uuid,
        change: impl Fn(&mut user::ActiveModel) + Send + Sync,
    ) -> Result<bool, DbError> {
        let change = &change;
        self.0
            .write(|tx| async move {
                let mut row = user::ActiveModel {
                    uuid: sea_orm::ActiveValue::Unchanged(uuid.to_string()),
                    ..Default::default()
                };
                change(&mut row);

                match row.update(&*tx).await {
                    Ok(_) => Ok(true),
                    Err(sea_orm::DbErr::RecordNotUpdated) => Ok(false),
                    Err(err) => Err(err.into()),
                }
            })
            .await
    }
}

impl TryFrom<user::Model> for User {
    type Error = DbError;

    fn try_from(row: user::Model) -> Result<Self, DbError> {
        let damaged = |what: String| DbError::Damaged { table: "users", what };
        Ok(Self {
            uuid: row.uuid.parse().map_err(|_| damaged(format!("uuid {:?}", row.uuid)))?,
            role: row.role.parse().map_err(damaged)?,
            username: row.username,
            password_hash: row.password_hash,
            must_change_password: row.must_change_password,
            tokens_valid_from: row.tokens_valid_from.map(time),
            created_at: time(row.created_at),
        })
    }
}
