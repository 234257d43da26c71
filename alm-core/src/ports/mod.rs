//! What ALM needs from outside. A host plugs in adapters; each method's docs say what an adapter promises.
//!
//! Each port has one error enum of meanings. Those of ports that change something can say whether the call may be made again
//! ([`is_retryable`](StoreError::is_retryable)) and whether it had an effect ([`outcome`](StoreError::outcome)).

mod auth;
mod bus;
mod clock;
mod directory;
mod error;
mod filter;
mod rate;
mod roles;
mod rotation;
mod store;
mod tree;

pub use auth::{
    AuthError, Authenticator, Authorizer, Decision, PasswordError, PasswordHasher, PasswordPolicy, Secrets,
    TokenClaims, TokenIssuer,
};
pub use bus::{BusError, BusState, Delivery, DeliveryTag, EventBus, Head, Heads, Message, Place, Subscription};
#[cfg(feature = "tokio")]
pub use clock::TokioTimer;
pub use clock::{Clock, Ids, SystemClock, SystemIds, Timer};
pub use directory::Directory;
pub use error::{BackendError, BackendErrorKind, Contention, Outcome, StoreError, Unique};
pub use filter::{AppFilter, AuditFilter, CredentialFilter, DeploymentFilter, LabelFilter, VersionFilter};
pub use rate::{Bucket, Rate};
pub use roles::{Lease, Roles};
pub use rotation::{Rotated, Rotation};
pub use store::{Committer, EventLog, HeldCredential, IdBlock, Reader, Sequence, Store, Trimmed};
pub use tree::{CheckpointOutlet, Growth, KeptCheckpoint, KeptTile, TileId, TreeStore};
