//! Writes of accounts.

use alm_core::{
    domain::{PasswordHash, Revision, Subject, User, UserRecord, Username},
    ports::{StoreError, Unique},
};
use sqlx::SqliteConnection;

use super::rows::{Statement, run, unchanged};
use crate::{
    error::taken,
    row::{json_text, stored},
};

const EXISTS: &str = "SELECT EXISTS (SELECT 1 FROM alm_users WHERE username = ?1)";
const INSERT: &str = "
    INSERT INTO alm_users (username, role, grants, created_at, revision, password_hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const UPDATE: &str = "
    UPDATE alm_users SET role = ?3, grants = ?4, revision = ?5 WHERE username = ?1 AND revision = ?2";
const SET_PASSWORD: &str = "
    UPDATE alm_users SET password_hash = ?4, revision = revision + 1
    WHERE username = ?1 AND revision = ?2 AND password_hash = ?3";
const REHASH: &str = "UPDATE alm_users SET password_hash = ?3 WHERE username = ?1 AND password_hash = ?2";
const DELETE: &str = "DELETE FROM alm_users WHERE username = ?1";

pub(super) async fn insert(connection: &mut SqliteConnection, record: &UserRecord) -> Result<(), StoreError> {
    let user = &record.user;
    let statement = sqlx::query(INSERT)
        .bind(user.username.as_str())
        .bind(user.role.as_str())
        .bind(json_text(&user.grants)?)
        .bind(user.created_at.micros())
        .bind(stored(user.revision.get())?)
        .bind(record.password_hash.as_str());
    match statement.execute(connection).await {
        Ok(_) => Ok(()),
        Err(error) => Err(taken("commit", error, Unique::Username(user.username.clone()), None)),
    }
}

pub(super) async fn update(
    connection: &mut SqliteConnection,
    user: &User,
    expected: Revision,
) -> Result<(), StoreError> {
    let statement = sqlx::query(UPDATE)
        .bind(user.username.as_str())
        .bind(stored(expected.get())?)
        .bind(user.role.as_str())
        .bind(json_text(&user.grants)?)
        .bind(stored(user.revision.get())?);
    changed(connection, statement, &user.username).await
}

pub(super) async fn set_password(
    connection: &mut SqliteConnection,
    username: &Username,
    expected: Revision,
    old: &PasswordHash,
    new: &PasswordHash,
) -> Result<(), StoreError> {
    let statement = sqlx::query(SET_PASSWORD)
        .bind(username.as_str())
        .bind(stored(expected.get())?)
        .bind(old.as_str())
        .bind(new.as_str());
    changed(connection, statement, username).await
}

/// Puts `new` in the place of `old`, unless there is something else by now.
pub(super) async fn rehash(
    connection: &mut SqliteConnection,
    username: &Username,
    old: &PasswordHash,
    new: &PasswordHash,
) -> Result<(), StoreError> {
    let statement = sqlx::query(REHASH).bind(username.as_str()).bind(old.as_str()).bind(new.as_str());
    run(connection, statement).await.map(drop)
}

pub(super) async fn delete(connection: &mut SqliteConnection, username: &Username) -> Result<(), StoreError> {
    match run(connection, sqlx::query(DELETE).bind(username.as_str())).await?.rows_affected() {
        0 => Err(StoreError::NotFound(Subject::User(username.clone()))),
        _ => Ok(()),
    }
}

/// Runs a change of an account that is as it was when it was decided.
async fn changed(
    connection: &mut SqliteConnection,
    statement: Statement,
    username: &Username,
) -> Result<(), StoreError> {
    match run(connection, statement).await?.rows_affected() {
        0 => Err(unchanged(connection, EXISTS, username.as_str(), Subject::User(username.clone())).await),
        _ => Ok(()),
    }
}
