//! Sessions and API keys.

use alm_core::{
    domain::{Credential, CredentialId},
    ports::{CredentialFilter, HeldCredential, StoreError},
};
use sqlx::{SqlitePool, sqlite::SqliteRow};

use super::{all, one, users};
use crate::row::{Columns, at_most};

const HELD: &str = "
    SELECT credential.id, credential.body, user.username, user.role, user.grants, user.created_at, user.revision
    FROM alm_credentials AS credential LEFT JOIN alm_users AS user ON user.username = credential.username
    WHERE credential.id = ?1";
const SESSIONS_OF: &str = "
    SELECT id, body FROM alm_credentials INDEXED BY alm_credentials_of_user
    WHERE username = ?3 AND id > ?1 ORDER BY id LIMIT ?2";
const API_KEYS: &str = "
    SELECT id, body FROM alm_credentials INDEXED BY alm_credentials_of_user
    WHERE username IS NULL AND id > ?1 ORDER BY id LIMIT ?2";

/// The statements that read pages, and the one that every request waits for.
#[cfg(test)]
pub(super) const PAGES: &[&str] = &[API_KEYS, SESSIONS_OF, HELD];

pub(crate) async fn held(readers: &SqlitePool, id: CredentialId) -> Result<Option<HeldCredential>, StoreError> {
    one(readers, sqlx::query(HELD).bind(id.get()), |row| {
        let mut columns = Columns::of("alm_credentials", row);
        let credential = credential(&mut columns)?;
        let mut columns = columns.then("alm_users");
        let account = if columns.are_there()? { Some(users::user(&mut columns)?) } else { None };
        Ok(HeldCredential { credential, account })
    })
    .await
}

pub(crate) async fn page(
    readers: &SqlitePool,
    filter: &CredentialFilter,
    after: Option<CredentialId>,
    limit: usize,
) -> Result<Vec<Credential>, StoreError> {
    // No bytes at all are before every id.
    let after = after.map_or_else(Vec::new, |after| after.get().as_bytes().to_vec());
    let page = |sql| sqlx::query(sql).bind(after).bind(at_most(limit));
    let statement = match filter {
        CredentialFilter::SessionsOf(username) => page(SESSIONS_OF).bind(username.as_str()),
        CredentialFilter::ApiKeys => page(API_KEYS),
    };
    all(readers, statement, parse).await
}

fn parse(row: &SqliteRow) -> Result<Credential, StoreError> {
    credential(&mut Columns::of("alm_credentials", row))
}

fn credential(columns: &mut Columns<'_>) -> Result<Credential, StoreError> {
    columns.take::<&[u8]>()?;
    columns.json()
}
