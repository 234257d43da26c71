//! Apps, versions, deployments, accounts, and what it takes to make them.

use std::collections::BTreeSet;

use proptest::{
    collection::{btree_set, vec},
    prelude::*,
    sample::select,
};

use crate::domain::{
    App, AppId, Deployment, DeploymentStatus, Grant, IllegalTransition, NewApp, NewDeployment, NewUser, NewVersion,
    Role, RunningVersion, Timestamp, User, UserRecord, UserUpdate, Version, VersionUpdate,
};

use super::{
    app_id, app_name, changelog, deployment_id, description, environment_name, labels, password, password_hash,
    revision, tag, timestamp, username, version_id,
};

arbitrary! {
    App => app();
    NewApp => new_app();
    Version => version();
    NewVersion => new_version();
    VersionUpdate => version_update();
    DeploymentStatus => deployment_status();
    IllegalTransition => illegal_transition();
    Deployment => deployment();
    NewDeployment => new_deployment();
    RunningVersion => running_version();
    Role => role();
    User => user();
    UserRecord => user_record();
    NewUser => new_user();
    Grant => grant();
    UserUpdate => user_update();
}

/// Two times, the earlier first; often the same.
pub(super) fn times() -> impl Strategy<Value = (Timestamp, Timestamp)> {
    (timestamp(), prop_oneof![1 => Just(None), 2 => timestamp().prop_map(Some)]).prop_map(|(one, other)| {
        let other = other.unwrap_or(one);
        (one.min(other), one.max(other))
    })
}

/// An app.
pub fn app() -> impl Strategy<Value = App> {
    (app_id(), new_app(), times(), revision()).prop_map(|(id, new, (created_at, updated_at), revision)| {
        let NewApp { name, description, labels } = new;
        App { id, name, description, labels, created_at, updated_at, revision }
    })
}

/// What it takes to create or update an app.
pub fn new_app() -> impl Strategy<Value = NewApp> {
    (app_name(), description(), labels()).prop_map(|(name, description, labels)| NewApp { name, description, labels })
}

/// A version.
pub fn version() -> impl Strategy<Value = Version> {
    (version_id(), new_version(), times(), revision()).prop_map(|(id, new, (created_at, updated_at), revision)| {
        let NewVersion { app_id, tag, changelog, labels } = new;
        Version { id, app_id, tag, changelog, labels, created_at, updated_at, revision }
    })
}

/// What it takes to create a version.
pub fn new_version() -> impl Strategy<Value = NewVersion> {
    (app_id(), tag(), changelog(), labels()).prop_map(|(app_id, tag, changelog, labels)| NewVersion {
        app_id,
        tag,
        changelog,
        labels,
    })
}

/// What it takes to update a version.
pub fn version_update() -> impl Strategy<Value = VersionUpdate> {
    (changelog(), labels()).prop_map(|(changelog, labels)| VersionUpdate { changelog, labels })
}

/// A status.
pub fn deployment_status() -> impl Strategy<Value = DeploymentStatus> {
    select(&DeploymentStatus::ALL[..])
}

/// A transition that there is not.
pub fn illegal_transition() -> impl Strategy<Value = IllegalTransition> {
    let illegal: Vec<_> = DeploymentStatus::ALL
        .into_iter()
        .flat_map(|from| DeploymentStatus::ALL.into_iter().filter_map(move |to| from.to(to).err()))
        .collect();
    select(illegal)
}

/// A deployment. It has finished exactly when its status is final, at its last change, and has been changed as often as its
/// status must have moved.
pub fn deployment() -> impl Strategy<Value = Deployment> {
    let steps = any::<bool>();
    (deployment_id(), app_id(), version_id(), environment_name(), deployment_status(), times(), steps).prop_map(
        |(id, app_id, version_id, environment, status, (created_at, updated_at), by_running)| {
            let new = Deployment::create(id, app_id, version_id, environment, created_at);
            let moved = |deployment: Deployment, to| deployment.transition(to, updated_at).expect("a legal transition");
            match status {
                DeploymentStatus::Pending => new,
                DeploymentStatus::Running => moved(new, status),
                _ if by_running => moved(moved(new, DeploymentStatus::Running), status),
                _ => moved(new, status),
            }
        },
    )
}

/// What it takes to create a deployment.
pub fn new_deployment() -> impl Strategy<Value = NewDeployment> {
    (version_id(), proptest::option::of(app_id()), environment_name())
        .prop_map(|(version_id, app_id, environment)| NewDeployment { version_id, app_id, environment })
}

/// What runs in an environment: a version, unless it lives elsewhere, and the successful deployment of it.
pub fn running_version() -> impl Strategy<Value = RunningVersion> {
    (version(), any::<bool>(), deployment_id(), environment_name(), times()).prop_map(
        |(version, is_here, id, environment, (created, since))| {
            let new = Deployment::create(id, version.app_id, version.id, environment.clone(), created);
            let deployment = new.transition(DeploymentStatus::Successful, since).expect("a legal transition");
            RunningVersion { environment, version: is_here.then_some(version), deployment, since }
        },
    )
}

/// A role.
pub fn role() -> impl Strategy<Value = Role> {
    select(&Role::ALL[..])
}

/// An account as others see it.
pub fn user() -> impl Strategy<Value = User> {
    (username(), role(), grants(), timestamp(), revision()).prop_map(
        |(username, role, grants, created_at, revision)| User { username, role, grants, created_at, revision },
    )
}

/// A role, everywhere or in one place.
pub fn grant() -> impl Strategy<Value = Grant> {
    let place = (proptest::option::of(app_id()), proptest::option::of(environment_name()));
    (role(), place).prop_map(|(role, (app, environment))| Grant { role, app, environment })
}

/// What can be changed of an account.
pub fn user_update() -> impl Strategy<Value = UserUpdate> {
    (role(), grants()).prop_map(|(role, grants)| UserUpdate { role, grants })
}

/// Grants: mostly a few or none, sometimes as many as one may have.
pub fn grants() -> impl Strategy<Value = BTreeSet<Grant>> {
    // Any of them would often be the same, and so too few.
    let most = vec(role(), Grant::MAX).prop_map(|roles| {
        let grants = (1..).zip(roles).map(|(app, role)| Grant { app: AppId::new(app), ..Grant::everywhere(role) });
        grants.collect()
    });
    prop_oneof![12 => btree_set(grant(), 0..3), 1 => most]
}

/// An account as the store keeps it.
pub fn user_record() -> impl Strategy<Value = UserRecord> {
    (user(), password_hash()).prop_map(|(user, password_hash)| UserRecord { user, password_hash })
}

/// What it takes to create an account.
pub fn new_user() -> impl Strategy<Value = NewUser> {
    (username(), password(), role(), grants()).prop_map(|(username, password, role, grants)| NewUser {
        username,
        password,
        role,
        grants,
    })
}
