//! What a store must refuse when it can't do something.

use std::{num::NonZeroU32, time::Duration};

use crate::{
    changeset::{Change, Changeset, Guard},
    domain::{AuditIndex, DeploymentStatus, ParentId, PasswordHash, Revision, SessionEnd},
    ports::{
        AppFilter, AuditFilter, Bucket, CredentialFilter, DeploymentFilter, Rate, Sequence, Store, StoreError,
        VersionFilter,
    },
    testing::{
        conformance::{StoreCapability, must::Must},
        fixtures::{
            account, app, app_id, at, consumer, credential_id, deployment, deployment_id, entry, of, session, stamp,
            username, version, version_id,
        },
    },
};

use super::{given::failed, subject::Subject};

/// Checks that the store refuses what it can't do, and that the harness does not offer it either.
pub(super) async fn refuses(lacking: StoreCapability, mut subject: Subject) {
    let offered = subject.offers(lacking, of(failed())).await;
    assert!(!offered, "the harness offers {lacking}, and does not state it");
    let store = subject.store();
    let store = store.as_ref();
    for changeset in changesets_of(lacking) {
        commit_is_refused(store, changeset).await;
    }
    match lacking {
        StoreCapability::Apps => {
            is_refused("read an app", store.app(app_id(1)).await);
            is_refused("list apps", store.apps(&AppFilter::default(), None, 10).await);
            is_refused("take ids of apps", store.allocate(Sequence::Apps, 1).await);
        }
        StoreCapability::Versions => {
            is_refused("read a version", store.version(version_id(1)).await);
            is_refused("list versions", store.versions(&VersionFilter::default(), None, 10).await);
            is_refused("take ids of versions", store.allocate(Sequence::Versions, 1).await);
            // What is known of versions elsewhere is enough to tell it.
            if !subject.can(StoreCapability::Parents) {
                is_refused("tell what runs where", store.running(app_id(1), None, 10).await);
            }
        }
        StoreCapability::Deployments => {
            is_refused("read a deployment", store.deployment(deployment_id(1)).await);
            is_refused("list deployments", store.deployments(&DeploymentFilter::default(), None, 10).await);
            is_refused("take ids of deployments", store.allocate(Sequence::Deployments, 1).await);
            is_refused("tell what runs where", store.running(app_id(1), None, 10).await);
        }
        StoreCapability::Accounts => {
            is_refused("read an account", store.user(&username("ada")).await);
            is_refused("list accounts", store.users(None, 10).await);
            is_refused("read a credential", store.credential(credential_id(1)).await);
            let rate = Rate { burst: NonZeroU32::MIN, interval: Duration::from_secs(1) };
            let bucket = Bucket::parse("x").expect("a name");
            is_refused("count an attempt", store.admit(&bucket, rate, at(0)).await);
            is_refused("list credentials", store.credentials(&CredentialFilter::ApiKeys, None, 10).await);
        }
        StoreCapability::Audit => {
            is_refused("read an audit entry", store.audit_entry(AuditIndex::FIRST).await);
            is_refused("list audit entries", store.audit_entries(&AuditFilter::default(), None, 10).await);
        }
        StoreCapability::Parents => {
            is_refused("tell what is known of an app", store.known(ParentId::App(app_id(1))).await);
            is_refused("tell what is known of a version", store.known(ParentId::Version(version_id(1))).await);
            is_refused("tell whether a credential is revoked", store.is_revoked(credential_id(1)).await);
        }
        StoreCapability::Roles => {
            is_refused("ask for a role", store.lead(&consumer("relay")).await);
        }
        StoreCapability::Durability | StoreCapability::Handles | StoreCapability::HeldCommits => {}
    }
}

/// Every kind of changeset that needs what is lacking, guards too.
fn changesets_of(lacking: StoreCapability) -> Vec<Changeset> {
    let (app, version, deployment) = (app(1, "a"), version(1, 1, "v1"), deployment(1, 1, 1));
    let pending = DeploymentStatus::Pending;
    let guarded = |guard| of(failed()).guarded(guard);
    let session = session(1, &account("ada"));
    match lacking {
        StoreCapability::Apps => vec![
            of(Change::app_created(&app)),
            of(Change::app_updated(&app, Revision::FIRST)),
            of(Change::app_deleted(&app)),
            guarded(Guard::AppExists(app.id)),
        ],
        StoreCapability::Versions => vec![
            of(Change::version_created(&version)),
            of(Change::version_updated(&version, Revision::FIRST)),
            of(Change::version_deleted(&version)),
            guarded(Guard::VersionExists(version.id)),
        ],
        StoreCapability::Deployments => vec![
            of(Change::deployment_created(&deployment)),
            of(Change::deployment_updated(&deployment, Revision::FIRST, pending)),
            of(Change::deployment_deleted(&deployment)),
        ],
        StoreCapability::Accounts => vec![
            of(Change::user_created(&account("ada"))),
            of(Change::user_deleted(&username("ada"))),
            of(Change::password_changed(&account("ada"), PasswordHash::new("other"))),
            of(Change::user_updated(&account("ada").user, Revision::FIRST)),
            of(failed()).rehashing(&username("ada"), PasswordHash::new("old"), PasswordHash::new("new")),
            of(Change::credential_created(&session)),
            of(Change::credential_renewed(&session, Revision::FIRST)),
            of(Change::credential_ended(&session, SessionEnd::Logout, at(0))),
        ],
        StoreCapability::Audit => vec![of(failed()).recording(entry("x"))],
        StoreCapability::Parents => {
            let parent = ParentId::App(app.id);
            vec![
                Changeset::learning(stamp(0), parent, app.id),
                of(failed()).knowing(parent, app.id),
                of(failed()).parting(parent),
                of(failed()).revoking(credential_id(1), at(9)),
                guarded(Guard::ParentKnown(parent)),
                guarded(Guard::ParentKnown(ParentId::Version(version.id))),
            ]
        }
        StoreCapability::Roles
        | StoreCapability::Durability
        | StoreCapability::Handles
        | StoreCapability::HeldCommits => Vec::new(),
    }
}

async fn commit_is_refused(store: &dyn Store, changeset: Changeset) {
    let id = changeset.id();
    is_refused("commit it", store.commit(changeset).await);
    assert_eq!(store.receipt(id).await.must("read a receipt"), None, "what is refused is not committed");
}

#[track_caller]
fn is_refused<T>(what: &str, answer: Result<T, StoreError>) {
    let error = answer.must_fail(&format!("{what}, which the store can't by the harness's statement"));
    assert!(matches!(error, StoreError::Unsupported(_)), "to {what} must be Unsupported, and is: {error}");
}
