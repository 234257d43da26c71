//! Use cases of accounts and log-ins.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    changeset::{Change, Changeset},
    domain::{Actor, NewUser, Password, Role, Subject, Timestamp, User, UserRecord, Username},
    policy::{Action, Principal},
    ports::{PasswordHasher, TokenClaims},
};

use super::{Alm, Context, Created, Error, Limit, Page};

/// Accounts and log-ins. Got from [`Alm::accounts`].
#[derive(Clone, Copy, Debug)]
pub struct Accounts<'a>(pub(super) &'a Alm);

/// A token, and for how long it counts.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// The token. It is a secret.
    pub token: String,
    /// Seconds from its issue until it expires.
    pub expires_in: u32,
}

/// What is remembered of a login: not the token, which is a secret, but what to make the same one of.
#[derive(Serialize, Deserialize)]
struct RememberedLogin {
    id: Uuid,
    role: Role,
    issued_at: Timestamp,
}

impl Accounts<'_> {
    /// Creates an account.
    ///
    /// With an idempotency key the password is compared with the first one's by its hash: the fingerprint must not be made of
    /// it.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] when the name is taken, [`Error::NotConfigured`] without a password hasher; those of every
    /// use case.
    pub async fn create(&self, cx: &Context, new: NewUser) -> Result<Created<User>, Error> {
        let alm = self.0;
        let principal = alm.authorize(cx, Action::CreateUser, Subject::Users).await?;
        let hasher = self.hasher()?;
        let NewUser { username, password, role } = new;
        let created = alm.once(cx, principal.name.as_str(), Action::CreateUser, async {
            let password_hash = hasher.hash(&password).await?;
            let stamp = alm.stamp(cx);
            let record = UserRecord { user: User { username, role, created_at: stamp.at }, password_hash };
            let changeset = Changeset::of(stamp, Change::user_created(&record), alm.event_id());
            Ok((record, changeset))
        });
        let Created { value: record, replayed } = created.await?;
        if replayed && !hasher.verify(&password, Some(&record.password_hash)).await? {
            return Err(Error::IdempotencyMismatch);
        }
        Ok(Created { value: record.user, replayed })
    }

    /// Accounts, oldest first.
    ///
    /// # Errors
    /// Those of every use case.
    pub async fn list(
        &self,
        cx: &Context,
        after: Option<&(Timestamp, Username)>,
        limit: Limit,
    ) -> Result<Page<User, (Timestamp, Username)>, Error> {
        self.0.authorize(cx, Action::ListUsers, Subject::Users).await?;
        let users = self.0.inner.store.users(after, limit.and_one_more()).await?;
        Ok(Page::of(users, limit, |user| (user.created_at, user.username.clone())))
    }

    /// Deletes an account, not one's own.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::OwnAccount`]; those of every use case.
    pub async fn delete(&self, cx: &Context, username: &Username) -> Result<(), Error> {
        let alm = self.0;
        let principal = alm.authorize(cx, Action::DeleteUser, Subject::User(username.clone())).await?;
        if principal.name.as_str() == username.as_str() {
            return Err(Error::OwnAccount);
        }
        let changeset = Changeset::of(alm.stamp(cx), Change::user_deleted(username), alm.event_id());
        alm.commit(cx, changeset).await.map(drop)
    }

    /// Gives an account another password.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotConfigured`] without a password hasher; those of every use case.
    pub async fn set_password(&self, cx: &Context, username: &Username, password: &Password) -> Result<(), Error> {
        let alm = self.0;
        let subject = Subject::User(username.clone());
        let principal = alm.authorize(cx, Action::SetPassword, subject.clone()).await?;
        let hasher = self.hasher()?;
        // Hashing is dear, so it is looked first; the commit looks again.
        let Some(record) = alm.inner.store.user(username).await? else { return Err(Error::NotFound(subject)) };
        // A token whose subject only happens to be the name of an account must not become more than it is.
        if principal.role != Role::Admin && principal.role != record.user.role {
            alm.record_denial(cx, Action::SetPassword, &subject).await?;
            return Err(Error::Denied { action: Action::SetPassword, subject });
        }
        let password_hash = hasher.hash(password).await?;
        let changeset = Changeset::of(alm.stamp(cx), Change::password_changed(username, password_hash), alm.event_id());
        alm.commit(cx, changeset).await.map(drop)
    }

    /// Gives a token for the right password. Success and failure both go on record.
    ///
    /// With an idempotency key, the same token comes again as long as it counts, at most for 24 hours.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`], [`Error::Busy`], [`Error::NotConfigured`] without a password hasher and a token issuer;
    /// those of every use case.
    pub async fn login(
        &self,
        cx: &Context,
        username: &Username,
        password: &Password,
    ) -> Result<Created<IssuedToken>, Error> {
        let alm = self.0;
        let hasher = self.hasher()?;
        let issuer = alm.inner.issuer.as_ref().ok_or(Error::NotConfigured("a token issuer"))?;
        let record = alm.inner.store.user(username).await?;
        let right = hasher.verify(password, record.as_ref().map(|record| &record.password_hash)).await?;
        let Some(record) = record.filter(|_| right) else {
            let changeset = Changeset::of(alm.stamp(cx), Change::login_failed(username), alm.event_id());
            alm.commit(cx, changeset).await?;
            return Err(Error::WrongCredentials);
        };
        let lifetime = alm.inner.token_seconds;
        let role = record.user.role;
        let claims = |login: &RememberedLogin| TokenClaims {
            id: login.id,
            principal: Principal::new(Actor::from(username), login.role),
            issued_at: login.issued_at,
            expires_at: login.issued_at.plus_seconds(i64::from(lifetime)),
        };
        let mut token = None;
        let login = alm.once_for(i64::from(lifetime), cx, username.as_str(), Action::Login, async {
            let mut stamp = alm.stamp(cx);
            stamp.actor = Actor::from(username);
            let login = RememberedLogin { id: alm.uuid(), role, issued_at: alm.now() };
            // Signed before it goes on record: a login that gets no token is none.
            token = Some(issuer.issue(&claims(&login)).await?);
            Ok((login, Changeset::of(stamp, Change::login_succeeded(username), alm.event_id())))
        });
        let Created { value: login, replayed } = login.await?;
        if login.role != role {
            // The account has been made anew meanwhile, so this is another request.
            return Err(Error::IdempotencyMismatch);
        }
        let token = match token {
            Some(token) => token,
            None => issuer.issue(&claims(&login)).await?,
        };
        let value = IssuedToken { token, expires_in: lifetime };
        Ok(Created { value, replayed })
    }

    /// Creates the account `admin` if there is no account at all; says whether it did. For the host to call at start, also in
    /// several processes at once.
    ///
    /// # Errors
    /// [`Error::NotConfigured`] without a password hasher; those of every use case.
    pub async fn ensure_admin(&self, password: &Password) -> Result<bool, Error> {
        let alm = self.0;
        if !alm.inner.store.users(None, 1).await?.is_empty() {
            return Ok(false);
        }
        let username = Username::admin();
        let new = NewUser { username, password: password.clone(), role: Role::Admin };
        match self.create(&Context::new(Principal::system()), new).await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn hasher(&self) -> Result<&Arc<dyn PasswordHasher>, Error> {
        self.0.inner.hasher.as_ref().ok_or(Error::NotConfigured("a password hasher"))
    }
}

impl std::fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedToken").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}
