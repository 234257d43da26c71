//! The state: one value, cheap to copy, whose copies share what they have in common.

use std::sync::Arc;

use alm_core::{
    changeset::{ConsumerName, DeadLetter, IdempotencyRecord, IdempotencyScope, Receipt},
    domain::{
        App, AppId, AppName, AuditEntry, ChangesetId, Deployment, DeploymentId, EnvironmentName, Event, LogId,
        Position, Tag, Timestamp, UserRecord, Username, Version, VersionId,
    },
};
use rpds::{HashTrieMapSync, RedBlackTreeMapSync, RedBlackTreeSetSync, VectorSync};

pub(crate) type Ordered<K, V> = RedBlackTreeMapSync<K, V>;
pub(crate) type OrderedSet<T> = RedBlackTreeSetSync<T>;
pub(crate) type Hashed<K, V> = HashTrieMapSync<K, V>;

/// The successful deployments of one app, by environment; the last of a set is what runs there.
pub(crate) type Successes = Ordered<EnvironmentName, OrderedSet<(Timestamp, DeploymentId)>>;

#[derive(Clone, Default)]
pub(crate) struct State {
    pub(crate) apps: Ordered<AppId, Arc<App>>,
    pub(crate) app_names: Hashed<AppName, AppId>,
    pub(crate) versions: Ordered<VersionId, Arc<Version>>,
    pub(crate) version_tags: Hashed<(AppId, Tag), VersionId>,
    pub(crate) versions_by_app: OrderedSet<(AppId, VersionId)>,
    pub(crate) deployments: Ordered<DeploymentId, Arc<Deployment>>,
    pub(crate) deployments_by_app: OrderedSet<(AppId, DeploymentId)>,
    pub(crate) deployments_by_version: OrderedSet<(VersionId, DeploymentId)>,
    pub(crate) successes: Hashed<AppId, Successes>,
    pub(crate) users: Hashed<Username, Arc<UserRecord>>,
    pub(crate) users_by_age: OrderedSet<(Timestamp, Username)>,
    pub(crate) audit: VectorSync<Arc<AuditEntry>>,
    pub(crate) log: VectorSync<Arc<Event>>,
    pub(crate) receipts: Hashed<ChangesetId, Receipt>,
    pub(crate) remembered: Hashed<IdempotencyScope, Arc<IdempotencyRecord>>,
    pub(crate) remembered_by_expiry: Ordered<(Timestamp, u64), IdempotencyScope>,
    pub(crate) remembered_ever: u64,
    pub(crate) checkpoints: Hashed<(ConsumerName, LogId), Position>,
    pub(crate) dead_letters: Ordered<(ConsumerName, LogId, Position), Arc<DeadLetter>>,
}
