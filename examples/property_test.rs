//! A property test as a project that embeds ALM would write it: whatever happens to three deployments, what runs in `prod` is the
//! one that became successful last. In a project this is a `#[test]`.

use std::{collections::BTreeMap, sync::Arc};

use alm_core::{
    Alm, Context, Principal,
    domain::{DeploymentStatus, NewApp, NewDeployment, NewVersion},
    services::{Limit, Precondition},
};
use alm_store_memory::MemoryStore;
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};

fn main() {
    let moves = vec((0..3_usize, select(&DeploymentStatus::ALL[..])), 0..20);
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runner.run(&moves, |moves| runtime.block_on(what_runs_is_what_succeeded_last(moves))).expect("the property holds");
    println!("the property held in {} cases", runner.config().cases);
}

async fn what_runs_is_what_succeeded_last(moves: Vec<(usize, DeploymentStatus)>) -> Result<(), TestCaseError> {
    let fail = |error: alm_core::Error| TestCaseError::fail(error.to_string());
    let (alm, me) = (Alm::builder(Arc::new(MemoryStore::new())).build(), Context::new(Principal::system()));
    let app = NewApp::parse("billing".into(), String::new(), BTreeMap::new()).expect("valid");
    let app = alm.apps().create(&me, app).await.map_err(fail)?.value;
    let mut deployments = Vec::new();
    for tag in ["v1", "v2", "v3"] {
        let version = NewVersion::parse(app.id, tag.into(), String::new(), BTreeMap::new()).expect("valid");
        let version = alm.versions().create(&me, version).await.map_err(fail)?.value;
        let deployment = NewDeployment::parse(version.id, None, "prod".into()).expect("valid");
        deployments.push(alm.deployments().create(&me, deployment).await.map_err(fail)?.value.id);
    }

    let mut last = None;
    for (which, status) in moves {
        let result = alm.deployments().set_status(&me, deployments[which], status, &Precondition::none()).await;
        // An illegal move is refused and changes nothing.
        if result.is_ok() && status == DeploymentStatus::Successful {
            last = Some(deployments[which]);
        }
    }

    let running = alm.apps().environments(&me, app.id, None, Limit::default()).await.map_err(fail)?.items;
    prop_assert_eq!(running.first().map(|running| running.deployment.id), last);
    Ok(())
}
