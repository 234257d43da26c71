//! Sessions and API keys.

use std::{
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

use alm_core::{
    domain::{Credential, CredentialId, Holder, Revision, Subject, Timestamp},
    ports::{CredentialFilter, HeldCredential, StoreError, Unique},
};

use crate::{
    apply::{claim, expect, taken},
    state::State,
};

impl State {
    pub(crate) fn held_credential(&self, id: CredentialId) -> Option<HeldCredential> {
        let credential = self.credentials.get(&id)?.as_ref().clone();
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
        let listed = |id| self.credentials.get(&id).map(|credential| credential.as_ref().clone());
        match filter {
            CredentialFilter::SessionsOf(username) => {
                let of_user = self.sessions_by_user.iter().filter(|(owner, _)| owner == username);
                let later = of_user.map(|(_, id)| *id).filter(|id| after.is_none_or(|after| *id > after));
                later.filter_map(listed).take(limit).collect()
            }
            CredentialFilter::ApiKeys => {
                let later = self.credentials.range((after.map_or(Unbounded, Excluded), Unbounded));
                let keys = later.map(|(_, credential)| credential.as_ref()).filter(|one| filter.matches(one));
                keys.take(limit).cloned().collect()
            }
        }
    }

    pub(crate) fn insert_credential(&mut self, credential: Credential) -> Result<(), StoreError> {
        let id = credential.id;
        if self.credentials.contains_key(&id) {
            return Err(taken(Unique::Id(credential.subject())));
        }
        match &credential.holder {
            Holder::Session(session) => self.sessions_by_user.insert_mut((session.username.clone(), id)),
            Holder::ApiKey(key) => {
                claim(&mut self.api_keys, key.name.clone(), id).map_err(|name| taken(Unique::ApiKeyName(name)))?;
            }
        }
        self.credentials.insert_mut(id, Arc::new(credential));
        Ok(())
    }

    pub(crate) fn update_credential(&mut self, credential: Credential, expected: Revision) -> Result<(), StoreError> {
        let id = credential.id;
        expect(self.credentials.get(&id), || credential.subject(), expected, |old| old.revision)?;
        self.credentials.insert_mut(id, Arc::new(credential));
        Ok(())
    }

    pub(crate) fn delete_credential(&mut self, id: CredentialId) -> Result<(), StoreError> {
        let old = self.credentials.get(&id).ok_or(StoreError::NotFound(Subject::ApiKey(id)))?.clone();
        match &old.holder {
            Holder::Session(session) => self.sessions_by_user.remove_mut(&(session.username.clone(), id)),
            Holder::ApiKey(key) => self.api_keys.remove_mut(&key.name),
        };
        self.credentials.remove_mut(&id);
        Ok(())
    }

    pub(crate) fn revoke(&mut self, id: CredentialId, until: Timestamp, at: Timestamp) {
        // Two of the oldest go for each that comes, so what has expired goes faster than anything comes.
        for _ in 0..2 {
            let Some((expired, old)) = self.revoked_by_expiry.first().copied().filter(|(until, _)| *until <= at) else {
                break;
            };
            self.revoked_by_expiry.remove_mut(&(expired, old));
            self.revoked.remove_mut(&old);
        }
        let until = match self.revoked.get(&id).copied() {
            Some(known) => {
                self.revoked_by_expiry.remove_mut(&(known, id));
                known.max(until)
            }
            None => until,
        };
        self.revoked.insert_mut(id, until);
        self.revoked_by_expiry.insert_mut((until, id));
    }
}
