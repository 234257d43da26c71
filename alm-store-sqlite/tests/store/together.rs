//! What commits that wait together are told, and what they leave behind, is what it would be one after the other.
//!
//! The runtime has one thread, so what is asked for in one go waits together.

use alm_core::{
    changeset::{Change, Changeset, Guard, IdempotencyRecord, Receipt},
    domain::{App, ChangesetId, Deployment, NewEvent, Position, Revision, Subject, Version},
    ports::{AppFilter, Committer, Contention, DeploymentFilter, EventLog, Reader, StoreError, VersionFilter},
    testing::{
        fixtures::{
            answer, app, app_id, at, deployment, entry, event_id, of, scope, stamp, username, version, version_id,
        },
        property,
    },
};
use alm_store_sqlite::SqliteStore;
use futures_util::future::join_all;
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::in_folder::InFolder;

/// Names, ids and keys are few, so they are often taken.
const FEW: i64 = 5;

/// The time of the last changeset, in microseconds.
const LATEST: i64 = 5;

fn change() -> impl Strategy<Value = Change> {
    let few = || 1..=FEW;
    prop_oneof![
        2 => (few(), few()).prop_map(|(id, name)| Change::app_created(&app(id, &format!("app-{name}")))),
        4 => (few(), few(), few())
            .prop_map(|(id, app, tag)| Change::version_created(&version(id, app, &format!("v{tag}")))),
        2 => (few(), few(), few()).prop_map(|(id, version, app)| Change::deployment_created(&deployment(id, version, app))),
        1 => Just(Change::login_failed(&username("ada"))),
    ]
}

fn guard() -> impl Strategy<Value = Guard> {
    prop_oneof![
        (1..=FEW).prop_map(|id| Guard::AppExists(app_id(id))),
        (1..=FEW).prop_map(|id| Guard::VersionExists(version_id(id))),
    ]
}

prop_compose! {
    fn remembered()(key in 1..=FEW, lives in 0..=6_i64, outcome in 0..100) -> (String, i64, String) {
        (format!("key-{key}"), lives, format!("{outcome}"))
    }
}

prop_compose! {
    /// What only adds.
    fn adding()(
        time in 0..=LATEST,
        changes in vec(change(), 1..=2),
        guards in vec(guard(), 0..=1),
        remembered in proptest::option::weighted(0.3, remembered()),
    ) -> Changeset {
        let mut changes = changes.into_iter();
        let first = Changeset::of(stamp(time), changes.next().unwrap(), event_id());
        let changeset = changes.fold(first, |changeset, change| changeset.and(change, event_id()));
        let changeset = guards.into_iter().fold(changeset, Changeset::guarded);
        changeset.remembering(remembered.map(|(key, lives, outcome)| answer(&key, &outcome, time, time + lives)))
    }
}

/// Changesets, some of them twice. Their times do not go back: a later one may clear away what an earlier one still finds live,
/// and whether it has done so is the store's affair.
fn group() -> impl Strategy<Value = Vec<Changeset>> {
    (vec(adding(), 1..=24), vec((any::<Index>(), any::<Index>()), 0..=3)).prop_map(|(mut group, again)| {
        for (which, place) in again {
            let changeset = group[which.index(group.len())].clone();
            group.insert(place.index(group.len() + 1), changeset);
        }
        group.sort_by_key(Changeset::at);
        group
    })
}

/// What a store has, without what is its own.
#[derive(Debug, PartialEq)]
struct Left {
    apps: Vec<App>,
    versions: Vec<Version>,
    deployments: Vec<Deployment>,
    answers: Vec<IdempotencyRecord>,
    log: Vec<(Position, ChangesetId, NewEvent)>,
}

impl Left {
    /// When an answer that has expired goes is the store's affair, so those are left out.
    async fn of(store: &SqliteStore) -> Self {
        let mut answers = Vec::new();
        for key in 1..=FEW {
            let answer = store.remembered(&scope(&format!("key-{key}"))).await.unwrap();
            answers.extend(answer.filter(|answer| answer.is_live(at(LATEST))));
        }
        Self {
            apps: store.apps(&AppFilter::default(), None, usize::MAX).await.unwrap(),
            versions: store.versions(&VersionFilter::default(), None, usize::MAX).await.unwrap(),
            deployments: store.deployments(&DeploymentFilter::default(), None, usize::MAX).await.unwrap(),
            answers,
            log: store
                .read(Position::START, usize::MAX)
                .await
                .unwrap()
                .iter()
                .map(|event| (event.position, event.changeset, event.event.clone()))
                .collect(),
        }
    }
}

/// What callers are told.
type Answers = Vec<Result<Receipt, StoreError>>;

async fn at_once(store: &SqliteStore, group: &[Changeset]) -> Answers {
    join_all(group.iter().map(|changeset| store.commit(changeset.clone()))).await
}

/// What records an entry is never made true by the statements of others, not even when it is alone.
async fn one_by_one(store: &SqliteStore, group: &[Changeset]) -> Answers {
    let mut answers = Vec::new();
    for changeset in group {
        answers.push(store.commit(changeset.clone().recording(entry("x"))).await);
    }
    answers
}

async fn are_told_the_same(before: Vec<Changeset>, group: Vec<Changeset>) -> Result<(), TestCaseError> {
    // given
    let (together, apart) = (InFolder::new().await, InFolder::new().await);
    for subject in [&together, &apart] {
        one_by_one(&subject.store, &before).await;
    }
    let already = together.store.transactions();

    // when
    let told = at_once(&together.store, &group).await;
    let expected = one_by_one(&apart.store, &group).await;

    // then
    prop_assert_eq!(together.store.transactions(), already + 1);
    prop_assert_eq!(format!("{told:#?}"), format!("{expected:#?}"));
    prop_assert_eq!(Left::of(&together.store).await, Left::of(&apart.store).await);
    Ok(())
}

fn adding_group() -> impl Strategy<Value = (Vec<Changeset>, Vec<Changeset>)> {
    (vec(adding(), 0..=4), group())
}

proptest! {
    #![proptest_config(property(48))]

    #[test]
    fn who_waits_with_others_is_told_what_it_would_be_alone((before, group) in adding_group()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(are_told_the_same(before, group))?;
    }
}

/// All of one kind, more than one statement takes.
#[tokio::test]
async fn many_wait_together_and_each_is_told_its_own() {
    // given every tenth is refused
    let subject = InFolder::new().await;
    let store = &subject.store;
    store.commit(of(Change::app_created(&app(1, "a")))).await.unwrap();
    let tag = |id: i64| if id % 10 == 0 { "taken".to_owned() } else { format!("v{id}") };
    let group: Vec<Changeset> = (1..=120)
        .map(|id| of(Change::version_created(&version(id, 1, &tag(id)))).guarded(Guard::AppExists(app_id(1))))
        .collect();

    // when
    let told = at_once(store, &group).await;

    // then the first of them got the tag
    let refused: Vec<i64> = (1..).zip(&told).filter(|(_, told)| told.is_err()).map(|(id, _)| id).collect();
    assert_eq!(refused, (20..=120).step_by(10).collect::<Vec<_>>());
    let log = store.read(Position::START, usize::MAX).await.unwrap();
    let committed = group.iter().zip(&told).filter(|(_, told)| told.is_ok()).map(|(changeset, _)| changeset.id());
    assert!(log.iter().skip(1).map(|event| event.changeset).eq(committed));
    assert_eq!(store.versions(&VersionFilter::default(), None, usize::MAX).await.unwrap().len(), 109);
    assert_eq!(store.transactions(), 2);
}

#[tokio::test]
async fn what_goes_in_the_same_group_is_no_parent_of_what_comes_after_it() {
    // given
    let subject = InFolder::new().await;
    let store = &subject.store;
    store.commit(of(Change::app_created(&app(1, "a")))).await.unwrap();
    let version =
        |id: i64| of(Change::version_created(&version(id, 1, &format!("v{id}")))).guarded(Guard::AppExists(app_id(1)));

    // when
    let group = [version(1), of(Change::app_deleted(&app(1, "a"))), version(2), version(3)];
    let told = at_once(store, &group).await;

    // then whatever came after the deletion in the log was refused
    assert!(told[1].is_ok());
    let log: Vec<_> =
        store.read(Position::START, 10).await.unwrap().iter().map(|event| event.subject.clone()).collect();
    assert_eq!(log.last(), Some(&Subject::App(app_id(1))), "{log:?}");
    for (changeset, told) in group.iter().zip(&told) {
        let is_there = store.receipt(changeset.id()).await.unwrap().is_some();
        assert_eq!(told.is_ok(), is_there, "{told:?}");
    }
}

#[tokio::test]
async fn what_changes_waits_together_with_what_adds() {
    // given
    let subject = InFolder::new().await;
    let store = &subject.store;
    store.commit(of(Change::app_created(&app(1, "a")))).await.unwrap();
    let renamed = |name: &str| App { revision: Revision::new(2), ..app(1, name) };

    // when two rename the app, and others take names
    let group = [
        of(Change::app_created(&app(2, "b"))),
        of(Change::app_updated(&renamed("c"), Revision::FIRST)),
        of(Change::app_updated(&renamed("d"), Revision::FIRST)),
        of(Change::app_created(&app(3, "e"))),
    ];
    let told = at_once(store, &group).await;

    // then
    let [Ok(_), Ok(_), Err(StoreError::Conflict(Contention::Revision(Subject::App(_)))), Ok(_)] = &told[..] else {
        panic!("{told:?}")
    };
    let names: Vec<_> =
        store.apps(&AppFilter::default(), None, 10).await.unwrap().into_iter().map(|app| app.name).collect();
    assert_eq!(names.iter().map(alm_core::domain::AppName::as_str).collect::<Vec<_>>(), ["c", "b", "e"]);
    assert_eq!(store.transactions(), 2);
}
