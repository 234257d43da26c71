//! What goes wrong with accounts, sessions and API keys.

use alm_core::{
    changeset::Write,
    domain::{ApiKeyName, Credential, Holder, PasswordHash, Revision, Subject, Timestamp, UserRecord, Username},
    ports::{Contention, HeldCredential, StoreError, Unique},
};

use super::{commit::Flawed, defect::Defect, parts::Parts, toy::State};

impl Parts {
    /// Does to what is written of accounts and credentials what `defect` does before it is applied to `state`.
    pub(super) fn spoil_accounts(&mut self, defect: Defect, state: &State) -> Result<(), StoreError> {
        for write in &mut self.writes {
            match (defect, write) {
                (Defect::ReplacesAnyPassword, Write::SetPassword { username, old, .. })
                | (Defect::RehashesAnyPassword, Write::RehashPassword { username, old, .. }) => {
                    if let Some(record) = state.users.get(username) {
                        *old = record.password_hash.clone();
                    }
                }
                (Defect::RefusesALateRehash, Write::RehashPassword { username, old, .. }) => {
                    let is_same = |record: &UserRecord| record.password_hash == *old;
                    if !state.users.get(username).is_some_and(is_same) {
                        return Err(StoreError::Conflict(Contention::Revision(Subject::User(username.clone()))));
                    }
                }
                (Defect::ForgetsRetiredSecrets, Write::UpdateCredential { credential, .. }) => {
                    if let Holder::ApiKey(key) = &mut credential.holder {
                        key.retired = None;
                    }
                }
                (Defect::IgnoresCase, Write::InsertCredential(credential)) => {
                    let lower = |name: &ApiKeyName| name.as_str().to_lowercase();
                    if let Some(name) = named(credential)
                        && state.credentials.values().filter_map(named).any(|other| lower(other) == lower(name))
                    {
                        return Err(StoreError::AlreadyExists(Unique::ApiKeyName(name.clone())));
                    }
                }
                // `distort_accounts` gives it the name that it is to have.
                (Defect::NamesOfKeysMayRepeat, Write::InsertCredential(credential)) => {
                    if let Holder::ApiKey(key) = &mut credential.holder {
                        key.name = ApiKeyName::parse(credential.id.to_string()).expect("an id is a name");
                    }
                }
                (Defect::KeepsRevocationsForEver, Write::CredentialGone { until, .. }) => *until = Timestamp::MAX,
                _ => {}
            }
        }
        if defect == Defect::KeepsWhatHasEnded {
            let ends =
                |write: &Write| matches!(write, Write::DeleteCredential { id } if state.credentials.contains_key(id));
            self.writes.retain(|write| !ends(write));
        }
        Ok(())
    }
}

impl Flawed {
    /// What becomes of accounts and credentials after a commit of `writes`.
    pub(super) fn distort_accounts(&self, next: &mut State, writes: &[Write]) {
        for write in writes {
            match (self.defect, write) {
                (Defect::UpdatesDropThePassword, Write::UpdateUser { user, .. }) => {
                    change(next, &user.username, |record| record.password_hash = PasswordHash::new(""));
                }
                (Defect::KeepsTheRevisionOfAPassword, Write::SetPassword { username, .. }) => {
                    change(next, username, |record| {
                        record.user.revision = Revision::new(record.user.revision.get() - 1);
                    });
                }
                (Defect::RehashEndsSessions, Write::RehashPassword { username, .. }) => {
                    change(next, username, |record| record.user.revision = record.user.revision.next());
                }
                (Defect::EndsSessionsWithTheirAccount, Write::DeleteUser { username }) => {
                    next.credentials.retain(|_, credential| credential.username() != Some(username));
                }
                (Defect::NamesOfKeysMayRepeat, Write::InsertCredential(credential)) => {
                    next.credentials.insert(credential.id, credential.clone());
                }
                _ => {}
            }
        }
    }

    /// A credential as it is read.
    pub(super) fn show(&self, mut held: HeldCredential) -> HeldCredential {
        if let (Holder::Session(session), Some(account)) = (&held.credential.holder, &mut held.account) {
            match self.defect {
                Defect::ShowsTheAccountOfTheLogIn => {
                    (account.created_at, account.revision) = (session.account_created_at, session.account_revision);
                }
                Defect::TakesTheNameForTheAccount => account.created_at = session.account_created_at,
                _ => {}
            }
        }
        held
    }
}

/// Forgets until when what is told to be gone was known to be.
pub(super) fn forget_until_when(writes: &[Write], state: &mut State) {
    for write in writes {
        if let Write::CredentialGone { id, .. } = write {
            state.revoked.remove(id);
        }
    }
}

fn change(state: &mut State, username: &Username, change: impl FnOnce(&mut UserRecord)) {
    if let Some(record) = state.users.get_mut(username) {
        change(record);
    }
}

/// The name of an API key.
fn named(credential: &Credential) -> Option<&ApiKeyName> {
    match &credential.holder {
        Holder::ApiKey(key) => Some(&key.name),
        Holder::Session(_) => None,
    }
}
