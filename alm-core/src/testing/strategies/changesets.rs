//! What changesets are made of.

use proptest::{collection::btree_set, option, prelude::*, sample::select};

use crate::{
    changeset::{
        Change, Checkpoint, ConsumerName, DeadLetter, Guard, IdempotencyKey, IdempotencyRecord, IdempotencyScope, Stamp,
    },
    domain::{CloudEvent, DeploymentStatus, ParentId, Revision},
    policy::{Action, Principal, SCOPE_SERVICE},
};

use super::{
    actor, app, app_id, changeset_id, credential, credential_id, deployment, event, json, log_id, numbers::placed,
    password_hash, position, role, session_end, subject, texts::unparsed, timestamp, traceparent, user, user_record,
    username, version, version_id,
};

arbitrary! {
    Stamp => stamp();
    Change => change();
    Guard => guard();
    ParentId => parent_id();
    ConsumerName => consumer_name();
    Checkpoint => checkpoint();
    DeadLetter => dead_letter();
    IdempotencyKey => idempotency_key();
    IdempotencyScope => idempotency_scope();
    IdempotencyRecord => idempotency_record();
    Action => action();
    Principal => principal();
}

/// What is the same for everything in one changeset.
pub fn stamp() -> impl Strategy<Value = Stamp> {
    (changeset_id(), timestamp(), actor(), option::of(traceparent())).prop_map(|(changeset, at, actor, trace)| Stamp {
        changeset,
        at,
        actor,
        trace,
    })
}

fn before(revision: Revision) -> Revision {
    Revision::new(revision.get().saturating_sub(1).max(1))
}

/// Any change, of a resource that is in no store.
pub fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        app().prop_map(|app| Change::app_created(&app)),
        app().prop_map(|app| Change::app_updated(&app, before(app.revision))),
        app().prop_map(|app| Change::app_deleted(&app)),
        version().prop_map(|version| Change::version_created(&version)),
        version().prop_map(|version| Change::version_updated(&version, before(version.revision))),
        version().prop_map(|version| Change::version_deleted(&version)),
        deployment().prop_map(|deployment| Change::deployment_created(&deployment)),
        deployment().prop_filter("it has moved", |it| it.status != DeploymentStatus::Pending).prop_map(|deployment| {
            Change::deployment_updated(&deployment, before(deployment.revision), DeploymentStatus::Pending)
        }),
        deployment().prop_map(|deployment| Change::deployment_deleted(&deployment)),
        user_record().prop_map(|record| Change::user_created(&record)),
        username().prop_map(|name| Change::user_deleted(&name)),
        (user_record(), password_hash()).prop_map(|(record, hash)| Change::password_changed(&record, hash)),
        username().prop_map(|name| Change::login_succeeded(&name)),
        username().prop_map(|name| Change::login_failed(&name)),
        user().prop_map(|user| Change::user_updated(&user, before(user.revision))),
        credential().prop_map(|credential| Change::credential_created(&credential)),
        credential().prop_map(|credential| Change::credential_renewed(&credential, before(credential.revision))),
        (credential(), session_end(), timestamp()).prop_map(|(credential, reason, until)| Change::credential_ended(
            &credential,
            reason,
            until
        )),
        (actor(), action(), subject()).prop_map(|(actor, action, about)| Change::access_denied(&actor, action, about)),
    ]
}

/// What must hold.
pub fn guard() -> impl Strategy<Value = Guard> {
    prop_oneof![
        app_id().prop_map(Guard::AppExists),
        version_id().prop_map(Guard::VersionExists),
        parent_id().prop_map(Guard::ParentKnown),
    ]
}

/// What something hangs on.
pub fn parent_id() -> impl Strategy<Value = ParentId> {
    prop_oneof![app_id().prop_map(ParentId::App), version_id().prop_map(ParentId::Version)]
}

/// The name of a consumer.
pub fn consumer_name() -> impl Strategy<Value = ConsumerName> {
    prop_oneof![6 => "[a-z0-9_-]{1,12}", 1 => "[a-z0-9_-]", 1 => "[a-z0-9_-]{31}"]
        .prop_map(|name| ConsumerName::parse(name).expect("of the alphabet"))
}

/// A consumer moves on, or stands still.
pub fn checkpoint() -> impl Strategy<Value = Checkpoint> {
    (consumer_name(), log_id(), position(), position()).prop_map(|(consumer, log, one, other)| Checkpoint {
        consumer,
        log,
        from: one.min(other),
        to: one.max(other),
    })
}

/// An event that a consumer gave up on.
pub fn dead_letter() -> impl Strategy<Value = DeadLetter> {
    let document =
        prop_oneof![event().prop_map(|event| serde_json::to_value(CloudEvent::from(&event)).expect("JSON")), json(),];
    (consumer_name(), log_id(), placed(), event(), document, unparsed(), timestamp()).prop_map(
        |(consumer, log, position, event, document, reason, at)| DeadLetter {
            consumer,
            log,
            position,
            event_id: event.id,
            document,
            reason,
            at,
        },
    )
}

/// What a caller names a request with.
pub fn idempotency_key() -> impl Strategy<Value = IdempotencyKey> {
    prop_oneof![6 => "[!-~]{1,36}", 1 => "[!-~]", 1 => "[!-~]{255}"]
        .prop_map(|key| IdempotencyKey::parse(key).expect("visible ASCII"))
}

/// Whose key, and for what.
pub fn idempotency_scope() -> impl Strategy<Value = IdempotencyScope> {
    (actor(), action(), idempotency_key()).prop_map(|(actor, action, key)| IdempotencyScope {
        principal: actor.as_str().to_owned(),
        action,
        key,
    })
}

/// An answer to remember; it may expire as soon as it is there.
pub fn idempotency_record() -> impl Strategy<Value = IdempotencyRecord> {
    (idempotency_scope(), any::<[u8; 32]>(), json(), timestamp(), timestamp()).prop_map(
        |(scope, fingerprint, outcome, one, other)| IdempotencyRecord {
            scope,
            fingerprint,
            outcome,
            created_at: one.min(other),
            expires_at: one.max(other),
        },
    )
}

/// Something that can be asked for.
pub fn action() -> impl Strategy<Value = Action> {
    select(Action::ALL)
}

/// Someone, with scopes that ALM knows and others.
pub fn principal() -> impl Strategy<Value = Principal> {
    let scope =
        prop_oneof![select(&["auditor", "deployer:7/prod", SCOPE_SERVICE][..]).prop_map(str::to_owned), "[a-z:]{1,8}"];
    (actor(), role(), btree_set(scope, 0..3), option::of(credential_id()))
        .prop_map(|(name, role, scopes, credential)| Principal { name, role, scopes, credential })
}
