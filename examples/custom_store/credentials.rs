//! Sessions and API keys, and what is known of those that another service holds.

use alm_core::{
    domain::{Credential, CredentialId, Holder, Revision, Subject, Timestamp},
    ports::{CredentialFilter, HeldCredential, StoreError, Unique},
};

use super::{
    apply::{expect, insert},
    state::State,
};

impl State {
    /// The credential, and of a session the account as it is now.
    pub(crate) fn held_credential(&self, id: CredentialId) -> Option<HeldCredential> {
        let credential = self.credentials.get(&id)?.clone();
        let account = credential.username().and_then(|username| self.users.get(username));
        let account = account.map(|record| record.user.clone());
        Some(HeldCredential { credential, account })
    }

    pub(crate) fn list_credentials(
        &self,
        filter: &CredentialFilter,
        after: Option<CredentialId>,
        limit: usize,
    ) -> Vec<Credential> {
        let credentials =
            self.credentials.values().filter(|credential| after.is_none_or(|after| credential.id > after));
        credentials.filter(|credential| filter.matches(credential)).take(limit).cloned().collect()
    }

    pub(crate) fn insert_credential(&mut self, credential: Credential) -> Result<(), StoreError> {
        let (id, subject) = (credential.id, credential.subject());
        if let Holder::ApiKey(key) = &credential.holder {
            let taken = |other: &Credential| {
                other.id != id && matches!(&other.holder, Holder::ApiKey(other) if other.name == key.name)
            };
            if self.credentials.values().any(taken) {
                return Err(StoreError::AlreadyExists(Unique::ApiKeyName(key.name.clone())));
            }
        }
        insert(&mut self.credentials, id, Unique::Id(subject), credential)
    }

    pub(crate) fn update_credential(&mut self, credential: Credential, expected: Revision) -> Result<(), StoreError> {
        let old = self.credentials.get(&credential.id);
        expect(old.map(|old| old.revision), expected, credential.subject())?;
        self.credentials.insert(credential.id, credential);
        Ok(())
    }

    pub(crate) fn delete_credential(&mut self, id: CredentialId) -> Result<(), StoreError> {
        // Of what is not there no one knows whose session it was, if it was one.
        self.credentials.remove(&id).map(drop).ok_or(StoreError::NotFound(Subject::ApiKey(id)))
    }

    /// Keeps that a credential is gone. It may be told several times, also after the credential has long expired.
    pub(crate) fn revoke(&mut self, id: CredentialId, until: Timestamp, at: Timestamp) {
        // What no token can be issued for any more goes, so that the file does not grow for ever.
        self.revoked.retain(|_, until| *until > at);
        let known = self.revoked.entry(id).or_insert(until);
        *known = until.max(*known);
    }
}
