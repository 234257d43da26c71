//! Answers that are remembered.

use alm_core::{
    changeset::{IdempotencyRecord, IdempotencyScope},
    policy::Action,
    ports::StoreError,
};
use sqlx::{SqlitePool, sqlite::SqliteRow};

use super::one;
use crate::row::Columns;

const OF_SCOPE: &str = "
    SELECT principal, action, key, fingerprint, outcome, created_at, expires_at FROM alm_answers
    WHERE principal = ?1 AND action = ?2 AND key = ?3";

pub(crate) async fn of_scope(
    readers: &SqlitePool,
    scope: &IdempotencyScope,
) -> Result<Option<IdempotencyRecord>, StoreError> {
    let statement =
        sqlx::query(OF_SCOPE).bind(scope.principal.as_str()).bind(scope.action.as_str()).bind(scope.key.as_str());
    one(readers, statement, parse).await
}

fn parse(row: &SqliteRow) -> Result<IdempotencyRecord, StoreError> {
    let mut columns = Columns::of("alm_answers", row);
    Ok(IdempotencyRecord {
        scope: IdempotencyScope {
            principal: columns.take()?,
            action: columns.find(Action::parse)?,
            key: columns.text()?,
        },
        fingerprint: columns.parse(|bytes: &[u8]| bytes.try_into())?,
        outcome: columns.json()?,
        created_at: columns.time()?,
        expires_at: columns.time()?,
    })
}
