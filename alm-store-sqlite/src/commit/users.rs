//! Writes of accounts.

use alm_core::{
    domain::{PasswordHash, Subject, UserRecord, Username},
    ports::{StoreError, Unique},
};
use sqlx::SqliteConnection;

use super::rows::{Statement, run};
use crate::error::taken;

const INSERT: &str = "
    INSERT INTO alm_users (username, role, created_at, password_hash) VALUES (?1, ?2, ?3, ?4)";
const SET_PASSWORD: &str = "UPDATE alm_users SET password_hash = ?2 WHERE username = ?1";
const DELETE: &str = "DELETE FROM alm_users WHERE username = ?1";

pub(super) async fn insert(connection: &mut SqliteConnection, record: &UserRecord) -> Result<(), StoreError> {
    let user = &record.user;
    let statement = sqlx::query(INSERT)
        .bind(user.username.as_str())
        .bind(user.role.as_str())
        .bind(user.created_at.micros())
        .bind(record.password_hash.as_str());
    match statement.execute(connection).await {
        Ok(_) => Ok(()),
        Err(error) => Err(taken("commit", error, Unique::Username(user.username.clone()), None)),
    }
}

pub(super) async fn set_password(
    connection: &mut SqliteConnection,
    username: &Username,
    hash: &PasswordHash,
) -> Result<(), StoreError> {
    change(connection, sqlx::query(SET_PASSWORD).bind(username.as_str()).bind(hash.as_str()), username).await
}

pub(super) async fn delete(connection: &mut SqliteConnection, username: &Username) -> Result<(), StoreError> {
    change(connection, sqlx::query(DELETE).bind(username.as_str()), username).await
}

async fn change(
    connection: &mut SqliteConnection,
    statement: Statement,
    username: &Username,
) -> Result<(), StoreError> {
    match run(connection, statement).await?.rows_affected() {
        0 => Err(StoreError::NotFound(Subject::User(username.clone()))),
        _ => Ok(()),
    }
}
