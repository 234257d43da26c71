//! Reads, also while others write.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alm_core::{
    changeset::Change,
    domain::{App, DeploymentStatus, NewApp, NewVersion, Position, Revision, Timestamp, Version},
    ports::{AppFilter, AuditFilter, Committer, DeploymentFilter, EventLog, Reader, VersionFilter},
};
use alm_store_memory::MemoryStore;

use crate::given::{
    ALL, account, answer, app, app_id, at, consumer, deployment, entry, environment, letter, of, of_all, progress,
    scope, username, version, version_id,
};

/// Ends the writers of a test, also when it fails.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Calls `write` again and again, with a number that grows, on a thread of its own.
fn keep_writing(stop: &Stop, mut write: impl FnMut(i64) + Send + 'static) -> std::thread::JoinHandle<()> {
    let stopped = stop.0.clone();
    std::thread::spawn(move || {
        let mut round = 1;
        while !stopped.load(Ordering::Relaxed) {
            write(round);
            round += 1;
        }
    })
}

fn commit(store: &MemoryStore, changes: impl IntoIterator<Item = Change>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.commit(of_all(changes))).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_give_what_stays_exactly_once_whatever_comes_and_goes() {
    // given versions that stay at even ids, and a writer that inserts and deletes at odd ones
    const STAY: i64 = 100;
    let store = Arc::new(MemoryStore::new());
    let stay = (1..=STAY).map(|i| Change::version_created(&version(2 * i, 1, &format!("stays{i}"))));
    store.commit(of_all(stay)).await.unwrap();
    let stop = Stop(Arc::default());
    let writer = {
        let store = store.clone();
        keep_writing(&stop, move |round| {
            let comes = version(2 * (round % STAY) + 1, 1, "comes");
            commit(&store, [Change::version_created(&comes)]);
            commit(&store, [Change::version_deleted(&comes)]);
        })
    };

    for round in 0..200 {
        // when
        let filter = VersionFilter { app_id: (round % 2 == 0).then(|| app_id(1)), ..VersionFilter::default() };
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.versions(&filter, after, 7).await.unwrap();
            assert!(page.len() <= 7);
            let Some(last) = page.last() else { break };
            assert!(after.is_none_or(|after| after < last.id), "the list goes on");
            after = Some(last.id);
            seen.extend(page.iter().map(|version| version.id.get()));
        }

        // then
        assert!(seen.is_sorted_by(|a, b| a < b), "in order and none twice: {seen:?}");
        let stayed: Vec<_> = seen.into_iter().filter(|id| id % 2 == 0).collect();
        assert_eq!(stayed, (1..=STAY).map(|i| 2 * i).collect::<Vec<_>>());
    }
    drop(stop);
    writer.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_sees_a_commit_whole_or_not_at_all() {
    // given a writer that always changes two apps together
    let store = Arc::new(MemoryStore::new());
    store.commit(of_all([Change::app_created(&app(1, "a")), Change::app_created(&app(2, "b"))])).await.unwrap();
    let stop = Stop(Arc::default());
    let writer = {
        let store = store.clone();
        keep_writing(&stop, move |round| {
            let expected = Revision::new(u64::try_from(round).unwrap());
            let changed = |app: App| Change::app_updated(&App { revision: expected.next(), ..app }, expected);
            commit(&store, [changed(app(1, "a")), changed(app(2, "b"))]);
        })
    };

    let mut last = Revision::FIRST;
    for _ in 0..2000 {
        let apps = store.apps(&AppFilter::default(), None, ALL).await.unwrap();
        assert_eq!(apps.len(), 2);
        assert_eq!(apps[0].revision, apps[1].revision);
        assert!(apps[0].revision >= last, "time does not go back");
        last = apps[0].revision;
    }
    drop(stop);
    writer.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_has_no_gap_at_any_time() {
    // given writers whose commits have one to three events
    let store = Arc::new(MemoryStore::new());
    let stop = Stop(Arc::default());
    let writers: Vec<_> = (0..3)
        .map(|_| {
            let store = store.clone();
            keep_writing(&stop, move |round| {
                let events = usize::try_from(round % 3).unwrap() + 1;
                commit(&store, (0..events).map(|_| Change::login_failed(&username("ada"))));
            })
        })
        .collect();

    // when it is read by pages that end anywhere
    let mut log = Vec::new();
    for limit in (1..8).cycle() {
        let head = store.head().await.unwrap();
        let events = store.read(Position::new(log.len() as u64), limit).await.unwrap();
        let seen = log.len() as u64;
        // then all that the head promises is there
        assert!(events.len() as u64 >= (head.get() - seen.min(head.get())).min(limit as u64));
        for (event, position) in events.iter().zip(seen + 1..) {
            assert_eq!((event.position.get(), event.log), (position, store.log_id()));
        }
        log.extend(events);
        assert!(!writers.iter().any(std::thread::JoinHandle::is_finished), "a writer has failed");
        if log.len() > 3000 {
            break;
        }
    }
    drop(stop);
    for writer in writers {
        writer.join().unwrap();
    }

    // then the events of one commit stand together, and what was read never changes
    let mut commits = BTreeSet::new();
    for together in log.chunk_by(|a, b| a.changeset == b.changeset) {
        assert!(commits.insert(together[0].changeset), "another commit came between");
    }
    assert_eq!(store.read(Position::START, log.len()).await.unwrap(), log);
}

#[tokio::test]
async fn whoever_waits_for_events_is_woken_by_them_and_by_nothing_else() {
    // given
    let store = Arc::new(MemoryStore::new());
    let waiting = {
        let store = store.clone();
        tokio::spawn(async move { store.changed(Position::new(1)).await.unwrap() })
    };
    tokio::task::yield_now().await;

    // when there is nothing new after the position
    store.commit(progress(&store, 0, 0)).await.unwrap();
    store.commit(of(Change::login_failed(&username("ada")))).await.unwrap();
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());

    // when there is
    store.commit(of(Change::login_failed(&username("ada")))).await.unwrap();
    let woken = tokio::time::timeout(Duration::from_secs(10), waiting).await;

    // then
    woken.expect("it is woken").unwrap();
    store.changed(Position::START).await.unwrap();
}

#[tokio::test]
async fn the_longest_and_strangest_values_come_back_as_they_went() {
    // given
    let store = MemoryStore::new();
    let odd = "\u{1f469}\u{200d}\u{1f680} \u{202e}x\u{301} ﷽ \\u0000 '; DROP TABLE apps; --";
    let labels: BTreeMap<_, _> =
        (0..64).map(|i| (format!("{i:0>2}{}", "ключ".repeat(15)), "\u{1f680}".repeat(256))).collect();
    let new = NewApp::parse("é".repeat(128), odd.repeat(30), labels.clone()).unwrap();
    let NewApp { name, description, labels: parsed } = new;
    let mut longest = App { name, description, labels: parsed, ..app(i64::MAX, "x") };
    longest.created_at = Timestamp::MIN;
    longest.revision = Revision::new(u64::MAX);
    let new = NewVersion::parse(longest.id, "ÿ".repeat(128), odd.repeat(300), labels).unwrap();
    let NewVersion { tag, changelog, labels, .. } = new;
    let longest_version = Version { tag, changelog, labels, ..version(i64::MAX, i64::MAX, "x") };
    // Texts from elsewhere: an audit log takes what it is told, NUL and all.
    let strange = format!("\0{odd}\n{}", "x".repeat(100_000));

    // when
    let changes = [Change::app_created(&longest), Change::version_created(&longest_version)];
    let changeset = of_all(changes).remembering(answer("k", &strange, 0, 9)).recording(entry(&strange));
    store.commit(changeset.burying(letter(store.log_id(), u64::MAX, &strange))).await.unwrap();

    // then
    assert_eq!(store.app(longest.id).await.unwrap().as_ref(), Some(&longest));
    assert_eq!(store.version(longest_version.id).await.unwrap().as_ref(), Some(&longest_version));
    let named = AppFilter { name: Some(longest.name.clone()), ..AppFilter::default() };
    assert_eq!(store.apps(&named, None, 1).await.unwrap(), [longest]);
    assert_eq!(store.remembered(&scope("k")).await.unwrap().unwrap().outcome, strange.as_str());
    assert_eq!(store.audit_entries(&AuditFilter::default(), None, 1).await.unwrap()[0].payload, strange.as_str());
    assert_eq!(store.dead_letters(&consumer(), None, 1).await.unwrap()[0].reason, strange);
}

#[tokio::test]
async fn what_runs_is_the_success_that_finished_last_and_the_newer_of_two_at_once() {
    // given
    let store = MemoryStore::new();
    let versions = (1..=4).map(|id| Change::version_created(&version(id, 1, &format!("v{id}"))));
    store.commit(of_all(versions)).await.unwrap();
    let running = async || {
        let running = store.running(app_id(1), None, ALL).await.unwrap();
        running.iter().map(|running| (running.deployment.id.get(), running.since.micros())).collect::<Vec<_>>()
    };

    // when, then
    store.commit(of(Change::deployment_created(&deployment(1, 1, 1, None)))).await.unwrap();
    assert_eq!(running().await, [(0, 0); 0]);
    for (id, finished, runs) in [(2, 50, (2, 50)), (3, 40, (2, 50)), (4, 50, (4, 50))] {
        store.commit(of(Change::deployment_created(&deployment(id, id, 1, Some(finished))))).await.unwrap();
        assert_eq!(running().await, [runs]);
    }
    // when the first, which was asked for before them all, is done last
    let mut late = deployment(1, 1, 1, Some(60));
    late.revision = Revision::new(2);
    let change = Change::deployment_updated(&late, Revision::FIRST, DeploymentStatus::Pending);
    store.commit(of(change)).await.unwrap();
    assert_eq!(running().await, [(1, 60)]);
    // when it goes, and the version of the next
    store.commit(of(Change::deployment_deleted(&late))).await.unwrap();
    assert_eq!(running().await, [(4, 50)]);
    store.commit(of(Change::version_deleted(&version(4, 1, "v4")))).await.unwrap();
    assert_eq!(running().await, [(2, 50)]);
    assert_eq!(store.running(app_id(1), Some(&environment("prod")), ALL).await.unwrap(), []);
}

#[tokio::test]
async fn lists_begin_after_their_key_and_end_at_their_limit() {
    // given
    let store = MemoryStore::new();
    let mut changes = Vec::new();
    for id in 1..=9 {
        changes.push(Change::deployment_created(&deployment(id, 1 + id % 2, 1 + id % 3, None)));
        let mut record = account(&format!("u{id}"));
        record.user.created_at = at(100 - id / 2);
        changes.push(Change::user_created(&record));
    }
    store.commit(of_all(changes)).await.unwrap();

    // then
    let ids = async |filter: DeploymentFilter, after: i64, limit| {
        let after = alm_core::domain::DeploymentId::new(after);
        let deployments = store.deployments(&filter, after, limit).await.unwrap();
        deployments.iter().map(|deployment| deployment.id.get()).collect::<Vec<_>>()
    };
    let none = DeploymentFilter::default;
    let of_version = || DeploymentFilter { version_id: Some(version_id(1)), ..none() };
    let of_app = || DeploymentFilter { app_id: Some(app_id(1)), ..none() };
    assert_eq!(ids(none(), 0, 3).await, [1, 2, 3]);
    assert_eq!(ids(none(), 3, 3).await, [4, 5, 6]);
    assert_eq!(ids(none(), 9, 3).await, [0; 0]);
    assert_eq!(ids(of_version(), 2, 2).await, [4, 6]);
    assert_eq!(ids(of_version(), 5, ALL).await, [6, 8]);
    assert_eq!(ids(of_app(), 3, ALL).await, [6, 9]);
    assert_eq!(ids(DeploymentFilter { app_id: Some(app_id(1)), ..of_version() }, 0, ALL).await, [6]);

    let users = store.users(None, ALL).await.unwrap();
    let names: Vec<_> = users.iter().map(|user| user.username.as_str()).collect();
    assert_eq!(names, ["u8", "u9", "u6", "u7", "u4", "u5", "u2", "u3", "u1"]);
    let after = (users[3].created_at, users[3].username.clone());
    assert_eq!(store.users(Some(&after), 2).await.unwrap(), users[4..6]);
}
