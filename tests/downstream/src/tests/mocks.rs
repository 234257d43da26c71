//! The service asks ALM for no more than it needs.

use std::sync::Arc;

use alm_core::{
    Alm,
    domain::{AppId, Services, SourceService},
    ports::{IdBlock, Outcome, StoreError},
    testing::mocks::{MockDirectory, MockStore},
};

use super::me;
use crate::releases::release;

#[tokio::test]
async fn a_release_of_an_app_that_is_nowhere_commits_nothing() {
    // given a service of versions alone, a directory that knows of no app, and a store that expects no commit
    let mut directory = MockDirectory::new();
    directory.expect_app().times(1).returning(|_| Ok(false));
    let mut store = MockStore::new();
    store.expect_known().returning(|_| Ok(None));
    store.expect_allocate().returning(|_, count| Ok(IdBlock { first: 1, count }));
    let versions = Services::of([SourceService::VersionService]);
    let alm = Alm::builder(Arc::new(store)).services(versions).directory(Arc::new(directory)).build();

    // when
    let error = release(&alm, &me(), AppId::new(7).unwrap(), "v1").await.unwrap_err();

    // then
    assert_eq!((error.code(), error.outcome()), ("unknown-parent", Outcome::NotApplied));
}

#[tokio::test]
async fn a_store_that_keeps_no_versions_is_told_as_it_is() {
    let mut store = MockStore::new();
    store.expect_allocate().returning(|_, _| Err(StoreError::Unsupported("versions")));
    let alm = Alm::builder(Arc::new(store)).build();
    let error = release(&alm, &me(), AppId::new(7).unwrap(), "v1").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotApplied);
}
