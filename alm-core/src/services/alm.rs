//! The handle that everything is reached by.

use std::sync::{Arc, atomic::AtomicI64};

use crate::{
    changeset::ConsumerName,
    domain::{Services, Subject, Timestamp},
    policy::{Action, Place, Principal, Target},
    ports::{Authenticator, Authorizer, Clock, Decision, Directory, EventBus, Ids, PasswordHasher, Store, TokenIssuer},
    runtime::{Handler, Retention},
};

#[cfg(feature = "tlog")]
use super::AuditTree;
use super::{
    Accounts, AlmBuilder, Apps, Audit, Context, Deployments, Error, Log, Versions, id_pool::IdPool,
    idempotency::Running, store_state::Seen,
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
    pub(super) token_seconds: u32,
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

    /// Accounts and log-ins.
    pub fn accounts(&self) -> Accounts<'_> {
        Accounts(self)
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

    /// Who `token` belongs to.
    ///
    /// # Errors
    /// [`Error::Token`] when it does not count, [`Error::NotConfigured`] without an authenticator.
    pub async fn authenticate(&self, token: &str) -> Result<Principal, Error> {
        let authenticator = self.inner.authenticator.as_ref().ok_or(Error::NotConfigured("an authenticator"))?;
        Ok(authenticator.authenticate(token, self.now()).await?)
    }

    pub(crate) fn now(&self) -> Timestamp {
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
        target.place = place.await?;
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
