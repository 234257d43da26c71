//! Things to commit, made from as little as a test wants to say. Everything else is always the same: times are the epoch,
//! revisions the first, texts empty, the actor is `ada`.
//!
//! ```
//! use alm_core::{changeset::Change, ports::{Committer, Reader}, testing::fixtures::{app, app_id, of}};
//! use alm_store_memory::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryStore::new();
//! store.commit(of(Change::app_created(&app(1, "billing")))).await?;
//! assert_eq!(store.app(app_id(1)).await?, Some(app(1, "billing")));
//! # Ok(())
//! # }
//! ```
//!
//! # Panics
//! All of them, when what they are given breaks the rules of the domain.
#![expect(clippy::missing_panics_doc, reason = "said once, for the whole module")]

use std::{collections::BTreeSet, sync::Arc};

use uuid::Uuid;

use crate::{
    changeset::{
        Change, Changeset, Checkpoint, ConsumerName, DeadLetter, IdempotencyKey, IdempotencyRecord, IdempotencyScope,
        Stamp,
    },
    domain::{
        Actor, ApiKeyName, App, AppId, AppName, Changelog, ChangesetId, Credential, CredentialId, Deployment,
        DeploymentId, DeploymentStatus, Description, EnvironmentName, Event, EventData, EventId, Grant, Labels, LogId,
        LoginFailed, NewApiKey, NewAuditEntry, NewEvent, PasswordHash, Position, Revision, Role, SecretHash, Subject,
        Tag, Timestamp, User, UserRecord, Username, Version, VersionId,
    },
    policy::Action,
    ports::{Growth, Ids, KeptCheckpoint, KeptTile, SystemIds, TileId},
};

/// So many microseconds after the epoch.
pub fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).expect("a time that RFC 3339 can say")
}

/// The id of an app.
pub fn app_id(id: i64) -> AppId {
    AppId::new(id).expect("a positive id")
}

/// The id of a version.
pub fn version_id(id: i64) -> VersionId {
    VersionId::new(id).expect("a positive id")
}

/// The id of a deployment.
pub fn deployment_id(id: i64) -> DeploymentId {
    DeploymentId::new(id).expect("a positive id")
}

/// An environment.
pub fn environment(name: &str) -> EnvironmentName {
    EnvironmentName::parse(name).expect("the name of an environment")
}

/// The name of an account.
pub fn username(name: &str) -> Username {
    Username::parse(name).expect("the name of an account")
}

/// Labels.
pub fn labels(pairs: &[(&str, &str)]) -> Labels {
    let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Labels::parse(pairs).expect("labels")
}

/// An app.
pub fn app(id: i64, name: &str) -> App {
    App {
        id: app_id(id),
        name: AppName::parse(name).expect("the name of an app"),
        description: Description::default(),
        labels: Labels::default(),
        created_at: at(0),
        updated_at: at(0),
        revision: Revision::FIRST,
    }
}

/// A version of the app `app`.
pub fn version(id: i64, app: i64, tag: &str) -> Version {
    Version {
        id: version_id(id),
        app_id: app_id(app),
        tag: Tag::parse(tag).expect("a tag"),
        changelog: Changelog::default(),
        labels: Labels::default(),
        created_at: at(0),
        updated_at: at(0),
        revision: Revision::FIRST,
    }
}

/// A pending deployment of the version `version` of the app `app` to `prod`.
pub fn deployment(id: i64, version: i64, app: i64) -> Deployment {
    Deployment {
        id: deployment_id(id),
        app_id: app_id(app),
        version_id: version_id(version),
        environment: environment("prod"),
        status: DeploymentStatus::Pending,
        created_at: at(0),
        updated_at: at(0),
        finished_at: None,
        revision: Revision::FIRST,
    }
}

/// The same, successful since so many microseconds after the epoch.
pub fn successful(id: i64, version: i64, app: i64, finished: i64) -> Deployment {
    Deployment { status: DeploymentStatus::Successful, finished_at: Some(at(finished)), ..deployment(id, version, app) }
}

/// The account of a user, whose password hash is no real one.
pub fn account(name: &str) -> UserRecord {
    let user = User::create(username(name), Role::User, BTreeSet::new(), at(0));
    UserRecord { user, password_hash: PasswordHash::new("hash") }
}

/// The id of a session or an API key.
pub fn credential_id(id: u128) -> CredentialId {
    CredentialId::new(Uuid::from_u128(id))
}

/// The hash of a secret that no one knows.
pub fn secret_hash(byte: u8) -> SecretHash {
    SecretHash::new([byte; 32])
}

/// A session of the account `of` as it is, from 5 until 1000 microseconds after the epoch.
pub fn session(id: u128, of: &UserRecord) -> Credential {
    Credential::session(credential_id(id), &of.user, secret_hash(1), at(5), at(1_000))
}

/// An API key from 7 microseconds after the epoch on, for a minute, with a grant.
pub fn api_key(id: u128, name: &str) -> Credential {
    let name = ApiKeyName::parse(name).expect("the name of an API key");
    let grants = BTreeSet::from([Grant::parse("deployer:7/prod").expect("a grant")]);
    let new = NewApiKey { name, role: Role::Viewer, grants, seconds: 60 };
    Credential::api_key(credential_id(id), new, secret_hash(2), at(7))
}

/// A stamp of its own, by `ada`, at so many microseconds after the epoch.
pub fn stamp(micros: i64) -> Stamp {
    let changeset = ChangesetId::new(SystemIds.uuid_v7());
    Stamp { changeset, at: at(micros), actor: Actor::from(&username("ada")), trace: None }
}

/// The id of an event, another one each time.
pub fn event_id() -> EventId {
    EventId::new(SystemIds.uuid_v7())
}

/// An event of `log`, another one each time: someone could not log in as `ada`.
pub fn event(log: LogId, position: u64) -> Arc<Event> {
    let Stamp { changeset, at, actor, trace } = stamp(0);
    let data = EventData::LoginFailed(LoginFailed { user: username("ada") });
    let event = NewEvent { id: event_id(), subject: Subject::User(username("ada")), data, time: at, actor, trace };
    Arc::new(Event { log, position: Position::new(position), changeset, event })
}

/// A changeset of one change.
pub fn of(change: Change) -> Changeset {
    Changeset::of(stamp(0), change, event_id())
}

/// A changeset of one change and more.
pub fn of_all(first: Change, more: impl IntoIterator<Item = Change>) -> Changeset {
    more.into_iter().fold(of(first), |changeset, change| changeset.and(change, event_id()))
}

/// A consumer.
pub fn consumer(name: &str) -> ConsumerName {
    ConsumerName::parse(name).expect("the name of a consumer")
}

/// The consumer `reader` moves on in `log`.
pub fn checkpoint(log: LogId, from: u64, to: u64) -> Checkpoint {
    Checkpoint { consumer: consumer("reader"), log, from: Position::new(from), to: Position::new(to) }
}

/// A changeset of the consumer `reader`, which does nothing but move on.
pub fn progress(log: LogId, from: u64, to: u64) -> Changeset {
    Changeset::progress(stamp(0), checkpoint(log, from, to))
}

/// An audit entry about the app 1.
pub fn entry(payload: &str) -> NewAuditEntry {
    NewAuditEntry {
        event_id: event_id(),
        event_type: "AppCreated".to_owned(),
        source_service: "AppService".to_owned(),
        payload: payload.into(),
        timestamp: 0,
        recorded_at: at(0),
        actor: Actor::system(),
        subject: "apps/1".to_owned(),
    }
}

/// An event that the consumer `reader` could not handle.
pub fn letter(log: LogId, position: u64, reason: &str) -> DeadLetter {
    DeadLetter {
        consumer: consumer("reader"),
        log,
        position: Position::new(position),
        event_id: event_id(),
        document: reason.into(),
        reason: reason.to_owned(),
        at: at(0),
    }
}

/// The key `key` of `ada`, for creating an app.
pub fn scope(key: &str) -> IdempotencyScope {
    let key = IdempotencyKey::parse(key).expect("an idempotency key");
    IdempotencyScope { principal: "ada".to_owned(), action: Action::CreateApp, key }
}

/// An answer to remember under that key, from `created` until `expires`.
pub fn answer(key: &str, outcome: &str, created: i64, expires: i64) -> IdempotencyRecord {
    IdempotencyRecord {
        scope: scope(key),
        fingerprint: [1; 32],
        outcome: outcome.into(),
        created_at: at(created),
        expires_at: at(expires),
    }
}

/// A tree over the audit log grows by the first tile of its entries, which is as wide as it can be, and a checkpoint.
pub fn growth(from: u64, to: u64) -> Growth {
    let hashes =
        (1..=to.min(256)).flat_map(|entry| [u8::try_from(entry % 251).expect("it is below 251"); 32]).collect();
    let tile = KeptTile { id: TileId { level: 0, index: 0 }, hashes };
    let note = format!("alm.example/log\n{to}\nAAAA\n\n\u{2014} alm.example/log AAAA\n");
    Growth { from, tiles: vec![tile], checkpoint: KeptCheckpoint { size: to, at: at(0), note } }
}
