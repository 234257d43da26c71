//! A store under test, with the harness's types erased: the cases are compiled once, whatever they are run on.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::OnceCell;

use crate::{
    changeset::Changeset,
    ports::Store,
    testing::conformance::{
        Capability, HeldCommit, StoreCapability, StoreHarness, StoreSubject,
        kept::{Lent, lend},
    },
};

use super::unsupported::refuses;

/// A store under test.
pub struct Subject {
    erased: Lent<dyn Erased>,
    capabilities: Vec<StoreCapability>,
    other: OnceCell<Arc<dyn Store>>,
}

impl Subject {
    /// A fresh one, and what cleans up behind it once it is dropped.
    pub(super) async fn of(harness: &impl StoreHarness) -> (Self, BoxFuture<'static, ()>) {
        let erased: Box<dyn Erased> = Box::new(harness.fresh().await);
        let (erased, back) = lend(erased);
        let clean_up = async {
            if let Ok(erased) = back.await {
                erased.clean_up().await;
            }
        };
        (Self { erased, capabilities: harness.capabilities().to_vec(), other: OnceCell::new() }, clean_up.boxed())
    }

    pub(super) fn can(&self, capability: StoreCapability) -> bool {
        self.capabilities.contains(&capability)
    }

    pub(super) fn store(&self) -> Arc<dyn Store> {
        self.erased.store()
    }

    /// Another handle; the case needs `Handles`.
    pub(super) async fn another_handle(&self) -> Arc<dyn Store> {
        let handle = self.erased.another_handle().await;
        handle.expect("the harness states that there can be several handles, and gives none")
    }

    /// The handles that rivals take turns in: two when there can be several.
    pub(super) async fn rivals(&self) -> Vec<Arc<dyn Store>> {
        let mut handles = vec![self.store()];
        if self.can(StoreCapability::Handles) {
            handles.push(self.other.get_or_init(|| self.another_handle()).await.clone());
        }
        handles
    }

    /// The store, closed and opened; the case needs `Durability` and has dropped its handles.
    pub(super) async fn reopen(&mut self) -> Arc<dyn Store> {
        self.other = OnceCell::new();
        let handle = self.erased.reopen().await;
        handle.expect("the harness states that the store is durable, and does not reopen it")
    }

    /// A commit held open; the case needs `HeldCommits`.
    pub(super) async fn hold(&self, changeset: Changeset) -> HeldCommit {
        let held = self.erased.hold(changeset).await;
        held.expect("the harness states that it can hold a commit open, and does not")
    }

    /// Whether the harness does what needs this capability, whatever it states.
    pub(super) async fn offers(&mut self, capability: StoreCapability, changeset: Changeset) -> bool {
        match capability {
            StoreCapability::Handles => self.erased.another_handle().await.is_some(),
            StoreCapability::Durability => self.erased.reopen().await.is_some(),
            StoreCapability::HeldCommits => self.erased.hold(changeset).await.is_some(),
            StoreCapability::Apps
            | StoreCapability::Versions
            | StoreCapability::Deployments
            | StoreCapability::Accounts
            | StoreCapability::Audit
            | StoreCapability::Parents
            | StoreCapability::Roles => self.can(capability),
        }
    }
}

impl Capability for StoreCapability {
    type Subject = Subject;

    fn is_stated(self, subject: &Subject) -> bool {
        subject.can(self)
    }

    fn refused(self, subject: Subject) -> BoxFuture<'static, ()> {
        refuses(self, subject).boxed()
    }
}

#[async_trait]
trait Erased: Send + Sync {
    async fn clean_up(self: Box<Self>);
    fn store(&self) -> Arc<dyn Store>;
    async fn another_handle(&self) -> Option<Arc<dyn Store>>;
    async fn reopen(&mut self) -> Option<Arc<dyn Store>>;
    async fn hold(&self, changeset: Changeset) -> Option<HeldCommit>;
}

#[async_trait]
impl<S: StoreSubject> Erased for S {
    async fn clean_up(self: Box<Self>) {
        StoreSubject::clean_up(*self).await;
    }

    fn store(&self) -> Arc<dyn Store> {
        StoreSubject::store(self)
    }

    async fn another_handle(&self) -> Option<Arc<dyn Store>> {
        StoreSubject::another_handle(self).await
    }

    async fn reopen(&mut self) -> Option<Arc<dyn Store>> {
        StoreSubject::reopen(self).await
    }

    async fn hold(&self, changeset: Changeset) -> Option<HeldCommit> {
        StoreSubject::hold(self, changeset).await
    }
}
