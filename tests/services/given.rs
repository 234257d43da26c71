//! What tests start from, and how they look at what came of it.

use std::{collections::BTreeMap, sync::Arc};

use alm_core::{
    Alm, Context, Principal,
    changeset::IdempotencyKey,
    domain::{Actor, AppId, EnvironmentName, Event, EventType, NewApp, NewDeployment, NewVersion, Role, VersionId},
    services::Idempotency,
    testing::inspect::log_of,
};

pub(crate) fn by(name: &str, role: Role) -> Context {
    Context::new(Principal::new(Actor::parse(name).unwrap(), role))
}

pub(crate) fn admin() -> Context {
    by("ada", Role::Admin)
}

pub(crate) fn user() -> Context {
    by("bob", Role::User)
}

/// The call sent under an idempotency key; `request` stands for what it asks for.
pub(crate) fn keyed(cx: Context, key: &str, request: u8) -> Context {
    cx.with_idempotency(Idempotency { key: IdempotencyKey::parse(key).unwrap(), fingerprint: [request; 32] })
}

pub(crate) fn an_app(name: &str) -> NewApp {
    NewApp::parse(name.to_owned(), String::new(), BTreeMap::new()).unwrap()
}

pub(crate) fn a_version(app: AppId, tag: &str) -> NewVersion {
    NewVersion::parse(app, tag.to_owned(), String::new(), BTreeMap::new()).unwrap()
}

pub(crate) fn a_deployment(version: VersionId, environment: &str) -> NewDeployment {
    NewDeployment::parse(version, None, environment.to_owned()).unwrap()
}

pub(crate) fn environments(names: &[&str]) -> Vec<EnvironmentName> {
    names.iter().map(|name| EnvironmentName::parse(*name).unwrap()).collect()
}

pub(crate) async fn types_of(alm: &Alm) -> Vec<String> {
    log_of(alm.store().as_ref()).await.iter().map(|event| event.data.type_name().to_owned()).collect()
}

/// What the events of one type are about, in their order.
pub(crate) fn subjects(log: &[Arc<Event>], event_type: EventType) -> Vec<String> {
    log.iter()
        .filter(|event| event.data.event_type() == Some(event_type))
        .map(|event| event.subject.to_string())
        .collect()
}
