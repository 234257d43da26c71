//! Reads of sessions and API keys.

use alm_core::{
    domain::{Credential, CredentialId},
    ports::CredentialFilter,
};
use sqlx::{PgConnection, Postgres, QueryBuilder};

use crate::{
    error::Fault,
    row::{all, at_most, credential_columns},
};

pub(super) async fn list(
    connection: &mut PgConnection,
    filter: &CredentialFilter,
    after: Option<CredentialId>,
    limit: usize,
) -> Result<Vec<Credential>, Fault> {
    Ok(all(&page(filter, after, limit).build().fetch_all(connection).await?)?)
}

/// The statement that reads a page.
pub(super) fn page(filter: &CredentialFilter, after: Option<CredentialId>, limit: usize) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(concat!("SELECT ", credential_columns!(), " FROM credentials WHERE username "));
    match filter {
        CredentialFilter::SessionsOf(username) => query.push("= ").push_bind(username.as_str()),
        CredentialFilter::ApiKeys => query.push("IS NULL"),
    };
    if let Some(after) = after {
        query.push(" AND id > ").push_bind(after.get());
    }
    query.push(" ORDER BY id LIMIT ").push_bind(at_most(limit));
    query
}
