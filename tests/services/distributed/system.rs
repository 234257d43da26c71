//! Four services, each with a store of its own, and a bus between them.

use std::sync::Arc;

use alm_core::{
    Alm,
    changeset::ConsumerName,
    domain::{AppId, EnvironmentName, Known, ParentId, Services, VersionId},
    ports::{BackendError, Directory, EventBus, Store, TokioTimer},
    testing::{
        MemoryBus, QuickTimer,
        inspect::{audit_of, log_of},
    },
};
use alm_store_memory::MemoryStore;
use alm_test_support::eventually;
use async_trait::async_trait;
use tokio::task::AbortHandle;

use crate::given::environments;

/// A service that runs until this is dropped.
pub(crate) struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) fn run(alm: &Alm) -> Running {
    let alm = alm.clone();
    Running(tokio::spawn(async move { alm.run(QuickTimer(TokioTimer), std::future::pending()).await }).abort_handle())
}

pub(crate) fn services(names: &str) -> Services {
    names.parse().unwrap()
}

pub(crate) fn name(name: &str) -> ConsumerName {
    ConsumerName::parse(name).unwrap()
}

/// One of the services over `store`, on the bus.
pub(crate) fn service(names: &str, store: Arc<dyn Store>, bus: Arc<dyn EventBus>) -> alm_core::AlmBuilder {
    Alm::builder(store).services(services(names)).bus(bus).inbox(name(&names.replace(',', "-")))
}

/// The stores, which outlive the services.
#[derive(Default)]
pub(crate) struct Stores {
    pub(crate) app: Arc<MemoryStore>,
    pub(crate) version: Arc<MemoryStore>,
    pub(crate) deployment: Arc<MemoryStore>,
    pub(crate) audit: Arc<MemoryStore>,
}

/// All four, running.
pub(crate) struct System {
    pub(crate) bus: MemoryBus,
    pub(crate) app: Alm,
    pub(crate) version: Alm,
    pub(crate) deployment: Alm,
    pub(crate) audit: Alm,
    _running: Vec<Running>,
}

impl System {
    pub(crate) fn start() -> Self {
        Self::over(&Stores::default(), |bus| bus, &[])
    }

    /// The services over these stores; each speaks to the bus by what `way` makes of it.
    pub(crate) fn over<B: EventBus + 'static>(
        stores: &Stores,
        way: impl Fn(MemoryBus) -> B,
        auto_deploy: &[&str],
    ) -> Self {
        let bus = MemoryBus::new();
        let way: Arc<dyn EventBus> = Arc::new(way(bus.clone()));
        let owners = Arc::new(Owners { app: stores.app.clone(), version: stores.version.clone() });
        let auto_deploy: Vec<EnvironmentName> = environments(auto_deploy);
        let built = |names: &str, store: &Arc<MemoryStore>| {
            service(names, store.clone(), way.clone())
                .directory(owners.clone())
                .auto_deploy(auto_deploy.clone())
                .build()
        };
        let app = built("app,auth", &stores.app);
        let version = built("version", &stores.version);
        let deployment = built("deployment", &stores.deployment);
        let audit = built("audit", &stores.audit);
        let running = [&app, &version, &deployment, &audit].map(run).into();
        Self { bus, app, version, deployment, audit, _running: running }
    }

    pub(crate) fn all(&self) -> [&Alm; 4] {
        [&self.app, &self.version, &self.deployment, &self.audit]
    }

    /// Waits until every event of every log is audited, and checks that each is once, and in the order of its log.
    pub(crate) async fn audited(&self) {
        let is_whole = async || {
            let mut events = 0;
            for alm in self.all() {
                events += log_of(alm.store().as_ref()).await.len();
            }
            let audited = audit_of(self.audit.store().as_ref()).await.len();
            // What is audited may have further effects, and these further events.
            (audited >= events && self.is_settled().await).then_some(())
        };
        eventually("every event is audited", is_whole).await;
        let audit = audit_of(self.audit.store().as_ref()).await;
        for alm in self.all() {
            let log: Vec<_> = log_of(alm.store().as_ref()).await.iter().map(|event| event.id).collect();
            let of_log = audit.iter().map(|entry| entry.event_id).filter(|id| log.contains(id));
            assert_eq!(of_log.collect::<Vec<_>>(), log, "each event is audited once, in the order of its log");
        }
    }

    /// Whether every consumer has handled every event of every log.
    async fn is_settled(&self) -> bool {
        for reader in self.all() {
            for owner in self.all() {
                let (reads, log) = (reader.store(), owner.store());
                let head = log.head().await.unwrap();
                for consumer in reader.consumers() {
                    if consumer.as_str() == "relay" && reads.log_id() != log.log_id() {
                        continue;
                    }
                    let stands = reads.checkpoint(&consumer, log.log_id()).await.unwrap();
                    if stands.unwrap_or_default() < head {
                        return false;
                    }
                }
            }
        }
        true
    }
}

/// Waits until `alm` has heard of the app.
pub(crate) async fn knows_app(alm: &Alm, id: AppId) {
    let known = async || alm.store().known(ParentId::App(id)).await.unwrap().map(|known| assert!(is_live(known)));
    eventually("the app is known", known).await;
}

/// Waits until `alm` has heard of the version.
pub(crate) async fn knows_version(alm: &Alm, id: VersionId) {
    let known = async || alm.store().known(ParentId::Version(id)).await.unwrap().map(|known| assert!(is_live(known)));
    eventually("the version is known", known).await;
}

fn is_live(known: Known) -> bool {
    matches!(known, Known::Live { .. })
}

/// Asks the stores of the owners, as a call to their services would.
struct Owners {
    app: Arc<MemoryStore>,
    version: Arc<MemoryStore>,
}

#[async_trait]
impl Directory for Owners {
    async fn app(&self, id: AppId) -> Result<bool, BackendError> {
        use alm_core::ports::Reader;
        Ok(self.app.app(id).await.unwrap().is_some())
    }

    async fn version(&self, id: VersionId) -> Result<Option<AppId>, BackendError> {
        use alm_core::ports::Reader;
        Ok(self.version.version(id).await.unwrap().map(|version| version.app_id))
    }
}
