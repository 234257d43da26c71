//! Use cases of accounts.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    changeset::{Change, Changeset},
    domain::{Invalid, NewUser, Password, Role, Subject, Timestamp, User, UserRecord, UserUpdate, Username},
    policy::{Action, Principal, Rule},
    ports::{Contention, PasswordHasher, StoreError},
};

use super::{Alm, Context, Created, Error, Limit, Page, Precondition, throttle::network};

/// For how long after a log-in the own password may be set without showing it again.
const FRESH_SECONDS: i64 = 5 * 60;

/// Accounts. Got from [`Alm::accounts`].
#[derive(Clone, Copy, Debug)]
pub struct Accounts<'a>(pub(super) &'a Alm);

impl Accounts<'_> {
    /// Creates an account.
    ///
    /// With an idempotency key the password is compared with the first one's by its hash: the fingerprint must not be made of
    /// it.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] when the name is taken, [`Error::Invalid`] when the host's policy refuses the password,
    /// [`Error::NotConfigured`] without a password hasher; those of every
    /// use case.
    pub async fn create(&self, cx: &Context, new: NewUser) -> Result<Created<User>, Error> {
        let alm = self.0;
        let principal = alm.authorize(cx, Action::CreateUser, Subject::Users).await?;
        let hasher = self.hasher()?;
        let NewUser { username, password, role, grants } = new;
        let created = alm.once(cx, principal.name.as_str(), Action::CreateUser, async {
            self.check(&username, &password).await?;
            let password_hash = hasher.hash(&password).await?;
            let stamp = alm.stamp(cx);
            let record = UserRecord { user: User::create(username, role, grants, stamp.at), password_hash };
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

    /// Gives an account another password. Its sessions are over, also the one that this is asked for in: whoever else had the old
    /// password is out.
    ///
    /// Whoever sets the own password in a session shows the `current` one, unless the log-in was in the last five minutes: who has got hold
    /// of a token must not get the account for good (OWASP ASVS 5.0, 6.2.3).
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] when the host's policy refuses it or the current one is wrong or missing,
    /// [`Error::Throttled`], [`Error::NotConfigured`] without a password hasher; those of every use case.
    pub async fn set_password(
        &self,
        cx: &Context,
        username: &Username,
        password: &Password,
        current: Option<&Password>,
    ) -> Result<(), Error> {
        let alm = self.0;
        let subject = Subject::User(username.clone());
        let principal = alm.authorize(cx, Action::SetPassword, subject.clone()).await?;
        let hasher = self.hasher()?;
        let Some(record) = alm.inner.store.user(username).await? else { return Err(Error::NotFound(subject)) };
        let by_right = Rule { own: false, ..Action::SetPassword.rule() }.allows(principal, &subject.clone().into());
        if !by_right {
            self.is_own(cx, principal, &record).await?;
            self.check_current(cx, principal, &record, current).await?;
        }
        self.check(username, password).await?;
        // It takes a while: what was changed meanwhile must not be undone by one who could not ask for it any more, so the commit looks at
        // what was read here.
        let change = Change::password_changed(&record, hasher.hash(password).await?);
        match alm.commit(cx, Changeset::of(alm.stamp(cx), change, alm.event_id())).await {
            Err(Error::Store(StoreError::Conflict(Contention::Revision(_)))) => Err(Error::Contended(subject)),
            done => done.map(drop),
        }
    }

    /// Fails unless who acts under the name of an account is its holder: in a session of it, or with no less than the account may itself.
    /// A token whose subject only happens to be the name of an account must not become more than it is.
    async fn is_own(&self, cx: &Context, principal: &Principal, record: &UserRecord) -> Result<(), Error> {
        let may_as_much = principal.role == record.user.role
            && record.user.grants.iter().all(|grant| principal.scopes.contains(&grant.to_string()));
        if principal.credential.is_some() || may_as_much {
            return Ok(());
        }
        let subject = Subject::User(record.user.username.clone());
        self.0.record_denial(cx, Action::SetPassword, &subject).await?;
        Err(Error::Denied { action: Action::SetPassword, subject })
    }

    /// Fails unless who acts in a session knows the password or has just shown it.
    async fn check_current(
        &self,
        cx: &Context,
        principal: &Principal,
        record: &UserRecord,
        current: Option<&Password>,
    ) -> Result<(), Error> {
        let alm = self.0;
        let Some(id) = principal.credential else { return Ok(()) };
        let Some(current) = current else {
            let held = alm.inner.store.credential(id).await?;
            let logged_in = held.map(|held| held.credential.created_at);
            let is_fresh = logged_in.is_some_and(|at| alm.now() < at.plus_seconds(FRESH_SECONDS));
            let detail = "must be the current password, as the log-in was more than five minutes ago";
            return if is_fresh { Ok(()) } else { Err(Error::field("/current_password", "missing-field", detail)) };
        };
        alm.attempt(&record.user.username, cx.address().map(network)).await?;
        if self.hasher()?.verify(current, Some(&record.password_hash)).await? {
            return Ok(());
        }
        Err(Error::field("/current_password", "wrong-password", "is not the current password"))
    }

    /// Gives an account another role and other grants, not one's own. Its sessions are over: what they could do may be less now.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PreconditionFailed`], [`Error::OwnAccount`]; those of every use case.
    pub async fn update(
        &self,
        cx: &Context,
        username: &Username,
        update: UserUpdate,
        precondition: &Precondition,
    ) -> Result<User, Error> {
        let alm = self.0;
        let subject = || Subject::User(username.clone());
        let principal = alm.authorize(cx, Action::UpdateUser, subject()).await?;
        if principal.name.as_str() == username.as_str() {
            return Err(Error::OwnAccount);
        }
        alm.with_retries(subject, || async {
            let record = alm.inner.store.user(username).await?.ok_or(Error::NotFound(subject()))?;
            precondition.check(subject(), record.user.revision)?;
            let UserUpdate { role, grants } = update.clone();
            let Some(updated) = record.user.update(role, grants) else { return Ok(record.user) };
            let change = Change::user_updated(&updated, record.user.revision);
            alm.commit(cx, Changeset::of(alm.stamp(cx), change, alm.event_id())).await?;
            Ok(updated)
        })
        .await
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
        let new = NewUser { username, password: password.clone(), role: Role::Admin, grants: BTreeSet::new() };
        match self.create(&Context::new(Principal::system()), new).await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the host's policy lets `password` be set.
    async fn check(&self, username: &Username, password: &Password) -> Result<(), Error> {
        let Some(policy) = &self.0.inner.password_policy else { return Ok(()) };
        match policy.refusal(password, username).await? {
            Some(rejected) => Err(Invalid::field(rejected.at("/password")).into()),
            None => Ok(()),
        }
    }

    pub(super) fn hasher(&self) -> Result<&Arc<dyn PasswordHasher>, Error> {
        self.0.inner.hasher.as_ref().ok_or(Error::NotConfigured("a password hasher"))
    }
}
