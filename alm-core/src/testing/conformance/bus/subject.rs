//! A bus under test, with the harness's types erased: the cases are compiled once, whatever they are run on.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{FutureExt, future::BoxFuture};

use crate::{
    domain::{LogId, Position},
    ports::{BusError, EventBus, Ids, SystemIds},
    testing::conformance::{
        BusCapability, BusHarness, BusSubject, Capability,
        kept::{Lent, lend},
        must::Must,
    },
};

/// A bus under test.
pub struct Subject {
    erased: Lent<dyn Erased>,
    capabilities: Vec<BusCapability>,
}

impl Subject {
    /// A fresh one, and what cleans up behind it once it is dropped.
    pub(super) async fn of(harness: &impl BusHarness) -> (Self, BoxFuture<'static, ()>) {
        let erased: Box<dyn Erased> = Box::new(harness.fresh().await);
        let (erased, back) = lend(erased);
        let clean_up = async {
            if let Ok(erased) = back.await {
                erased.clean_up().await;
            }
        };
        (Self { erased, capabilities: harness.capabilities().to_vec() }, clean_up.boxed())
    }

    pub(super) fn bus(&self) -> Arc<dyn EventBus> {
        self.erased.bus()
    }

    /// Another connection; the case needs `Connections`.
    pub(super) async fn another_connection(&self) -> Arc<dyn EventBus> {
        let bus = self.erased.another_connection().await;
        bus.expect("the harness states that there can be several connections, and gives none")
    }

    pub(super) async fn expire_deliveries(&self) {
        self.erased.expire_deliveries().await;
    }

    /// Interrupts the connections; the case needs `Interruptions`.
    pub(super) async fn interrupt(&self) {
        assert!(self.erased.interrupt().await, "the harness states that it can interrupt connections, and does not");
    }

    /// Puts a foreign message on the bus; the case needs `ForeignMessages`.
    pub(super) async fn inject(&self, payload: &[u8]) {
        assert!(self.erased.inject(payload).await, "the harness states that it can inject messages, and does not");
    }
}

impl Capability for BusCapability {
    type Subject = Subject;

    fn is_stated(self, subject: &Subject) -> bool {
        subject.capabilities.contains(&self)
    }

    fn refused(self, subject: Subject) -> BoxFuture<'static, ()> {
        refuses(self, subject).boxed()
    }
}

/// Checks that the bus refuses what it can't do, and that the harness does not offer it either.
async fn refuses(lacking: BusCapability, subject: Subject) {
    let offered = match lacking {
        BusCapability::Replay => {
            let replayed = subject.bus().replay(LogId::new(SystemIds.uuid_v7()), Position::START, 1).await;
            let error = replayed.must_fail("replay, which the bus can't by the harness's statement");
            assert!(matches!(error, BusError::Unsupported(_)), "to replay must be Unsupported, and is: {error}");
            false
        }
        BusCapability::Connections => subject.erased.another_connection().await.is_some(),
        BusCapability::Interruptions => subject.erased.interrupt().await,
        BusCapability::ForeignMessages => subject.erased.inject(b"x").await,
    };
    assert!(!offered, "the harness offers {lacking}, and does not state it");
}

#[async_trait]
trait Erased: Send + Sync {
    async fn clean_up(self: Box<Self>);
    fn bus(&self) -> Arc<dyn EventBus>;
    async fn another_connection(&self) -> Option<Arc<dyn EventBus>>;
    async fn expire_deliveries(&self);
    async fn interrupt(&self) -> bool;
    async fn inject(&self, payload: &[u8]) -> bool;
}

#[async_trait]
impl<S: BusSubject> Erased for S {
    async fn clean_up(self: Box<Self>) {
        BusSubject::clean_up(*self).await;
    }

    fn bus(&self) -> Arc<dyn EventBus> {
        BusSubject::bus(self)
    }

    async fn another_connection(&self) -> Option<Arc<dyn EventBus>> {
        BusSubject::another_connection(self).await
    }

    async fn expire_deliveries(&self) {
        BusSubject::expire_deliveries(self).await;
    }

    async fn interrupt(&self) -> bool {
        BusSubject::interrupt(self).await
    }

    async fn inject(&self, payload: &[u8]) -> bool {
        BusSubject::inject(self, payload).await
    }
}
