//! What is old goes, and nothing that someone has yet to handle.

use std::{sync::Arc, time::Duration};

use alm_core::{
    Alm,
    changeset::ConsumerName,
    domain::{Event, Position},
    ports::{BackendErrorKind, Committer, EventLog, Store, StoreError},
    runtime::{
        AuditConsumer, Cascade, Consumer, HandleError, Handled, Handler, HandlerContext, Housekeeping, Retention,
    },
    testing::{
        Call, Fault, Faulty, Gate, InstantTimer, ManualClock, MemoryBus, Operation, Script,
        fixtures::{checkpoint, progress, stamp},
        inspect::{audit_of, catch_up, log_of, settle},
    },
};
use alm_store_memory::MemoryStore;
use async_trait::async_trait;

use crate::given::{admin, an_app, keyed};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 24 * 60 * 60 * SECOND;

fn days(days: u64) -> Retention {
    Retention::default().of_log(Duration::from_secs(days * 24 * 60 * 60))
}

/// ALM with an app of each of the days 0, 1, 2; now it is the third.
async fn three_days(store: Arc<dyn Store>) -> (Alm, Arc<ManualClock>) {
    let clock = ManualClock::at(0);
    let alm = Alm::builder(store).clock(clock.clone()).build();
    for name in ["one", "two", "three"] {
        alm.apps().create(&admin(), an_app(name)).await.unwrap();
        clock.move_by(DAY);
    }
    (alm, clock)
}

async fn tidy(alm: &Alm, retention: Retention) -> (u64, u64) {
    let removed = Housekeeping::new(alm.clone(), retention).tidy().await.unwrap();
    (removed.events, removed.answers)
}

/// Runs until `done` is, and stops then.
async fn run_until(alm: &Alm, done: impl Future<Output = ()> + Send) {
    let run = tokio::time::timeout(Duration::from_secs(20), alm.run(InstantTimer, done)).await;
    run.expect("it comes about, and the run stops");
}

async fn begins_at(store: &MemoryStore, position: u64) {
    while store.oldest().await.unwrap().get() != position {
        tokio::task::yield_now().await;
    }
}

async fn audited(store: &MemoryStore) {
    while audit_of(store).await.is_empty() {
        tokio::task::yield_now().await;
    }
}

/// A consumer of the host's, which handles everything.
struct HostReader(&'static str);

#[async_trait]
impl Handler for HostReader {
    fn name(&self) -> ConsumerName {
        ConsumerName::parse(self.0).unwrap()
    }

    async fn handle(&self, events: &[Arc<Event>], _: &HandlerContext<'_>) -> Result<Handled, HandleError> {
        Ok(Handled::nothing(events.len()))
    }
}

#[tokio::test]
async fn an_event_goes_when_it_is_older_than_the_retention() {
    let (alm, clock) = three_days(Arc::new(MemoryStore::new())).await;
    settle(&alm, &[]).await;
    let log = log_of(alm.store().as_ref()).await;

    assert_eq!(tidy(&alm, days(4)).await, (0, 0));
    assert_eq!(tidy(&alm, days(3)).await, (0, 0), "the first is three days old, and not older");
    clock.move_by(1);
    assert_eq!(tidy(&alm, days(3)).await, (1, 0));
    assert_eq!(log_of(alm.store().as_ref()).await, log[1..]);
    assert_eq!(tidy(&alm, days(0)).await, (2, 0));
    assert_eq!(alm.store().oldest().await.unwrap(), Position::new(4));
    assert_eq!(audit_of(alm.store().as_ref()).await.len(), 3, "audit entries stay");
}

#[tokio::test]
async fn an_event_stays_as_long_as_a_consumer_has_yet_to_handle_it() {
    // given a consumer of the host's, and a bus
    let store = Arc::new(MemoryStore::new());
    let (alm, clock) = three_days(store.clone()).await;
    let builder = Alm::builder(store.clone()).clock(clock.clone()).bus(Arc::new(MemoryBus::new()));
    let with_all = builder.handler(Arc::new(HostReader("host"))).build();

    // when none has begun, or not all
    assert_eq!(tidy(&alm, days(1)).await, (0, 0));
    catch_up(&alm, AuditConsumer).await;
    catch_up(&alm, Cascade::default()).await;
    assert_eq!(tidy(&alm, days(1)).await, (0, 0), "auto-deploy has not begun");
    settle(&alm, &[]).await;
    assert_eq!(tidy(&with_all, days(1)).await, (0, 0), "the host's consumer and the relay have not begun");

    // when they have handled some
    let log = store.log_id();
    let to_two = checkpoint(log, 0, 2);
    for name in ["host", "relay"] {
        assert_eq!(tidy(&with_all, days(1)).await, (0, 0), "{name} has not begun");
        let to_two = alm_core::changeset::Checkpoint { consumer: HostReader(name).name(), ..to_two.clone() };
        store.commit(alm_core::changeset::Changeset::progress(stamp(0), to_two)).await.unwrap();
    }

    // then those go
    assert_eq!(tidy(&with_all, days(0)).await, (2, 0));
    assert_eq!(store.oldest().await.unwrap(), Position::new(3));
    // and for those who know of no other consumer, the rest
    assert_eq!(tidy(&alm, days(0)).await, (1, 0));
}

#[tokio::test]
async fn answers_that_have_expired_go_and_the_log_stays_unless_told() {
    let clock = ManualClock::at(0);
    let alm = Alm::builder(Arc::new(MemoryStore::new())).clock(clock.clone()).build();
    for (name, key) in [("one", "k1"), ("two", "k2")] {
        alm.apps().create(&keyed(admin(), key, 1), an_app(name)).await.unwrap();
        clock.move_by(DAY / 2);
    }
    settle(&alm, &[]).await;

    // The first is a day old by now, the second half a day.
    assert_eq!(tidy(&alm, Retention::default()).await, (0, 1));
    assert!(alm.apps().create(&keyed(admin(), "k2", 1), an_app("two")).await.unwrap().replayed);
    clock.move_by(DAY);
    assert_eq!(tidy(&alm, Retention::default()).await, (0, 1));
    assert_eq!(log_of(alm.store().as_ref()).await.len(), 2);
}

#[tokio::test]
async fn a_consumer_that_is_new_begins_with_the_oldest_event_that_is_kept() {
    // given a log whose first event is gone
    let (alm, clock) = three_days(Arc::new(MemoryStore::new())).await;
    settle(&alm, &[]).await;
    clock.move_by(1);
    assert_eq!(tidy(&alm, days(3)).await, (1, 0));

    // when
    let position = catch_up(&alm, HostReader("new")).await;

    // then
    assert_eq!(position, Position::new(3));
    // and one that has nothing to begin with is held on to
    assert_eq!(tidy(&alm, days(0)).await, (2, 0));
    assert_eq!(catch_up(&alm, HostReader("newer")).await, Position::new(3));
    let stands = alm.store().checkpoint(&HostReader("newer").name(), alm.store().log_id()).await.unwrap();
    assert_eq!(stands, Some(Position::new(3)));
}

#[tokio::test]
async fn a_consumer_that_is_behind_what_is_kept_passes_nothing_over() {
    // given a consumer that has handled one event of three, when two are gone
    let (alm, clock) = three_days(Arc::new(MemoryStore::new())).await;
    alm.store().commit(progress(alm.store().log_id(), 0, 1)).await.unwrap();
    settle(&alm, &[]).await;
    clock.move_by(1);
    assert_eq!(tidy(&alm, days(2)).await, (2, 0));

    // when
    let consumer = Consumer::new(alm.clone(), Arc::new(HostReader("reader")));
    let error = consumer.catch_up(&InstantTimer).await.unwrap_err();

    // then
    assert!(matches!(error, StoreError::Gone { oldest } if oldest == Position::new(3)), "{error:?}");
    let stands = async || alm.store().checkpoint(&HostReader("reader").name(), alm.store().log_id()).await.unwrap();
    assert_eq!(stands().await, Some(Position::new(1)), "it waits where it is");

    // when whoever looks after it accepts that
    alm.store().commit(progress(alm.store().log_id(), 1, 2)).await.unwrap();
    // then it goes on
    assert_eq!(consumer.catch_up(&InstantTimer).await.unwrap(), Position::new(3));
}

#[tokio::test]
async fn a_run_removes_what_is_old_in_small_steps_however_much_it_is() {
    // given a store that notes how its log is trimmed
    let clock = ManualClock::at(0);
    let store = Arc::new(MemoryStore::new());
    let trims = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let noted = trims.clone();
    let noting = Faulty::over(store.clone(), move |call: &Call<'_>| {
        if call.operation == Operation::Trim {
            noted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        Fault::None
    });
    let alm = Alm::builder(Arc::new(noting)).clock(clock.clone()).retention(days(1)).build();
    for n in 0..1200 {
        alm.apps().create(&admin(), an_app(&format!("app-{n}"))).await.unwrap();
    }
    clock.move_by(2 * DAY);

    // when
    run_until(&alm, begins_at(&store, 1201)).await;

    // then
    assert!(trims.load(std::sync::atomic::Ordering::Relaxed) >= 3, "1200 are more than two steps");
    assert_eq!(audit_of(store.as_ref()).await.len(), 1200);
    alm.apps().create(&admin(), an_app("later")).await.unwrap();
    assert_eq!(log_of(store.as_ref()).await[0].position, Position::new(1201));
}

#[tokio::test]
async fn nothing_is_removed_unless_the_host_asks_for_it() {
    let clock = ManualClock::at(0);
    let never = |call: &Call<'_>| {
        assert!(![Operation::Trim, Operation::ForgetAnswers].contains(&call.operation), "{call:?}");
        Fault::None
    };
    let store = Arc::new(MemoryStore::new());
    let alm = Alm::builder(Arc::new(Faulty::over(store.clone(), never))).clock(clock.clone()).build();
    alm.apps().create(&admin(), an_app("one")).await.unwrap();
    clock.move_by(1000 * DAY);
    run_until(&alm, audited(&store)).await;
    assert_eq!(store.oldest().await.unwrap(), Position::FIRST);
}

#[tokio::test]
async fn faults_while_removing_are_waited_out_and_stop_no_consumer() {
    // given a store that can't trim for a while
    let clock = ManualClock::at(0);
    let refused = || Fault::Refused(BackendErrorKind::Timeout);
    let lost = || Fault::AnswerLost(BackendErrorKind::Timeout);
    let script = Arc::new(Script::on(Operation::Trim, [refused(), Fault::Panic, lost(), refused()]));
    let store = Arc::new(MemoryStore::new());
    let faulty = Faulty::over(store.clone(), script.clone());
    let alm = Alm::builder(Arc::new(faulty)).clock(clock.clone()).retention(days(1)).build();
    alm.apps().create(&admin(), an_app("one")).await.unwrap();
    clock.move_by(DAY + 1);

    // when
    run_until(&alm, async {
        begins_at(&store, 2).await;
        while !script.is_done() {
            tokio::task::yield_now().await;
        }
    })
    .await;

    // then
    assert_eq!(audit_of(store.as_ref()).await.len(), 1);
}

#[tokio::test]
async fn a_store_that_is_slow_to_trim_keeps_nothing_from_working_or_stopping() {
    let gate = Gate::closed();
    let held = gate.clone();
    let plan = move |call: &Call<'_>| match call.operation {
        Operation::Trim => Fault::Hold(held.clone()),
        _ => Fault::None,
    };
    let store = Arc::new(MemoryStore::new());
    let alm = Alm::builder(Arc::new(Faulty::over(store.clone(), plan))).retention(days(1)).build();
    run_until(&alm, async {
        gate.holds(1).await;
        alm.apps().create(&admin(), an_app("one")).await.unwrap();
        audited(&store).await;
    })
    .await;
}
