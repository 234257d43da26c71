//! A store under test, with the harness's types erased: the cases are compiled once, whatever they are run on.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{FutureExt, future::BoxFuture};

use crate::{
    ports::TreeStore,
    testing::conformance::{
        Capability, TreeCapability, TreeHarness, TreeSubject,
        kept::{Lent, lend},
    },
};

/// A store under test.
pub struct Subject {
    erased: Lent<dyn Erased>,
    capabilities: Vec<TreeCapability>,
}

impl Subject {
    /// A fresh one, and what cleans up behind it once it is dropped.
    pub(super) async fn of(harness: &impl TreeHarness) -> (Self, BoxFuture<'static, ()>) {
        let erased: Box<dyn Erased> = Box::new(harness.fresh().await);
        let (erased, back) = lend(erased);
        let clean_up = async {
            if let Ok(erased) = back.await {
                erased.clean_up().await;
            }
        };
        (Self { erased, capabilities: harness.capabilities().to_vec() }, clean_up.boxed())
    }

    fn can(&self, capability: TreeCapability) -> bool {
        self.capabilities.contains(&capability)
    }

    pub(super) fn store(&self) -> Arc<dyn TreeStore> {
        self.erased.store()
    }

    /// Another handle; the case needs `Handles`.
    pub(super) async fn another_handle(&self) -> Arc<dyn TreeStore> {
        let handle = self.erased.another_handle().await;
        handle.expect("the harness states that there can be several handles, and gives none")
    }

    /// The handles that rivals take turns in: two when there can be several.
    pub(super) async fn rivals(&self) -> Vec<Arc<dyn TreeStore>> {
        let mut handles = vec![self.store()];
        if self.can(TreeCapability::Handles) {
            handles.push(self.another_handle().await);
        }
        handles
    }

    /// The store, closed and opened; the case needs `Durability` and has dropped its handles.
    pub(super) async fn reopen(&mut self) -> Arc<dyn TreeStore> {
        let handle = self.erased.reopen().await;
        handle.expect("the harness states that the store is durable, and does not reopen it")
    }
}

impl Capability for TreeCapability {
    type Subject = Subject;

    fn is_stated(self, subject: &Subject) -> bool {
        subject.can(self)
    }

    fn refused(self, mut subject: Subject) -> BoxFuture<'static, ()> {
        async move {
            let offered = match self {
                Self::Durability => subject.erased.reopen().await.is_some(),
                Self::Handles => subject.erased.another_handle().await.is_some(),
            };
            assert!(!offered, "the harness offers {self}, and does not state it");
        }
        .boxed()
    }
}

#[async_trait]
trait Erased: Send + Sync {
    async fn clean_up(self: Box<Self>);
    fn store(&self) -> Arc<dyn TreeStore>;
    async fn another_handle(&self) -> Option<Arc<dyn TreeStore>>;
    async fn reopen(&mut self) -> Option<Arc<dyn TreeStore>>;
}

#[async_trait]
impl<S: TreeSubject> Erased for S {
    async fn clean_up(self: Box<Self>) {
        TreeSubject::clean_up(*self).await;
    }

    fn store(&self) -> Arc<dyn TreeStore> {
        TreeSubject::store(self)
    }

    async fn another_handle(&self) -> Option<Arc<dyn TreeStore>> {
        TreeSubject::another_handle(self).await
    }

    async fn reopen(&mut self) -> Option<Arc<dyn TreeStore>> {
        TreeSubject::reopen(self).await
    }
}
