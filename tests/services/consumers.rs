//! What follows from events: the built-in consumers and a host's own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use alm_core::{
    Alm,
    changeset::{Change, Changeset, ConsumerName},
    domain::{
        Actor, App, AppId, AppUpdate, DeploymentStatus, Description, Event, EventData, EventType, NewApiKey, NewUser,
        Password, Position, Role, TraceParent, UserUpdate, Username, VersionId, VersionUpdate,
    },
    ports::{AppFilter, DeploymentFilter, Store, VersionFilter},
    runtime::{AuditConsumer, AutoDeploy, Cascade, Effects, HandleError, Handled, Handler, HandlerContext},
    services::Precondition,
    testing::{
        Call, Fault,
        inspect::{assert_each_event_is_audited_once, audit_of, catch_up, log_of, settle},
    },
};
use alm_http::auth::SystemSecrets;
use alm_store_memory::MemoryStore;
use async_trait::async_trait;
use futures_util::FutureExt;

use crate::{
    fakes::{FakeHasher, FakeIssuer},
    given::{a_deployment, a_version, admin, an_app, by, environments, subjects, user},
    rough_store::rough,
};

fn alm() -> Alm {
    Alm::builder(Arc::new(MemoryStore::new())).build()
}

async fn new_app(alm: &Alm, name: &str) -> App {
    alm.apps().create(&admin(), an_app(name)).await.unwrap().value
}

async fn new_version(alm: &Alm, app: AppId, tag: &str) -> VersionId {
    alm.versions().create(&admin(), a_version(app, tag)).await.unwrap().value.id
}

#[tokio::test]
async fn the_audit_log_has_every_kind_of_event() {
    // given
    let store = Arc::new(MemoryStore::new());
    let alm = Alm::builder(store)
        .password_hasher(Arc::new(FakeHasher::default()))
        .secrets(Arc::new(SystemSecrets))
        .token_issuer(Arc::new(FakeIssuer));
    let alm = alm.build();
    let none = Precondition::none();

    // when all that can happen has happened
    let app = new_app(&alm, "billing").await;
    let update = AppUpdate::parse("billing".into(), "handles invoicing".into(), BTreeMap::new()).unwrap();
    alm.apps().update(&admin(), app.id, update, &none).await.unwrap();
    let version = new_version(&alm, app.id, "v1").await;
    let update = VersionUpdate::parse("bug fixes".into(), BTreeMap::new()).unwrap();
    alm.versions().update(&admin(), version, update, &none).await.unwrap();
    let deployment = alm.deployments().create(&user(), a_deployment(version, "prod")).await.unwrap().value.id;
    alm.deployments().set_status(&user(), deployment, DeploymentStatus::Running, &none).await.unwrap();
    let (name, password) = (Username::parse("carol").unwrap(), Password::parse("correct horse").unwrap());
    let new = NewUser { username: name.clone(), password: password.clone(), role: Role::User, grants: BTreeSet::new() };
    alm.accounts().create(&admin(), new).await.unwrap();
    let tokens = alm.sessions().login(&user(), &name, &password).await.unwrap().value;
    let tokens = alm.sessions().refresh(&user(), &tokens.refresh_token.unwrap()).await.unwrap().value;
    alm.sessions().refresh(&user(), &tokens.refresh_token.unwrap()).await.unwrap();
    alm.sessions().login(&user(), &name, &Password::attempt("wrong").unwrap()).await.unwrap_err();
    alm.accounts().set_password(&admin(), &name, &password, None).await.unwrap();
    let update = UserUpdate { role: Role::Viewer, grants: BTreeSet::new() };
    alm.accounts().update(&admin(), &name, update, &none).await.unwrap();
    let key = NewApiKey::parse("ci".into(), Role::Viewer, &[], 1).unwrap();
    let key = alm.api_keys().create(&admin(), key).await.unwrap().value.credential.id;
    alm.api_keys().rotate(&admin(), key, 0).await.unwrap();
    alm.api_keys().revoke(&admin(), key).await.unwrap();
    alm.accounts().delete(&admin(), &name).await.unwrap();
    alm.apps().delete(&user(), app.id, &none).await.unwrap_err();
    alm.apps().delete(&admin(), app.id, &none).await.unwrap();
    settle(&alm, &[]).await;

    // then
    assert_each_event_is_audited_once(alm.store().as_ref()).await;
    let kinds: BTreeSet<_> = audit_of(alm.store().as_ref()).await.into_iter().map(|e| e.entry.event_type).collect();
    let all: BTreeSet<_> = EventType::ALL.iter().map(|kind| kind.as_str().to_owned()).collect();
    assert_eq!(kinds, all);
}

#[tokio::test]
async fn a_cascade_goes_in_steps_and_leaves_nothing() {
    // given
    let alm = alm();
    let app = new_app(&alm, "billing").await.id;
    let mut versions = Vec::new();
    for i in 0..251 {
        versions.push(new_version(&alm, app, &format!("v{i}")).await);
    }
    let bystander = new_version(&alm, new_app(&alm, "checkout").await.id, "v0").await;
    for version in std::iter::repeat_n(versions[7], 130).chain([versions[8], bystander]) {
        alm.deployments().create(&admin(), a_deployment(version, "prod")).await.unwrap();
    }

    // when
    let trace = TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    let carol = by("carol", Role::Admin).with_trace(trace.clone());
    alm.apps().delete(&carol, app, &Precondition::none()).await.unwrap();
    settle(&alm, &[]).await;

    // then
    let store = alm.store();
    let left = store.versions(&VersionFilter::default(), None, usize::MAX).await.unwrap();
    assert_eq!(left.iter().map(|version| version.id).collect::<Vec<_>>(), [bystander]);
    let left = store.deployments(&DeploymentFilter::default(), None, usize::MAX).await.unwrap();
    assert_eq!(left.iter().map(|deployment| deployment.version_id).collect::<Vec<_>>(), [bystander]);
    let log = log_of(alm.store().as_ref()).await;
    let deleted: Vec<_> = versions.iter().map(|id| format!("versions/{id}")).collect();
    assert_eq!(subjects(&log, EventType::VersionDeleted), deleted);
    let deletions = |kind| log.iter().filter(move |event| event.data.event_type() == Some(kind));
    assert_eq!(deletions(EventType::DeploymentDeleted).count(), 131);
    let mut steps = BTreeMap::<_, usize>::new();
    for event in deletions(EventType::VersionDeleted).chain(deletions(EventType::DeploymentDeleted)) {
        assert_eq!((event.actor.as_str(), &event.trace), ("carol", &Some(trace.clone())));
        *steps.entry(event.changeset).or_default() += 1;
    }
    assert!(steps.values().all(|size| *size <= 100), "one commit stays small: {steps:?}");
    assert_each_event_is_audited_once(alm.store().as_ref()).await;
}

#[tokio::test]
async fn a_cascade_outlasts_whoever_changes_the_children_meanwhile() {
    // given someone who changes a child whenever the cascade is about to delete it, forty times
    let store = Arc::new(MemoryStore::new());
    let direct = Alm::builder(store.clone()).build();
    let changes = AtomicUsize::new(0);
    let other = direct.clone();
    let rough = rough(store, move |call: &Call<'_>| {
        let events = call.changeset.map_or(&[][..], Changeset::events);
        let doomed = events.iter().find_map(|event| match &event.data {
            EventData::VersionDeleted(version) => Some(version.version_id),
            _ => None,
        });
        let Some(doomed) = doomed else { return Fault::None };
        let change = changes.fetch_add(1, Ordering::Relaxed);
        if change < 40 {
            let update = VersionUpdate::parse(change.to_string(), BTreeMap::new()).unwrap();
            let (cx, none) = (admin(), Precondition::none());
            other.versions().update(&cx, doomed, update, &none).now_or_never().unwrap().unwrap();
        }
        Fault::None
    });
    let app = new_app(&direct, "billing").await.id;
    new_version(&direct, app, "v1").await;

    // when
    direct.apps().delete(&admin(), app, &Precondition::none()).await.unwrap();
    catch_up(&Alm::builder(Arc::new(rough)).build(), Cascade::default()).await;

    // then
    assert_eq!(direct.store().versions(&VersionFilter::default(), None, 1).await.unwrap(), []);
    let letters = direct.store().dead_letters(&Cascade::default().name(), None, 1).await.unwrap();
    assert_eq!(letters, [], "that someone else was faster is no reason to give up");
}

#[tokio::test]
async fn each_new_version_is_deployed_to_each_environment_by_who_created_it() {
    // given
    let alm = alm();
    let app = new_app(&alm, "billing").await.id;

    // when an environment is named twice
    let first = alm.versions().create(&user(), a_version(app, "v1")).await.unwrap().value.id;
    let second = new_version(&alm, app, "v2").await;
    settle(&alm, &["dev", "prod", "dev"]).await;
    settle(&alm, &["dev", "prod", "dev"]).await;

    // then
    let deployments = alm.store().deployments(&DeploymentFilter::default(), None, 10).await.unwrap();
    let made: Vec<_> = deployments.iter().map(|d| (d.version_id, d.app_id, d.environment.as_str(), d.status)).collect();
    let due = |version, environment| (version, app, environment, DeploymentStatus::Pending);
    assert_eq!(made, [due(first, "dev"), due(first, "prod"), due(second, "dev"), due(second, "prod")]);
    let log = log_of(alm.store().as_ref()).await;
    let created = log.iter().filter(|event| event.data.event_type() == Some(EventType::DeploymentCreated));
    assert_eq!(created.map(|event| event.actor.as_str()).collect::<Vec<_>>(), ["bob", "bob", "ada", "ada"]);
}

#[tokio::test]
async fn a_version_that_is_deleted_meanwhile_is_not_deployed() {
    // given one version that is gone before auto-deploy looks, and one that goes while it decides
    let store = Arc::new(MemoryStore::new());
    let direct = Alm::builder(store.clone()).build();
    let app = new_app(&direct, "billing").await.id;
    let gone = new_version(&direct, app, "gone").await;
    direct.versions().delete(&admin(), gone, &Precondition::none()).await.unwrap();
    let going = new_version(&direct, app, "going").await;
    let kept = new_version(&direct, app, "kept").await;
    let other = direct.clone();
    let rough = rough(store, move |call: &Call<'_>| {
        let events = call.changeset.map_or(&[][..], Changeset::events);
        if events.iter().any(|event| event.subject.to_string().starts_with("deployments/")) {
            // The second time there is no such version any more.
            drop(other.versions().delete(&admin(), going, &Precondition::none()).now_or_never());
        }
        Fault::None
    });

    // when
    catch_up(&Alm::builder(Arc::new(rough)).build(), AutoDeploy::to(environments(&["prod"]))).await;

    // then
    let deployments = direct.store().deployments(&DeploymentFilter::default(), None, 10).await.unwrap();
    assert_eq!(deployments.iter().map(|deployment| deployment.version_id).collect::<Vec<_>>(), [kept]);
    let log = log_of(direct.store().as_ref()).await;
    assert_eq!(subjects(&log, EventType::DeploymentCreated).len(), 1);
}

#[tokio::test]
async fn an_environment_that_is_named_later_gets_the_versions_that_come_later() {
    let alm = alm();
    let app = new_app(&alm, "billing").await.id;
    new_version(&alm, app, "v1").await;
    settle(&alm, &[]).await;

    let later = new_version(&alm, app, "v2").await;
    settle(&alm, &["prod"]).await;

    let deployments = alm.store().deployments(&DeploymentFilter::default(), None, 10).await.unwrap();
    assert_eq!(deployments.iter().map(|deployment| deployment.version_id).collect::<Vec<_>>(), [later]);
}

/// A host's own handler: it describes each new app as seen, one in a commit or all at once, and meets some that it can't.
#[derive(Default)]
struct Greeter {
    all_at_once: bool,
    calls: Arc<AtomicUsize>,
}

#[async_trait]
impl Handler for Greeter {
    fn name(&self) -> ConsumerName {
        ConsumerName::parse("greeter").unwrap()
    }

    async fn handle(&self, events: &[Arc<Event>], cx: &HandlerContext<'_>) -> Result<Handled, HandleError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mut effects = Effects::of(events[0].clone());
        let mut greeted = 0;
        for (at, event) in events.iter().enumerate() {
            let EventData::AppCreated(created) = &event.data else { continue };
            let Some(app) = cx.reader().app(created.id).await? else { continue };
            let mut seen = App { description: Description::parse("seen").unwrap(), ..app.clone() };
            seen.revision = app.revision.next();
            match created.name.as_str() {
                "unreadable" if greeted > 0 => return Ok(Handled { count: at, effects }),
                "unreadable" => return Err(HandleError::Unprocessable { at, reason: "it is unreadable".to_owned() }),
                // Another app has that name, so this effect can never be committed.
                "impossible" => seen.name = "first".to_owned().try_into().unwrap(),
                _ => {}
            }
            effects.change(Change::app_updated(&seen, app.revision));
            greeted += 1;
            if !self.all_at_once {
                return Ok(Handled { count: at + 1, effects });
            }
        }
        Ok(Handled { count: events.len(), effects })
    }
}

async fn descriptions(store: &dyn Store) -> Vec<(String, String)> {
    let apps = store.apps(&AppFilter::default(), None, 10).await.unwrap();
    apps.into_iter().map(|app| (app.name.into_string(), app.description.into_string())).collect()
}

/// Checks that of some events only the culprit is given up, and the others have their effect once.
async fn assert_only_the_culprit_is_buried(culprit: &str, reason: &str, all_at_once: bool) {
    // given a culprit among others, and not the first of those that the handler has yet to handle
    let alm = alm();
    let first = new_app(&alm, "first").await.id;
    new_version(&alm, first, "v1").await;
    new_app(&alm, "second").await;
    new_version(&alm, first, "v2").await;
    new_app(&alm, culprit).await;
    new_app(&alm, "last").await;
    let greeter = Greeter { all_at_once, ..Greeter::default() };
    let calls = greeter.calls.clone();

    // when
    let position = catch_up(&alm, greeter).await;

    // then
    assert_eq!(position, alm.store().head().await.unwrap());
    let described = [("first", "seen"), ("second", "seen"), (culprit, ""), ("last", "seen")];
    assert_eq!(descriptions(alm.store().as_ref()).await, described.map(|(a, b)| (a.to_owned(), b.to_owned())));
    let letters = alm.store().dead_letters(&Greeter::default().name(), None, 10).await.unwrap();
    let [letter] = letters.as_slice() else { panic!("one letter, not {letters:?}") };
    let log = log_of(alm.store().as_ref()).await;
    assert_eq!((letter.position, letter.event_id, letter.reason.as_str()), (Position::new(5), log[4].id, reason));
    assert_eq!(letter.document["id"], log[4].id.to_string());
    assert_eq!(letter.document["data"]["name"], culprit);
    assert_eq!(subjects(&log, EventType::AppUpdated).len(), 3, "nothing is done twice");
    assert!(calls.load(Ordering::Relaxed) < 100, "it gives up some time");
}

#[tokio::test]
async fn an_event_that_cannot_be_handled_goes_to_the_dead_letters_and_the_next_is_handled() {
    for all_at_once in [false, true] {
        assert_only_the_culprit_is_buried("unreadable", "it is unreadable", all_at_once).await;
    }
}

#[tokio::test]
async fn an_event_whose_effect_cannot_be_committed_goes_to_the_dead_letters_and_no_other_with_it() {
    for all_at_once in [false, true] {
        assert_only_the_culprit_is_buried("impossible", "the app name \"first\" is taken", all_at_once).await;
    }
}

#[tokio::test]
async fn what_is_buried_stays_buried() {
    // given a consumer that has buried an event
    let alm = alm();
    new_app(&alm, "unreadable").await;
    catch_up(&alm, Greeter::default()).await;

    // when it runs again
    catch_up(&alm, Greeter::default()).await;

    // then nothing happens again
    let letters = alm.store().dead_letters(&Greeter::default().name(), None, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(log_of(alm.store().as_ref()).await.len(), 1);
}

#[tokio::test]
async fn effects_are_by_the_actor_of_their_cause_and_the_audit_log_says_so() {
    let alm = alm();
    alm.apps().create(&user(), an_app("first")).await.unwrap();
    catch_up(&alm, Greeter::default()).await;
    catch_up(&alm, AuditConsumer).await;

    let entries = audit_of(alm.store().as_ref()).await;
    let told: Vec<_> = entries.iter().map(|entry| (entry.event_type.as_str(), &entry.actor)).collect();
    let bob = Actor::parse("bob").unwrap();
    assert_eq!(told, [("AppCreated", &bob), ("AppUpdated", &bob)]);
}
