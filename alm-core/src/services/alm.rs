//! The handle that everything is reached by.

use std::sync::{Arc, atomic::AtomicI64};

use crate::{
    changeset::ConsumerName,
    domain::{Services, SourceService, Subject, Timestamp},
    measured::Measured,
    policy::{Action, Place, Principal, Target},
    ports::{
        AuthError, Authenticator, Authorizer, Clock, Decision, Directory, EventBus, Ids, PasswordHasher,
        PasswordPolicy, Secrets, Store, TokenIssuer,
    },
    runtime::{Handler, Retention},
};

#[cfg(feature = "tlog")]
use super::AuditTree;
use super::{
    Accounts, AlmBuilder, ApiKeys, Apps, Audit, Context, Deployments, Error, Log, LoginLimits, Sessions, Versions,
    id_pool::IdPool, idempotency::Running, store_state::Seen, throttle::Refused,
};

/// ALM: every use case, over the adapters that the host has plugged in. Cheap to clone; all clones are one.
///
/// Calls may be made from any number of tasks at once. Consumers (the audit log, the cascade, auto-deploy) work only while the
/// future of [`Alm::run`] is polled.
#[derive(Clone)]
pub struct Alm {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(super) authorizer: Arc<dyn Authorizer>,
    pub(super) directory: Option<Arc<dyn Directory>>,
    pub(super) authenticator: Option<Arc<dyn Authenticator>>,
    pub(super) issuer: Option<Arc<dyn TokenIssuer>>,
    pub(super) hasher: Option<Arc<dyn PasswordHasher>>,
    pub(super) password_policy: Option<Arc<dyn PasswordPolicy>>,
    pub(super) secrets: Option<Arc<dyn Secrets>>,
    pub(super) token_seconds: u32,
    pub(super) session_seconds: u32,
    pub(super) login_limits: LoginLimits,
    pub(super) refused: Refused,
    pub(crate) services: Services,
    pub(crate) bus: Option<Arc<dyn EventBus>>,
    pub(crate) inbox: Option<ConsumerName>,
    pub(crate) handlers: Vec<Arc<dyn Handler>>,
    pub(crate) retention: Option<Retention>,
    #[cfg(feature = "tlog")]
    pub(crate) audit_tree: Option<AuditTree>,
    pub(super) id_pool: IdPool,
    pub(super) running: Running,
    pub(super) seen: Seen,
    pub(super) measured: Measured,
    pub(super) last_stamp: AtomicI64,
}

impl Alm {
    /// ALM over `store`. Everything else has a default or can be added.
    pub fn builder(store: Arc<dyn Store>) -> AlmBuilder {
        AlmBuilder::new(store)
    }

    /// Applications.
    pub fn apps(&self) -> Apps<'_> {
        Apps(self)
    }

    /// Versions.
    pub fn versions(&self) -> Versions<'_> {
        Versions(self)
    }

    /// Deployments, and what runs where.
    pub fn deployments(&self) -> Deployments<'_> {
        Deployments(self)
    }

    /// The audit log.
    pub fn audit(&self) -> Audit<'_> {
        Audit(self)
    }

    /// Accounts.
    pub fn accounts(&self) -> Accounts<'_> {
        Accounts(self)
    }

    /// Log-ins, and what follows from them.
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions(self)
    }

    /// API keys.
    pub fn api_keys(&self) -> ApiKeys<'_> {
        ApiKeys(self)
    }

    /// Who `cx` acts for.
    ///
    /// # Errors
    /// Those of every use case.
    pub async fn whoami<'c>(&self, cx: &'c Context) -> Result<&'c Principal, Error> {
        self.authorize(cx, Action::WhoAmI, Subject::Users).await
    }

    /// The event log.
    pub fn log(&self) -> Log<'_> {
        Log(self)
    }

    /// The services that this process runs.
    pub fn services(&self) -> Services {
        self.inner.services
    }

    /// The bus that the host has plugged in, if any.
    pub fn bus(&self) -> Option<&Arc<dyn EventBus>> {
        self.inner.bus.as_ref()
    }

    /// The store that the host has plugged in.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// Who `token`, an access token or an API key, belongs to. A token that was issued in a session or for an API key counts no longer
    /// than that does: where the accounts are, from the moment at which it ends; elsewhere, once that is heard.
    ///
    /// # Errors
    /// [`Error::Token`] when it does not count, [`Error::NotConfigured`] without an authenticator; those of the store.
    pub async fn authenticate(&self, token: &str) -> Result<Principal, Error> {
        let has_accounts = self.inner.services.has(SourceService::AuthService);
        if has_accounts && ApiKeys::is_key(token) {
            return self.api_keys().authenticate(token).await;
        }
        let authenticator = self.inner.authenticator.as_ref().ok_or(Error::NotConfigured("an authenticator"))?;
        let principal = authenticator.authenticate(token, self.now()).await?;
        let Some(id) = principal.credential else { return Ok(principal) };
        let counts = if has_accounts {
            let held = self.inner.store.credential(id).await?.filter(|held| held.credential.counts(self.now()));
            held.is_some_and(|held| held.credential.username().is_none() || held.current_account().is_some())
        } else {
            !self.inner.store.is_revoked(id).await?
        };
        if counts { Ok(principal) } else { Err(AuthError::Invalid.into()) }
    }

    /// The time by the clock that is plugged in.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// The principal of `cx` if it may do `action` to `subject`; else the refusal is put on record.
    pub(super) async fn authorize<'c>(
        &self,
        cx: &'c Context,
        action: Action,
        subject: Subject,
    ) -> Result<&'c Principal, Error> {
        self.authorize_in(cx, action, subject, async { Ok(None) }).await
    }

    /// As [`authorize`](Self::authorize), for what is in a place. It is found out by `place`, when it matters; there may be none, since
    /// the subject does not exist.
    pub(super) async fn authorize_in<'c>(
        &self,
        cx: &'c Context,
        action: Action,
        subject: Subject,
        place: impl Future<Output = Result<Option<Place>, Error>> + Send,
    ) -> Result<&'c Principal, Error> {
        let principal = cx.principal().ok_or(Error::Unauthenticated)?;
        let mut target = Target::from(subject);
        let authorizer = &self.inner.authorizer;
        if authorizer.authorize(principal, action, &target).await == Decision::Allowed {
            return Ok(principal);
        }
        // Where it is opens nothing to one who has no grants, and may cost a call to another service.
        if principal.grants().next().is_some() {
            target.place = place.await?;
        }
        if target.place.is_some() && authorizer.authorize(principal, action, &target).await == Decision::Allowed {
            return Ok(principal);
        }
        self.record_denial(cx, action, &target.subject).await?;
        Err(Error::Denied { action, subject: target.subject })
    }
}

impl std::fmt::Debug for Alm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alm").field("log", &self.inner.store.log_id()).finish_non_exhaustive()
    }
}
