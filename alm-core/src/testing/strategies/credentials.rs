//! Sessions and API keys.

use std::net::IpAddr;

use proptest::{option, prelude::*, sample::select};

use crate::domain::{ApiKey, Credential, Holder, NewApiKey, Retired, SecretHash, Session, SessionEnd};

use super::{api_key_name, credential_id, grants, resources::times, revision, role, timestamp, username};

arbitrary! {
    SecretHash => secret_hash();
    Session => session();
    Retired => retired();
    ApiKey => api_key();
    NewApiKey => new_api_key();
    Holder => holder();
    Credential => credential();
    SessionEnd => session_end();
}

/// The hash of a secret.
pub fn secret_hash() -> impl Strategy<Value = SecretHash> {
    any::<[u8; 32]>().prop_map(SecretHash::new)
}

/// Of which account a session is.
pub fn session() -> impl Strategy<Value = Session> {
    (username(), timestamp(), revision(), option::of(any::<IpAddr>())).prop_map(
        |(username, account_created_at, account_revision, address)| Session {
            username,
            account_created_at,
            account_revision,
            address,
        },
    )
}

/// A secret that was replaced.
pub fn retired() -> impl Strategy<Value = Retired> {
    (secret_hash(), timestamp()).prop_map(|(secret, until)| Retired { secret, until })
}

/// What an API key is for.
pub fn api_key() -> impl Strategy<Value = ApiKey> {
    (api_key_name(), role(), grants(), option::of(retired())).prop_map(|(name, role, grants, retired)| ApiKey {
        name,
        role,
        grants,
        retired,
    })
}

/// What it takes to create an API key.
pub fn new_api_key() -> impl Strategy<Value = NewApiKey> {
    const DAY: u32 = 24 * 60 * 60;
    let days = prop_oneof![1 => Just(1), 1 => Just(NewApiKey::MAX_DAYS), 4 => 1..=NewApiKey::MAX_DAYS];
    (api_key_name(), role(), grants(), days).prop_map(|(name, role, grants, days)| NewApiKey {
        name,
        role,
        grants,
        seconds: u32::from(days) * DAY,
    })
}

/// Who acts by a credential.
pub fn holder() -> impl Strategy<Value = Holder> {
    prop_oneof![session().prop_map(Holder::Session), api_key().prop_map(Holder::ApiKey)]
}

/// A session or an API key; it may have expired as soon as it is there.
pub fn credential() -> impl Strategy<Value = Credential> {
    (credential_id(), holder(), secret_hash(), times(), timestamp(), revision()).prop_map(
        |(id, holder, secret, (created_at, updated_at), expires_at, revision)| Credential {
            id,
            holder,
            secret,
            created_at,
            updated_at,
            expires_at,
            revision,
        },
    )
}

/// Why a session is over.
pub fn session_end() -> impl Strategy<Value = SessionEnd> {
    select(&SessionEnd::ALL[..])
}
