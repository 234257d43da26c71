//! When nothing goes wrong.

use alm_core::{
    domain::{DeploymentStatus, EventType},
    ports::{DeploymentFilter, VersionFilter},
    services::Precondition,
    testing::inspect::{audit_of, log_of},
};
use alm_test_support::eventually;

use super::system::{Stores, System, knows_app, knows_version, name};
use crate::given::{a_deployment, a_version, admin, an_app, by, subjects, user};

#[tokio::test]
async fn what_happens_in_any_service_is_audited_once_and_in_the_order_of_its_log() {
    // given
    let system = System::start();

    // when
    let app = system.app.apps().create(&admin(), an_app("billing")).await.unwrap().value.id;
    knows_app(&system.version, app).await;
    for tag in 0..50 {
        system.version.versions().create(&user(), a_version(app, &format!("v{tag}"))).await.unwrap();
    }
    let version = system.version.versions().create(&user(), a_version(app, "v50")).await.unwrap().value.id;
    knows_version(&system.deployment, version).await;
    let deployments = system.deployment.deployments();
    let deployment = deployments.create(&user(), a_deployment(version, "prod")).await.unwrap().value;
    assert_eq!(deployment.app_id, app);
    deployments.set_status(&user(), deployment.id, DeploymentStatus::Running, &Precondition::none()).await.unwrap();
    // One that is refused is an event of the service that refused it.
    deployments.delete(&user(), deployment.id, &Precondition::none()).await.unwrap_err();
    system.audit.audit().get(&user(), alm_core::domain::AuditIndex::new(1)).await.unwrap_err();

    // then
    system.audited().await;
    let audit = audit_of(system.audit.store().as_ref()).await;
    assert_eq!(audit.iter().map(|entry| entry.index.get()).collect::<Vec<_>>(), (1..=56).collect::<Vec<_>>());
    assert!(audit_of(system.app.store().as_ref()).await.is_empty(), "only the audit service audits");
}

#[tokio::test]
async fn the_end_of_a_parent_is_the_end_of_its_children_in_the_other_services() {
    // given
    let system = System::start();
    let app = system.app.apps().create(&admin(), an_app("billing")).await.unwrap().value.id;
    let other = system.app.apps().create(&admin(), an_app("checkout")).await.unwrap().value.id;
    for (app, count) in [(app, 130), (other, 1)] {
        for tag in 0..count {
            let version = a_version(app, &format!("v{tag}"));
            let version = system.version.versions().create(&admin(), version).await.unwrap().value.id;
            system.deployment.deployments().create(&admin(), a_deployment(version, "prod")).await.unwrap();
        }
    }

    // when
    system.app.apps().delete(&by("carol", alm_core::domain::Role::Admin), app, &Precondition::none()).await.unwrap();

    // then
    eventually("the children of the other app alone are left", async || {
        let versions = system.version.store().versions(&VersionFilter::default(), None, 500).await.unwrap();
        let deployments = system.deployment.store().deployments(&DeploymentFilter::default(), None, 500).await.unwrap();
        let is_other = versions.iter().all(|version| version.app_id == other)
            && deployments.iter().all(|deployment| deployment.app_id == other);
        is_other.then(|| assert_eq!((versions.len(), deployments.len()), (1, 1)))
    })
    .await;
    system.audited().await;
    for (alm, kind) in
        [(&system.version, EventType::VersionDeleted), (&system.deployment, EventType::DeploymentDeleted)]
    {
        let log = log_of(alm.store().as_ref()).await;
        assert_eq!(subjects(&log, kind).len(), 130);
        let deletions = log.iter().filter(|event| event.data.event_type() == Some(kind));
        assert!(deletions.into_iter().all(|event| event.actor.as_str() == "carol"));
    }
}

#[tokio::test]
async fn a_new_version_is_deployed_by_the_service_of_deployments() {
    let system = System::over(&Stores::default(), |bus| bus, &["staging", "prod"]);
    let app = system.app.apps().create(&admin(), an_app("billing")).await.unwrap().value.id;
    let version = system.version.versions().create(&user(), a_version(app, "v1")).await.unwrap().value.id;
    eventually("it is deployed", async || {
        let deployments = system.deployment.store().deployments(&DeploymentFilter::default(), None, 10).await.unwrap();
        (deployments.len() == 2).then(|| {
            assert!(deployments.iter().all(|deployment| (deployment.app_id, deployment.version_id) == (app, version)));
        })
    })
    .await;
    system.audited().await;
    let letters = system.deployment.dead_letters(&name("auto-deploy"), None, 10).await.unwrap();
    assert_eq!(letters, []);
}

#[tokio::test]
async fn a_service_that_comes_later_hears_of_everything_before() {
    // given a bus that has forgotten all but what comes from now on
    let stores = Stores::default();
    let alone = alm_core::Alm::builder(stores.app.clone()).services(super::system::services("app,auth")).build();
    for number in 0..700 {
        alone.apps().create(&admin(), an_app(&format!("app {number}"))).await.unwrap();
    }

    // when
    let system = System::over(&stores, |bus| bus, &[]);

    // then
    system.audited().await;
    assert_eq!(audit_of(system.audit.store().as_ref()).await.len(), 700);
}
