//! Accounts.

use alm_core::{
    domain::{PasswordHash, Revision, Role, Timestamp, User, UserRecord, Username},
    ports::StoreError,
};
use sqlx::{SqlitePool, sqlite::SqliteRow};

use super::{all, one};
use crate::row::{Columns, at_most};

const BY_NAME: &str = "
    SELECT username, role, grants, created_at, revision, password_hash FROM alm_users WHERE username = ?1";
const PAGE: &str = "
    SELECT username, role, grants, created_at, revision FROM alm_users
    WHERE (created_at, username) > (?1, ?2) ORDER BY created_at, username LIMIT ?3";

/// The statements that read pages.
#[cfg(test)]
pub(super) const PAGES: &[&str] = &[PAGE];

pub(crate) async fn by_name(readers: &SqlitePool, username: &Username) -> Result<Option<UserRecord>, StoreError> {
    one(readers, sqlx::query(BY_NAME).bind(username.as_str()), |row| {
        let mut columns = Columns::of("alm_users", row);
        let user = user(&mut columns)?;
        Ok(UserRecord { user, password_hash: PasswordHash::new(columns.take::<String>()?) })
    })
    .await
}

pub(crate) async fn page(
    readers: &SqlitePool,
    after: Option<&(Timestamp, Username)>,
    limit: usize,
) -> Result<Vec<User>, StoreError> {
    let (created_at, username) = after.map_or((i64::MIN, ""), |(at, username)| (at.micros(), username.as_str()));
    let statement = sqlx::query(PAGE).bind(created_at).bind(username).bind(at_most(limit));
    all(readers, statement, parse).await
}

fn parse(row: &SqliteRow) -> Result<User, StoreError> {
    user(&mut Columns::of("alm_users", row))
}

/// An account, from the next columns.
pub(super) fn user(columns: &mut Columns<'_>) -> Result<User, StoreError> {
    Ok(User {
        username: columns.text()?,
        role: columns.find(Role::parse)?,
        grants: columns.json()?,
        created_at: columns.time()?,
        revision: columns.count(Revision::new)?,
    })
}
