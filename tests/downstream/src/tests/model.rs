//! ALM over this store does what the model of ALM does.

use std::sync::Arc;

use alm_core::{ports::Store, testing::model};

#[test]
fn alm_on_the_store_does_what_the_model_does() {
    let folder = tempfile::tempdir().unwrap();
    let stores = std::cell::Cell::new(0);
    model::Check::new().cases(12).commands(1..40).run(async || {
        stores.set(stores.get() + 1);
        let path = folder.path().join(format!("{}.json", stores.get()));
        Arc::new(crate::store::JsonFileStore::open(path).await.unwrap()) as Arc<dyn Store>
    });
}
