//! A store of one's own: everything in one JSON file, written anew at each commit. A toy, and yet it keeps every promise that a
//! store makes; docs/writing-an-adapter.md walks through it.
//!
//! - `cargo run --example custom_store` tries it out, in a temporary folder;
//! - `cargo run --example custom_store alm.json` in this file, which grows with each run;
//! - `cargo run --example custom_store -- --conformance` shows the promises that it keeps;
//! - `cargo test --example custom_store` checks each of them in a test of its own.

mod apply;
mod credentials;
mod file;
mod harness;
mod read;
mod state;
mod store;

use std::{collections::BTreeMap, error::Error, path::Path, sync::Arc, time::Duration};

use alm_core::{
    Alm, Context, Principal,
    domain::{DeploymentStatus, NewApp, NewDeployment, NewVersion},
    ports::{AppFilter, AuditFilter, TokioTimer},
    services::{Limit, Precondition},
    testing::conformance,
};

use crate::{harness::Harness, store::JsonFileStore};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("--conformance") => {
            println!("{}", conformance::store::run_all(&Harness));
            Ok(())
        }
        Some(path) => try_out(Path::new(path)).await,
        None => try_out(&tempfile::tempdir()?.path().join("alm.json")).await,
    }
}

async fn try_out(path: &Path) -> Result<(), Box<dyn Error>> {
    work(path).await?;
    look(path).await
}

/// Makes an app, deploys a version of it, and lets the consumers write the audit log.
async fn work(path: &Path) -> Result<(), Box<dyn Error>> {
    let alm = Alm::builder(Arc::new(JsonFileStore::open(path).await?)).build();
    let me = Context::new(Principal::system());

    let nth = alm.apps().list(&me, &AppFilter::default(), None, Limit::default()).await?.items.len() + 1;
    let app = NewApp::parse(format!("billing-{nth}"), "handles invoicing".into(), BTreeMap::new())?;
    let app = alm.apps().create(&me, app).await?.value;
    let version = NewVersion::parse(app.id, "v1.2.0".into(), "bug fixes".into(), BTreeMap::new())?;
    let version = alm.versions().create(&me, version).await?.value;
    let deployment = NewDeployment::parse(version.id, None, "prod".into())?;
    let deployment = alm.deployments().create(&me, deployment).await?.value;
    alm.deployments().set_status(&me, deployment.id, DeploymentStatus::Successful, &Precondition::none()).await?;

    alm.run(TokioTimer, caught_up(&alm)).await;
    Ok(())
}

/// Done when every consumer has read the whole log.
async fn caught_up(alm: &Alm) {
    while alm.progress().await.is_ok_and(|consumers| consumers.iter().any(|consumer| consumer.lag() > 0)) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Opens the file again and shows what is there.
async fn look(path: &Path) -> Result<(), Box<dyn Error>> {
    let alm = Alm::builder(Arc::new(JsonFileStore::open(path).await?)).build();
    let me = Context::new(Principal::system());
    println!("{} holds the log {}", path.display(), alm.store().log_id());
    for app in alm.apps().list(&me, &AppFilter::default(), None, Limit::default()).await?.items {
        println!("app {}: {}", app.id, app.name);
    }
    for entry in alm.audit().list(&me, &AuditFilter::default(), None, Limit::default()).await?.items {
        println!("{} {:<17} by {}: {}", entry.index, entry.event_type, entry.actor, entry.payload);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use alm_core::ports::{BackendError, BackendErrorKind, Committer, EventLog, Outcome, Sequence, StoreError};

    use super::{Harness, JsonFileStore, try_out};

    alm_core::store_conformance!(Harness);

    #[tokio::test]
    async fn it_can_be_tried_out_again_and_again_in_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alm.json");
        for round in 1..=2 {
            try_out(&path).await.unwrap();
            let store = JsonFileStore::open(&path).await.unwrap();
            assert_eq!(store.head().await.unwrap().get(), 4 * round, "four things happen each time");
        }
    }

    fn fault(error: StoreError) -> BackendError {
        match error {
            StoreError::Backend(fault) => fault,
            error => panic!("it must be a fault, and is: {error}"),
        }
    }

    #[tokio::test]
    async fn a_file_that_says_nothing_is_corrupt_and_is_named() {
        // given
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alm.json");
        let store = JsonFileStore::open(&path).await.unwrap();
        std::fs::write(&path, "{").unwrap();

        // when
        let read = fault(store.head().await.unwrap_err());
        let opened = fault(JsonFileStore::open(&path).await.map(drop).unwrap_err());

        // then
        for fault in [read, opened] {
            assert_eq!((fault.kind, fault.outcome), (BackendErrorKind::Corrupt, Outcome::NotApplied));
            assert!(fault.source().unwrap().to_string().contains("alm.json"));
        }
    }

    #[tokio::test]
    async fn what_a_crash_has_left_half_written_is_not_looked_at() {
        // given
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alm.json");
        let id = JsonFileStore::open(&path).await.unwrap().log_id();
        std::fs::write(folder.path().join("alm.json.next"), "{").unwrap();

        // then
        let store = JsonFileStore::open(&path).await.unwrap();
        assert_eq!(store.log_id(), id);
        store.allocate(Sequence::Apps, 1).await.unwrap();
        assert_eq!(JsonFileStore::open(&path).await.unwrap().log_id(), id);
    }
}
