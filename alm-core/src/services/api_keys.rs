//! Use cases of API keys, by which machines act.

use crate::{
    changeset::{Change, Changeset},
    domain::{Actor, ApiKey, Credential, CredentialId, Holder, NewApiKey, SessionEnd, Subject, Timestamp},
    policy::{Action, Principal},
    ports::{AuthError, CredentialFilter},
};

use super::{
    Alm, Context, Created, Error, IssuedTokens, Limit, Page,
    shown::{Kind, Shown},
};

/// API keys. Got from [`Alm::api_keys`].
#[derive(Clone, Copy, Debug)]
pub struct ApiKeys<'a>(pub(super) &'a Alm);

/// An API key, with the key itself when it is new.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedApiKey {
    /// What is kept of it.
    pub credential: Credential,
    /// The key. It is a secret, and can't be told again: none when the request is answered again.
    pub key: Option<String>,
}

impl IssuedApiKey {
    /// `key` is shown the first time alone: what was made for an answer that is given again is not what was committed.
    fn issued(created: Created<Credential>, key: Option<String>) -> Created<Self> {
        let Created { value: credential, replayed } = created;
        Created { value: Self { credential, key: key.filter(|_| !replayed) }, replayed }
    }
}

impl ApiKeys<'_> {
    /// The longest time that a replaced secret may go on to count, in seconds: 30 days.
    pub const MAX_GRACE_SECONDS: u32 = 30 * 24 * 60 * 60;

    /// Creates a key.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] when the name is taken, [`Error::NotConfigured`] without a source of secrets; those of every use case.
    pub async fn create(&self, cx: &Context, new: NewApiKey) -> Result<Created<IssuedApiKey>, Error> {
        let alm = self.0;
        let principal = alm.authorize(cx, Action::CreateApiKey, Subject::ApiKeys).await?;
        let secrets = alm.secrets()?;
        let mut told = None;
        let created = alm.once(cx, principal.name.as_str(), Action::CreateApiKey, async {
            let id = CredentialId::new(alm.uuid());
            let shown = Shown::api_key(id, secrets)?;
            let stamp = alm.stamp(cx);
            let key = Credential::api_key(id, new, shown.hash(secrets), stamp.at);
            told = Some(shown.text());
            let changeset = Changeset::of(stamp, Change::credential_created(&key), alm.event_id());
            Ok((key, changeset))
        });
        Ok(IssuedApiKey::issued(created.await?, told))
    }

    /// The key with this id.
    ///
    /// # Errors
    /// [`Error::NotFound`]; those of every use case.
    pub async fn get(&self, cx: &Context, id: CredentialId) -> Result<Credential, Error> {
        self.0.authorize(cx, Action::GetApiKey, Subject::ApiKey(id)).await?;
        self.load(id).await
    }

    /// Keys, oldest first, those that have expired too.
    ///
    /// # Errors
    /// Those of every use case.
    pub async fn list(
        &self,
        cx: &Context,
        after: Option<CredentialId>,
        limit: Limit,
    ) -> Result<Page<Credential, CredentialId>, Error> {
        self.0.authorize(cx, Action::ListApiKeys, Subject::ApiKeys).await?;
        let keys = self.0.inner.store.credentials(&CredentialFilter::ApiKeys, after, limit.and_one_more()).await?;
        Ok(Page::of(keys, limit, |key| key.id))
    }

    /// Gives a key another secret. The one that it had counts for `grace_seconds` more, at most
    /// [`MAX_GRACE_SECONDS`](Self::MAX_GRACE_SECONDS); one that was replaced before counts no more.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotConfigured`] without a source of secrets; those of every use case.
    pub async fn rotate(
        &self,
        cx: &Context,
        id: CredentialId,
        grace_seconds: u32,
    ) -> Result<Created<IssuedApiKey>, Error> {
        let alm = self.0;
        let principal = alm.authorize(cx, Action::RotateApiKey, Subject::ApiKey(id)).await?;
        let secrets = alm.secrets()?;
        let grace = i64::from(grace_seconds.min(Self::MAX_GRACE_SECONDS));
        // The same idempotency key for another API key is another request.
        let scope = format!("{} {id}", principal.name);
        alm.with_retries(
            || Subject::ApiKey(id),
            || async {
                let mut told = None;
                let rotated = alm.once(cx, &scope, Action::RotateApiKey, async {
                    let key = self.load(id).await?;
                    let shown = Shown::api_key(id, secrets)?;
                    let stamp = alm.stamp(cx);
                    let renewed = key.renewed(shown.hash(secrets), stamp.at, stamp.at.plus_seconds(grace));
                    told = Some(shown.text());
                    let change = Change::credential_renewed(&renewed, key.revision);
                    Ok((renewed, Changeset::of(stamp, change, alm.event_id())))
                });
                Ok(IssuedApiKey::issued(rotated.await?, told))
            },
        )
        .await
    }

    /// Ends a key: it counts no more, nor does any token that was issued for it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; those of every use case.
    pub async fn revoke(&self, cx: &Context, id: CredentialId) -> Result<(), Error> {
        let alm = self.0;
        alm.authorize(cx, Action::RevokeApiKey, Subject::ApiKey(id)).await?;
        let key = self.load(id).await?;
        let change = Change::credential_ended(&key, SessionEnd::Logout, alm.tokens_until());
        alm.commit(cx, Changeset::of(alm.stamp(cx), change, alm.event_id())).await.map(drop)
    }

    /// An access token for a key, for services that do not know the key themselves.
    ///
    /// # Errors
    /// [`Error::Token`] when the key does not count, [`Error::NotConfigured`] without a token issuer and a source of secrets; those of
    /// every use case.
    pub async fn exchange(&self, key: &str) -> Result<IssuedTokens, Error> {
        let alm = self.0;
        let (principal, until) = self.shown(key).await?;
        alm.sessions().tokens(alm.uuid(), principal, alm.now(), until, None).await
    }

    /// Whether `token` has the form of a key.
    pub(super) fn is_key(token: &str) -> bool {
        Shown::parse(Kind::ApiKey, token).is_some()
    }

    /// Who acts by `key`.
    pub(super) async fn authenticate(&self, key: &str) -> Result<Principal, Error> {
        Ok(self.shown(key).await?.0)
    }

    /// Who acts by `key`, and until when it counts.
    async fn shown(&self, key: &str) -> Result<(Principal, Timestamp), Error> {
        let alm = self.0;
        // Without a source of secrets there are no keys.
        let secrets = alm.inner.secrets.as_deref().ok_or(AuthError::Invalid)?;
        let shown = Shown::parse(Kind::ApiKey, key).ok_or(AuthError::Invalid)?;
        let id = shown.id(secrets);
        let held = alm.inner.store.credential(id).await?.ok_or(AuthError::Invalid)?;
        let (credential, now) = (held.credential, alm.now());
        match (&credential.holder, credential.counts_until(&shown.hash(secrets), now)) {
            (Holder::ApiKey(key), Some(until)) => Ok((principal(key, id), until)),
            (Holder::ApiKey(_), None) if !credential.counts(now) => Err(AuthError::Expired.into()),
            _ => Err(AuthError::Invalid.into()),
        }
    }

    async fn load(&self, id: CredentialId) -> Result<Credential, Error> {
        let held = self.0.inner.store.credential(id).await?;
        let key = held.map(|held| held.credential).filter(|credential| credential.username().is_none());
        key.ok_or(Error::NotFound(Subject::ApiKey(id)))
    }
}

/// Who acts by a key.
fn principal(key: &ApiKey, id: CredentialId) -> Principal {
    Principal::new(Actor::from(&key.name), key.role).with_grants(&key.grants).by(id)
}

impl std::fmt::Debug for IssuedApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedApiKey").field("credential", &self.credential).finish_non_exhaustive()
    }
}
