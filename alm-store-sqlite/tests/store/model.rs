//! ALM on the store does what the model does.

use std::sync::Arc;

use alm_core::{
    ports::Store,
    testing::{fixtures::event_id, model::Check},
};
use alm_store_sqlite::SqliteOptions;

#[test]
fn alm_on_the_store_does_what_the_model_does() {
    let folder = tempfile::tempdir().unwrap();
    Check::new().cases(10).run(async || {
        let path = folder.path().join(event_id().to_string());
        let store = SqliteOptions::new(path).migrate(true).open().await.unwrap();
        Arc::new(store) as Arc<dyn Store>
    });
}
