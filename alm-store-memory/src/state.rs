//! The state: one value, cheap to copy, whose copies share what they have in common.

use std::sync::Arc;

use alm_core::ports::Bucket;
use alm_core::{
    changeset::{ConsumerName, DeadLetter, IdempotencyRecord, IdempotencyScope, Receipt},
    domain::{
        ApiKeyName, App, AppId, AppName, AuditEntry, ChangesetId, Credential, CredentialId, Deployment, DeploymentId,
        EnvironmentName, Event, Known, LogId, ParentId, Position, Tag, Timestamp, UserRecord, Username, Version,
        VersionId,
    },
};
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync, VectorSync};

// A tree, not a hash trie: to copy a path of a trie is to count up 64 references a level, most of them not in the cache; and
// most keys here come in ascending order, so that the path to them is.
pub(crate) type Ordered<K, V> = RedBlackTreeMapSync<K, V>;
pub(crate) type OrderedSet<T> = RedBlackTreeSetSync<T>;

/// The successful deployments of one app, by environment; the last of a set is what runs there.
pub(crate) type Successes = Ordered<EnvironmentName, OrderedSet<(Timestamp, DeploymentId)>>;

#[derive(Clone, Default)]
pub(crate) struct State {
    pub(crate) apps: Ordered<AppId, Arc<App>>,
    pub(crate) app_names: Ordered<AppName, AppId>,
    pub(crate) versions: Ordered<VersionId, Arc<Version>>,
    pub(crate) version_tags: Ordered<(AppId, Tag), VersionId>,
    pub(crate) versions_by_app: OrderedSet<(AppId, VersionId)>,
    pub(crate) deployments: Ordered<DeploymentId, Arc<Deployment>>,
    pub(crate) deployments_by_app: OrderedSet<(AppId, DeploymentId)>,
    pub(crate) deployments_by_version: OrderedSet<(VersionId, DeploymentId)>,
    pub(crate) successes: Ordered<AppId, Successes>,
    pub(crate) users: Ordered<Username, Arc<UserRecord>>,
    pub(crate) users_by_age: OrderedSet<(Timestamp, Username)>,
    pub(crate) credentials: Ordered<CredentialId, Arc<Credential>>,
    pub(crate) sessions_by_user: OrderedSet<(Username, CredentialId)>,
    pub(crate) api_keys: Ordered<ApiKeyName, CredentialId>,
    /// Credentials that another service held, with the time until which that must be known.
    pub(crate) revoked: Ordered<CredentialId, Timestamp>,
    pub(crate) revoked_by_expiry: OrderedSet<(Timestamp, CredentialId)>,
    pub(crate) audit: VectorSync<Arc<AuditEntry>>,
    /// The events that are kept, without a gap up to `head`.
    pub(crate) log: Ordered<Position, Arc<Event>>,
    pub(crate) head: Position,
    pub(crate) receipts: Ordered<ChangesetId, Receipt>,
    pub(crate) remembered: Ordered<IdempotencyScope, Arc<IdempotencyRecord>>,
    pub(crate) remembered_by_expiry: Ordered<(Timestamp, u64), IdempotencyScope>,
    pub(crate) remembered_ever: u64,
    pub(crate) checkpoints: Ordered<(ConsumerName, LogId), Position>,
    pub(crate) dead_letters: Ordered<(ConsumerName, LogId, Position), Arc<DeadLetter>>,
    /// Until when each bucket of attempts is filled.
    pub(crate) buckets: Ordered<Bucket, Timestamp>,
    pub(crate) buckets_by_time: OrderedSet<(Timestamp, Bucket)>,
    /// Parents that live elsewhere.
    pub(crate) parents: Ordered<ParentId, Known>,
}
