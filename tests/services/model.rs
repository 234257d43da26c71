//! The services do what a model of plain maps does, whatever is asked of them in whichever order.

use std::sync::Arc;

use alm_core::{ports::Store, testing::model};
use alm_store_memory::MemoryStore;

#[test]
fn the_services_do_what_the_model_does() {
    model::Check::new().cases(200).run(|| async { Arc::new(MemoryStore::new()) as Arc<dyn Store> });
}
