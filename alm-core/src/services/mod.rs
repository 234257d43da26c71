//! The use cases, behind one handle: [`Alm`].
//!
//! Each call goes the same way: authorize, load, decide (pure, without I/O), commit; on a conflict load and decide again.

mod accounts;
mod alm;
mod api_keys;
mod apps;
mod audit;
#[cfg(feature = "tlog")]
mod audit_tree;
mod builder;
mod commit;
mod context;
mod deployments;
mod error;
mod id_pool;
mod idempotency;
mod log;
mod page;
mod parents;
mod precondition;
mod sessions;
mod shown;
mod store_state;
mod throttle;
#[cfg(feature = "tlog")]
mod verify;
mod versions;

pub use accounts::Accounts;
pub use alm::Alm;
pub use api_keys::{ApiKeys, IssuedApiKey};
pub use apps::Apps;
pub use audit::Audit;
#[cfg(feature = "tlog")]
pub use audit_tree::{AuditTree, ConsistencyProof, InclusionProof, Proofs};
#[cfg(feature = "tlog")]
pub(crate) use audit_tree::{KeptError, entries_behind};
pub use builder::AlmBuilder;
pub use context::{Context, Idempotency};
pub use deployments::Deployments;
pub use error::Error;
pub use idempotency::Created;
pub use log::Log;
pub use page::{Limit, Page};
pub use precondition::Precondition;
pub use sessions::{IssuedTokens, MAX_SESSIONS, Sessions};
pub use store_state::StoreState;
pub use throttle::{LoginLimits, network};
#[cfg(feature = "tlog")]
pub use verify::{AuditSource, Leaf, Tampered, Tampering, Verification, VerifyError, verify_audit};
pub use versions::Versions;
