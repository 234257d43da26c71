//! What the kit gives, used from outside.

mod conformance;
mod faults;
mod histories;
mod mocks;
mod model;

use std::sync::Arc;

use alm_core::{Alm, Context, Principal, domain::NewApp, ports::Store};
use tempfile::TempDir;

use crate::store::JsonFileStore;

/// A store in a folder of its own, which goes with the guard.
async fn a_store() -> (Arc<JsonFileStore>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = JsonFileStore::open(folder.path().join("alm.json")).await.unwrap();
    (Arc::new(store), folder)
}

fn me() -> Context {
    Context::new(Principal::system())
}

async fn alm_with_an_app(store: Arc<dyn Store>) -> Alm {
    let alm = Alm::builder(store).build();
    let app = NewApp::parse("billing".into(), String::new(), Default::default()).unwrap();
    alm.apps().create(&me(), app).await.unwrap();
    alm
}
