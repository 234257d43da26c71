//! Use cases of log-ins and what follows from them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    changeset::{Change, Changeset},
    domain::{
        Actor, Credential, CredentialId, Holder, Password, SecretHash, Session, SessionEnd, Subject, Timestamp, User,
        Username,
    },
    policy::{Action, Principal},
    ports::{AuthError, CredentialFilter, Secrets, StoreError, TokenClaims, TokenIssuer},
};

use super::{
    Alm, Context, Created, Error,
    shown::{Kind, Shown},
    throttle::network,
};

/// Log-ins, and what follows from them. Got from [`Alm::sessions`].
#[derive(Clone, Copy, Debug)]
pub struct Sessions<'a>(pub(super) &'a Alm);

/// How many sessions one account has at a time: the oldest ends for one more.
pub const MAX_SESSIONS: usize = 100;

/// How many are cleared away at one log-in.
const CLEARED: usize = 10;

/// By how much the clock of who checks a token may be behind.
const LEEWAY_SECONDS: i64 = 60;

/// An access token, and what to get the next one with.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedTokens {
    /// The access token. It is a secret.
    pub access_token: String,
    /// Seconds from its issue until it expires.
    pub expires_in: u32,
    /// What the next access token is got with, once. It is a secret. None of a log-in that is answered again.
    pub refresh_token: Option<String>,
}

/// What is remembered of a login: not the tokens, which are secrets, but what to make the same access token of.
#[derive(Serialize, Deserialize)]
struct RememberedLogin {
    id: Uuid,
    issued_at: Timestamp,
    #[serde(default = "never")]
    session_until: Timestamp,
    session: Option<(CredentialId, Session)>,
}

const fn never() -> Timestamp {
    Timestamp::MAX
}

/// What is remembered of a refreshed token: what to make the same ones of, together with the refresh token that was shown.
#[derive(Serialize, Deserialize)]
struct RememberedRefresh {
    id: Uuid,
    issued_at: Timestamp,
    shown: SecretHash,
    nonce: [u8; 32],
}

impl Sessions<'_> {
    /// Opens a session for the right password. Success and failure both go on record; what is [throttled](super::LoginLimits) does not.
    ///
    /// With an idempotency key, the same access token comes again as long as it counts, at most for 24 hours; the refresh token
    /// is told once.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`], [`Error::Throttled`], [`Error::Busy`], [`Error::NotConfigured`] without a password hasher, a token issuer and a source
    /// of secrets; those of every use case.
    pub async fn login(
        &self,
        cx: &Context,
        username: &Username,
        password: &Password,
    ) -> Result<Created<IssuedTokens>, Error> {
        let alm = self.0;
        let (accounts, secrets) = (alm.accounts(), alm.secrets()?);
        let hasher = accounts.hasher()?;
        alm.issuer()?;
        let network = cx.address().map(network);
        alm.attempt(username, network).await?;
        let record = alm.inner.store.user(username).await?;
        let right = hasher.verify(password, record.as_ref().map(|record| &record.password_hash)).await?;
        let Some(record) = record.filter(|_| right) else {
            let changeset = Changeset::of(alm.stamp(cx), Change::login_failed(username), alm.event_id());
            alm.commit(cx, changeset).await?;
            return Err(Error::WrongCredentials);
        };
        self.clear_away(cx, &record.user).await?;
        // Whoever is busy hashes it the next time.
        let rehashed = if hasher.is_outdated(&record.password_hash) { hasher.hash(password).await.ok() } else { None };
        let mut told = None;
        let login = alm.once_for(i64::from(alm.inner.token_seconds), cx, username.as_str(), Action::Login, async {
            let mut stamp = alm.stamp(cx);
            stamp.actor = Actor::from(username);
            let shown = Shown::refresh_token(secrets)?;
            let expires_at = alm.now().plus_seconds(i64::from(alm.inner.session_seconds));
            let session =
                Credential::session(shown.id(secrets), &record.user, shown.hash(secrets), stamp.at, expires_at)
                    .opened_from(network);
            let (id, issued_at) = (alm.uuid(), alm.now());
            // Signed before it goes on record: a login that gets no token is none.
            let tokens =
                self.tokens(id, principal(&record.user, session.id), issued_at, expires_at, Some(&shown)).await?;
            told = Some(tokens);
            let mut changeset = Changeset::of(stamp, Change::credential_created(&session), alm.event_id());
            if let Some(new) = &rehashed {
                changeset = changeset.rehashing(username, record.password_hash.clone(), new.clone());
            }
            let of = match session.holder {
                Holder::Session(of) => Some((session.id, of)),
                Holder::ApiKey(_) => None,
            };
            Ok((RememberedLogin { id, issued_at, session_until: expires_at, session: of }, changeset))
        });
        let Created { value: login, replayed } = login.await?;
        // An account that has been changed or made anew meanwhile is another, and so this is another request.
        let session = login.session.filter(|(_, session)| session.is_of(&record.user));
        let (session, _) = session.ok_or(Error::IdempotencyMismatch)?;
        // When another process was faster with the same key, what was made here is of a session that there is not.
        let value = match told.filter(|_| !replayed) {
            Some(tokens) => tokens,
            None => {
                self.tokens(login.id, principal(&record.user, session), login.issued_at, login.session_until, None)
                    .await?
            }
        };
        Ok(Created { value, replayed })
    }

    /// Gives the next access token and the next refresh token of a session. A refresh token counts once: shown again, it ends the
    /// session with all that was got in it, for one of those who have it has stolen it (RFC 9700, 4.14.2). With an idempotency key the
    /// same request gets the same tokens again.
    ///
    /// # Errors
    /// [`Error::Token`] when the token does not count, [`Error::NotConfigured`] without a token issuer and a source of secrets; those of
    /// every use case.
    pub async fn refresh(&self, cx: &Context, refresh_token: &str) -> Result<Created<IssuedTokens>, Error> {
        let alm = self.0;
        let secrets = alm.secrets()?;
        alm.issuer()?;
        let shown = Shown::parse(Kind::RefreshToken, refresh_token).ok_or(AuthError::Invalid)?;
        let id = shown.id(secrets);
        let held = alm.inner.store.credential(id).await?.ok_or(AuthError::Invalid)?;
        let account = held.current_account().ok_or(AuthError::Invalid)?;
        if !held.credential.counts(alm.now()) {
            return Err(AuthError::Expired.into());
        }
        let principal = principal(account, id);
        let cx = &cx.clone().with_principal(principal.clone());
        let scope = id.to_string();
        let hash = shown.hash(secrets);
        let refreshed = alm.once(cx, &scope, Action::RefreshToken, async {
            if !held.credential.is_proved_by(&hash, alm.now()) {
                self.end(cx, &held.credential, SessionEnd::Replay).await?;
                tracing::warn!(session = %id, user = %principal.name, "a refresh token was shown again: its session is over");
                return Err(AuthError::Invalid.into());
            }
            let stamp = alm.stamp(cx);
            let (nonce, shown_hash) = (secrets.random()?, hash.clone());
            let remembered = RememberedRefresh { id: alm.uuid(), issued_at: alm.now(), shown: shown_hash, nonce };
            let next = shown.successor(&remembered.nonce, secrets);
            let renewed = held.credential.renewed(next.hash(secrets), stamp.at, stamp.at);
            let change = Change::credential_renewed(&renewed, held.credential.revision);
            Ok((remembered, Changeset::of(stamp, change, alm.event_id())))
        });
        let Created { value: remembered, replayed } = match refreshed.await {
            // It is over since it was looked for.
            Err(Error::NotFound(_)) => return Err(AuthError::Invalid.into()),
            // Someone else has shown it at the same time.
            Err(Error::Store(StoreError::Conflict(_))) => {
                self.end(cx, &held.credential, SessionEnd::Replay).await?;
                return Err(AuthError::Invalid.into());
            }
            done => done?,
        };
        if remembered.shown != hash {
            return Err(Error::IdempotencyMismatch);
        }
        let next = shown.successor(&remembered.nonce, secrets);
        let RememberedRefresh { id: mut token, mut issued_at, .. } = remembered;
        if issued_at.plus_seconds(i64::from(alm.inner.token_seconds)) <= alm.now() {
            // The access token of the first answer counts no more: it comes with another.
            (token, issued_at) = (alm.uuid(), alm.now());
        }
        let value = self.tokens(token, principal, issued_at, held.credential.expires_at, Some(&next)).await?;
        Ok(Created { value, replayed })
    }

    /// Ends the session that `cx` acts in: its refresh token and its access tokens count no more.
    ///
    /// # Errors
    /// [`Error::NoSession`] when its token is of none; those of every use case.
    pub async fn logout(&self, cx: &Context) -> Result<(), Error> {
        let alm = self.0;
        let principal = alm.authorize(cx, Action::Logout, Subject::Users).await?;
        let id = principal.credential.ok_or(Error::NoSession)?;
        let held = alm.inner.store.credential(id).await?;
        match held.filter(|held| held.credential.username().is_some()) {
            Some(held) => self.end(cx, &held.credential, SessionEnd::Logout).await,
            None => Err(Error::NoSession),
        }
    }

    async fn end(&self, cx: &Context, session: &Credential, reason: SessionEnd) -> Result<(), Error> {
        let alm = self.0;
        let change = Change::credential_ended(session, reason, alm.tokens_until());
        match alm.commit(cx, Changeset::of(alm.stamp(cx), change, alm.event_id())).await {
            // Someone else was faster.
            Ok(_) | Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Ends what has expired of the sessions of `account`, and the oldest when there are too many.
    async fn clear_away(&self, cx: &Context, account: &User) -> Result<(), Error> {
        let alm = self.0;
        let filter = CredentialFilter::SessionsOf(account.username.clone());
        let mut sessions = alm.inner.store.credentials(&filter, None, MAX_SESSIONS + CLEARED).await?;
        sessions.sort_by_key(|session| session.created_at);
        let (now, too_many) = (alm.now(), (sessions.len() + 1).saturating_sub(MAX_SESSIONS));
        let ended = sessions.iter().enumerate().filter_map(|(place, session)| {
            if !session.counts(now) {
                return Some((session, SessionEnd::Expired));
            }
            (place < too_many).then_some((session, SessionEnd::Displaced))
        });
        for (session, reason) in ended.take(CLEARED) {
            self.end(cx, session, reason).await?;
        }
        Ok(())
    }

    /// The tokens of a session or of a key that counts `until` then.
    pub(super) async fn tokens(
        &self,
        id: Uuid,
        principal: Principal,
        issued_at: Timestamp,
        until: Timestamp,
        refresh: Option<&Shown>,
    ) -> Result<IssuedTokens, Error> {
        let alm = self.0;
        let (expires_at, expires_in) = alm.token_expiry(issued_at, until);
        let claims = TokenClaims { id, principal, issued_at, expires_at };
        let access_token = alm.issuer()?.issue(&claims).await?;
        Ok(IssuedTokens { access_token, expires_in, refresh_token: refresh.map(Shown::text) })
    }
}

impl Alm {
    pub(super) fn secrets(&self) -> Result<&dyn Secrets, Error> {
        self.inner.secrets.as_deref().ok_or(Error::NotConfigured("a source of secrets"))
    }

    pub(super) fn issuer(&self) -> Result<&Arc<dyn TokenIssuer>, Error> {
        self.inner.issuer.as_ref().ok_or(Error::NotConfigured("a token issuer"))
    }

    /// When a token that is issued then expires, and in how many seconds: no later than `until`, when what it is issued for does.
    fn token_expiry(&self, issued_at: Timestamp, until: Timestamp) -> (Timestamp, u32) {
        let expires_at = issued_at.plus_seconds(i64::from(self.inner.token_seconds)).min(until);
        let seconds = expires_at.micros().saturating_sub(issued_at.micros()) / 1_000_000;
        (expires_at, u32::try_from(seconds).unwrap_or_default())
    }

    /// When the last of the tokens that are out by now expires.
    pub(crate) fn tokens_until(&self) -> Timestamp {
        self.now().plus_seconds(i64::from(self.inner.token_seconds) + LEEWAY_SECONDS)
    }
}

/// Who acts in a session of `account`.
fn principal(account: &User, session: CredentialId) -> Principal {
    Principal::new(Actor::from(&account.username), account.role).with_grants(&account.grants).by(session)
}

impl std::fmt::Debug for IssuedTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedTokens").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}
