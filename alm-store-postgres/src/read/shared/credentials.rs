//! What every request with a token asks about its credential.

use std::collections::BTreeSet;

use alm_core::{domain::CredentialId, ports::HeldCredential};
use sqlx::{PgConnection, types::Uuid};

use crate::{
    error::Fault,
    row::{all, credential_columns, user_columns},
};

use super::Question;

/// The credential with this id, and the account that it is of.
#[derive(Clone, Copy)]
pub(crate) struct Held(pub(crate) CredentialId);

impl Held {
    pub(crate) const STATEMENT: &str = concat!(
        "SELECT ",
        credential_columns!(),
        ", ",
        user_columns!(),
        " FROM credentials LEFT JOIN accounts ON accounts.username = credentials.username \
         WHERE credentials.id = ANY($1) ORDER BY credentials.id"
    );
}

impl Question for Held {
    type Answer = Option<HeldCredential>;

    const MOST: usize = 128;

    async fn answers(asked: &[Self], connection: &mut PgConnection) -> Result<Vec<Option<HeldCredential>>, Fault> {
        let ids: Vec<Uuid> = asked.iter().map(|Self(id)| id.get()).collect();
        let found: Vec<HeldCredential> = all(&sqlx::query(Self::STATEMENT).bind(ids).fetch_all(connection).await?)?;
        let place = |id| found.binary_search_by_key(id, |held| held.credential.id).ok();
        Ok(asked.iter().map(|Self(id)| place(id).map(|place| found[place].clone())).collect())
    }
}

/// Whether the credential with this id, which another service held, is known to be gone.
#[derive(Clone, Copy)]
pub(crate) struct IsRevoked(pub(crate) CredentialId);

impl IsRevoked {
    pub(crate) const STATEMENT: &str = "SELECT id FROM revocations WHERE id = ANY($1)";
}

impl Question for IsRevoked {
    type Answer = bool;

    const MOST: usize = 128;

    async fn answers(asked: &[Self], connection: &mut PgConnection) -> Result<Vec<bool>, Fault> {
        let ids: Vec<Uuid> = asked.iter().map(|Self(id)| id.get()).collect();
        let revoked: Vec<Uuid> = sqlx::query_scalar(Self::STATEMENT).bind(ids).fetch_all(connection).await?;
        let revoked: BTreeSet<Uuid> = revoked.into_iter().collect();
        Ok(asked.iter().map(|Self(id)| revoked.contains(&id.get())).collect())
    }
}
