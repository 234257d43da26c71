//! Reads of accounts.

use alm_core::domain::{Timestamp, User, UserRecord, Username};
use sqlx::PgConnection;

use crate::{
    error::Fault,
    row::{all, at_most, one, user_columns},
};

pub(super) async fn get(connection: &mut PgConnection, username: &Username) -> Result<Option<UserRecord>, Fault> {
    let row = sqlx::query(concat!("SELECT ", user_columns!(), ", password_hash FROM accounts WHERE username = $1"))
        .bind(username.as_str())
        .fetch_optional(connection)
        .await?;
    Ok(one(row.as_ref())?)
}

pub(super) async fn list(
    connection: &mut PgConnection,
    after: Option<&(Timestamp, Username)>,
    limit: usize,
) -> Result<Vec<User>, Fault> {
    // The least of all times with the empty text, which is no name, comes before every account.
    let (created_at, username) = after.map_or((Timestamp::MIN, ""), |(at, name)| (*at, name.as_str()));
    let rows = sqlx::query(concat!(
        "SELECT ",
        user_columns!(),
        " FROM accounts WHERE (created_at, username) > ($1, $2) ORDER BY created_at, username LIMIT $3"
    ))
    .bind(created_at.micros())
    .bind(username)
    .bind(at_most(limit))
    .fetch_all(connection)
    .await?;
    Ok(all(&rows)?)
}
