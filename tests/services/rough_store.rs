//! A store as it looks over a bad network.

use std::sync::Arc;

use alm_core::testing::{Fault, Faulty, Plan};
use alm_store_memory::MemoryStore;

pub(crate) type RoughStore = Faulty<Faulty<MemoryStore>>;

/// Each call takes a turn to get there and a turn to come back, in which others work and the caller may be dropped. When it is
/// there, it meets what `plan` says.
pub(crate) fn rough(store: Arc<MemoryStore>, plan: impl Plan + 'static) -> RoughStore {
    Faulty::over(Arc::new(Faulty::over(store, plan)), Fault::Delay(1))
}
