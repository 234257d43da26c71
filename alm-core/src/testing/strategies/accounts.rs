//! The accounts, sessions and API keys that there are after some changesets of a history.

use std::collections::BTreeMap;

use crate::{
    changeset::Change,
    domain::{ApiKeyName, Credential, CredentialId, Holder, PasswordHash, Timestamp, User, UserRecord, Username},
};

use super::{
    intents::{Intent, Rehashed},
    world::picked,
};

/// For how long a token counts, in seconds.
const TOKENS: i64 = 900;

/// Accounts, and what they are used by.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    users: BTreeMap<Username, UserRecord>,
    // Also those of accounts that are gone, and those that have expired.
    credentials: BTreeMap<CredentialId, Credential>,
    rehashed: Vec<Rehash>,
}

/// A password that is hashed anew.
#[derive(Debug)]
pub(super) struct Rehash {
    pub(super) username: Username,
    pub(super) old: PasswordHash,
    pub(super) new: PasswordHash,
}

impl Accounts {
    /// What follows from an intent, if it can be done.
    pub(super) fn change(&mut self, intent: Intent, at: Timestamp) -> Option<Change> {
        match intent {
            Intent::CreateUser(username, role, grants, password_hash) => {
                if self.users.contains_key(&username) {
                    return None;
                }
                let user = User::create(username.clone(), role, grants, at);
                let record = UserRecord { user, password_hash };
                self.users.insert(username, record.clone());
                Some(Change::user_created(&record))
            }
            Intent::UpdateUser(user, role, grants) => {
                let old = picked(&self.users, user)?;
                let (expected, user) = (old.user.revision, old.user.update(role, grants)?);
                self.users.get_mut(&user.username)?.user = user.clone();
                Some(Change::user_updated(&user, expected))
            }
            Intent::SetPassword(user, hash) => {
                let old = picked(&self.users, user)?.clone();
                let record = self.users.get_mut(&old.user.username)?;
                record.user.revision = record.user.revision.next();
                record.password_hash = hash.clone();
                Some(Change::password_changed(&old, hash))
            }
            Intent::DeleteUser(user) => {
                let username = picked(&self.users, user)?.user.username.clone();
                self.users.remove(&username);
                Some(Change::user_deleted(&username))
            }
            Intent::LogIn(user) => {
                picked(&self.users, user).map(|record| Change::login_succeeded(&record.user.username))
            }
            Intent::FailToLogIn(username) => Some(Change::login_failed(&username)),
            credential => self.change_credential(credential, at),
        }
    }

    fn change_credential(&mut self, intent: Intent, at: Timestamp) -> Option<Change> {
        match intent {
            Intent::OpenSession(user, id, secret, seconds, rehashed) => {
                let record = picked(&self.users, user)?;
                let session = Credential::session(id, &record.user, secret, at, at.plus_seconds(seconds));
                let (username, hash) = (record.user.username.clone(), record.password_hash.clone());
                let change = self.create(session)?;
                let rehash = |Rehashed { outdated, new }| Rehash { username, old: outdated.unwrap_or(hash), new };
                self.rehashed.extend(rehashed.map(rehash));
                Some(change)
            }
            Intent::CreateApiKey(id, secret, new) => {
                if self.credentials.values().filter_map(name).any(|name| *name == new.name) {
                    return None;
                }
                self.create(Credential::api_key(id, new, secret, at))
            }
            Intent::RenewCredential(credential, secret, seconds) => {
                let old = picked(&self.credentials, credential)?;
                let (expected, renewed) = (old.revision, old.renewed(secret, at, at.plus_seconds(seconds)));
                self.credentials.insert(renewed.id, renewed.clone());
                Some(Change::credential_renewed(&renewed, expected))
            }
            Intent::EndCredential(credential, reason) => {
                let id = picked(&self.credentials, credential)?.id;
                let ended = self.credentials.remove(&id)?;
                Some(Change::credential_ended(&ended, reason, at.plus_seconds(TOKENS)))
            }
            _ => None,
        }
    }

    fn create(&mut self, credential: Credential) -> Option<Change> {
        if self.credentials.contains_key(&credential.id) {
            return None;
        }
        let change = Change::credential_created(&credential);
        self.credentials.insert(credential.id, credential);
        Some(change)
    }

    /// The passwords that are hashed anew at the end of a changeset. Meanwhile they may be others, and then they stay.
    pub(super) fn rehashed(&mut self) -> Vec<Rehash> {
        let rehashed = std::mem::take(&mut self.rehashed);
        for Rehash { username, old, new } in &rehashed {
            if let Some(record) = self.users.get_mut(username).filter(|record| record.password_hash == *old) {
                record.password_hash = new.clone();
            }
        }
        rehashed
    }
}

/// The name of an API key.
fn name(credential: &Credential) -> Option<&ApiKeyName> {
    match &credential.holder {
        Holder::ApiKey(key) => Some(&key.name),
        Holder::Session(_) => None,
    }
}
