//! Every fault does what it says, and nothing else.

mod bus;
mod plans;
mod store;

use alm_core::{
    changeset::{Change, Receipt},
    ports::{BackendError, BackendErrorKind, BusError, Store, StoreError},
    testing::fixtures::{app, of},
};

const TIMEOUT: BackendErrorKind = BackendErrorKind::Timeout;

async fn create(store: &impl Store) -> Result<Receipt, StoreError> {
    store.commit(of(Change::app_created(&app(1, "billing")))).await
}

fn backend(error: StoreError) -> BackendError {
    match error {
        StoreError::Backend(error) => error,
        error => panic!("not a fault: {error}"),
    }
}

fn backend_of_bus(error: BusError) -> BackendError {
    match error {
        BusError::Backend(error) => error,
        error => panic!("not a fault: {error}"),
    }
}
