//! How a host puts ALM together.

use std::sync::{Arc, atomic::AtomicI64};

use crate::{
    changeset::ConsumerName,
    domain::{EnvironmentName, Services, SourceService, Timestamp},
    measured::Measured,
    policy::RoleTable,
    ports::{
        Authenticator, Authorizer, Clock, Directory, EventBus, Ids, PasswordHasher, PasswordPolicy, Secrets, Store,
        SystemClock, SystemIds, TokenIssuer,
    },
    runtime::{AuditConsumer, AutoDeploy, Cascade, Handler, Retention, SessionConsumer},
};

#[cfg(feature = "tlog")]
use super::AuditTree;
use super::{
    Alm, LoginLimits, alm::Inner, id_pool::IdPool, idempotency::Running, store_state::Seen, throttle::Refused,
};

/// Puts [`Alm`] together. Got from [`Alm::builder`].
#[must_use = "`build` makes an `Alm` of it"]
pub struct AlmBuilder {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    authorizer: Arc<dyn Authorizer>,
    directory: Option<Arc<dyn Directory>>,
    authenticator: Option<Arc<dyn Authenticator>>,
    issuer: Option<Arc<dyn TokenIssuer>>,
    hasher: Option<Arc<dyn PasswordHasher>>,
    password_policy: Option<Arc<dyn PasswordPolicy>>,
    secrets: Option<Arc<dyn Secrets>>,
    token_seconds: u32,
    session_seconds: u32,
    login_limits: LoginLimits,
    auto_deploy: Vec<EnvironmentName>,
    services: Services,
    bus: Option<Arc<dyn EventBus>>,
    inbox: Option<ConsumerName>,
    handlers: Vec<Arc<dyn Handler>>,
    retention: Option<Retention>,
    #[cfg(feature = "tlog")]
    audit_tree: Option<AuditTree>,
}

impl AlmBuilder {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
            authorizer: Arc::new(RoleTable),
            directory: None,
            authenticator: None,
            issuer: None,
            hasher: None,
            password_policy: None,
            secrets: None,
            token_seconds: 900,
            session_seconds: 30 * 24 * 60 * 60,
            login_limits: LoginLimits::default(),
            auto_deploy: Vec::new(),
            services: Services::ALL,
            bus: None,
            inbox: None,
            handlers: Vec::new(),
            retention: None,
            #[cfg(feature = "tlog")]
            audit_tree: None,
        }
    }

    /// Another clock than the machine's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Another source of UUIDs.
    pub fn ids(mut self, ids: Arc<dyn Ids>) -> Self {
        self.ids = ids;
        self
    }

    /// Another policy than the table in [`policy`](crate::policy).
    pub fn authorizer(mut self, authorizer: Arc<dyn Authorizer>) -> Self {
        self.authorizer = authorizer;
        self
    }

    /// Who is asked for parents that are not here: by default no one when the service that holds them
    /// [runs here](Self::services), and else no one can tell.
    pub fn directory(mut self, directory: Arc<dyn Directory>) -> Self {
        self.directory = Some(directory);
        self
    }

    /// What tokens are checked by.
    pub fn authenticator(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.authenticator = Some(authenticator);
        self
    }

    /// Which passwords may be set; every one of 8 characters to 256 bytes unless told.
    pub fn password_policy(mut self, policy: Arc<dyn PasswordPolicy>) -> Self {
        self.password_policy = Some(policy);
        self
    }

    /// What makes the secrets of sessions and API keys; without it there are none, and no one can log in.
    pub fn secrets(mut self, secrets: Arc<dyn Secrets>) -> Self {
        self.secrets = Some(secrets);
        self
    }

    /// What makes the tokens of [`Sessions::login`](super::Sessions::login).
    pub fn token_issuer(mut self, issuer: Arc<dyn TokenIssuer>) -> Self {
        self.issuer = Some(issuer);
        self
    }

    /// What passwords are hashed by.
    pub fn password_hasher(mut self, hasher: Arc<dyn PasswordHasher>) -> Self {
        self.hasher = Some(hasher);
        self
    }

    /// For how many seconds the token of a login counts; 900 unless told.
    pub fn token_seconds(mut self, seconds: u32) -> Self {
        self.token_seconds = seconds;
        self
    }

    /// After how many seconds one has to log in again, however often the token was refreshed; 30 days unless told.
    pub fn session_seconds(mut self, seconds: u32) -> Self {
        self.session_seconds = seconds;
        self
    }

    /// How many attempts to log in are let through.
    pub fn login_limits(mut self, limits: LoginLimits) -> Self {
        self.login_limits = limits;
        self
    }

    /// The environments to which each new version is deployed (`pending`) by itself; none unless told.
    pub fn auto_deploy(mut self, environments: impl IntoIterator<Item = EnvironmentName>) -> Self {
        self.auto_deploy = environments.into_iter().collect();
        self
    }

    /// The services that this process runs, on its store; all unless told. The others run elsewhere, with stores of their own: what
    /// they hold is known here by their events, so there must be a [`bus`](Self::bus) and an [`inbox`](Self::inbox), and else by
    /// asking the [`directory`](Self::directory).
    pub fn services(mut self, services: Services) -> Self {
        self.services = services;
        self
    }

    /// A bus that carries every event to other processes; none unless told. While it is down everything goes on, and it is told what
    /// it has missed once it is there again.
    pub fn bus(mut self, bus: Arc<dyn EventBus>) -> Self {
        self.bus = Some(bus);
        self
    }

    /// Lets every consumer of this process, the host's too, also read the logs of the other services that the bus carries, each with
    /// a checkpoint of its own. `name` is that of the store among those that subscribe: all processes on one store have the same,
    /// and no other has it.
    pub fn inbox(mut self, name: ConsumerName) -> Self {
        self.inbox = Some(name);
        self
    }

    /// A consumer of the host's own, beside the built-in ones.
    pub fn handler(mut self, handler: Arc<dyn Handler>) -> Self {
        self.handlers.push(handler);
        self
    }

    /// What [`Alm::run`] removes when it is old; nothing unless told.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = Some(retention);
        self
    }

    /// The tree over the audit log of this store, which [`Alm::run`] grows and signs; none unless told. Where several processes work on
    /// one store one of them does it, so all should have the same.
    #[cfg(feature = "tlog")]
    pub fn audit_tree(mut self, tree: AuditTree) -> Self {
        self.audit_tree = Some(tree);
        self
    }

    /// The finished handle.
    pub fn build(self) -> Alm {
        let has = |service| self.services.has(service);
        let mut handlers: Vec<Arc<dyn Handler>> = Vec::new();
        if has(SourceService::AuditService) {
            handlers.push(Arc::new(AuditConsumer));
        }
        if has(SourceService::VersionService) || has(SourceService::DeploymentService) {
            handlers.push(Arc::new(Cascade::of(self.services)));
        }
        handlers.push(Arc::new(SessionConsumer::of(self.services)));
        if has(SourceService::DeploymentService) {
            handlers.push(Arc::new(AutoDeploy::to(self.auto_deploy)));
        }
        handlers.extend(self.handlers);
        Alm {
            inner: Arc::new(Inner {
                store: self.store,
                clock: self.clock,
                ids: self.ids,
                authorizer: self.authorizer,
                directory: self.directory,
                services: self.services,
                bus: self.bus,
                inbox: self.inbox,
                authenticator: self.authenticator,
                issuer: self.issuer,
                hasher: self.hasher,
                password_policy: self.password_policy,
                secrets: self.secrets,
                token_seconds: self.token_seconds,
                session_seconds: self.session_seconds,
                login_limits: self.login_limits,
                refused: Refused::default(),
                handlers,
                retention: self.retention,
                #[cfg(feature = "tlog")]
                audit_tree: self.audit_tree,
                id_pool: IdPool::default(),
                running: Running::default(),
                seen: Seen::default(),
                measured: Measured::default(),
                last_stamp: AtomicI64::new(Timestamp::MIN.micros()),
            }),
        }
    }
}
