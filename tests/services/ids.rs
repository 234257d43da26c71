//! Ids of new resources: taken in blocks, and given once whoever takes them.

use std::sync::Arc;

use alm_core::Alm;
use alm_store_memory::MemoryStore;

use crate::given::{admin, an_app};

#[tokio::test]
async fn two_processes_over_one_store_never_take_the_same_id() {
    let store = Arc::new(MemoryStore::new());
    let processes = [Alm::builder(store.clone()).build(), Alm::builder(store).build()];
    for n in 0..300 {
        for (alm, process) in processes.iter().zip(0..) {
            alm.apps().create(&admin(), an_app(&format!("app {n} of {process}"))).await.unwrap();
        }
    }
}
