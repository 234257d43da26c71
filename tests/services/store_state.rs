//! Whether the store takes commits is known without asking it at will.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use alm_core::{
    Alm,
    ports::BackendErrorKind,
    runtime::{AuditConsumer, Consumer},
    services::StoreState,
    testing::{Call, Fault, Faulty, InstantTimer, ManualClock, Operation, Switch},
};
use alm_store_memory::MemoryStore;
use futures_util::{FutureExt, future::join_all};

use super::given::{admin, an_app};

const SECOND: i64 = 1_000_000;

/// A clock that stands, the switch of the store's faults, and ALM over both.
fn given() -> (Arc<ManualClock>, Switch, Alm) {
    let (clock, faults) = (ManualClock::at(100 * SECOND), Switch::default());
    let store = Faulty::over(Arc::new(MemoryStore::new()), faults.clone());
    let alm = Alm::builder(Arc::new(store)).clock(clock.clone()).build();
    (clock, faults, alm)
}

/// Every call for which `is_hit` is refused.
fn refused(kind: BackendErrorKind, is_hit: fn(Operation) -> bool) -> impl Fn(&Call<'_>) -> Fault {
    move |call| if is_hit(call.operation) { Fault::Refused(kind) } else { Fault::None }
}

#[tokio::test]
async fn what_the_store_says_of_itself_is_told() {
    for (kind, state) in [
        (BackendErrorKind::NotWritable, StoreState::ReadOnly),
        (BackendErrorKind::Unavailable, StoreState::Down),
        (BackendErrorKind::Timeout, StoreState::Down),
    ] {
        let (clock, faults, alm) = given();
        assert_eq!(alm.store_state().await, StoreState::Up);
        clock.move_by(SECOND);
        faults.set(refused(kind, Operation::changes));
        assert_eq!(alm.store_state().await, state);
        clock.move_by(SECOND);
        faults.off();
        assert_eq!(alm.store_state().await, StoreState::Up);
    }
}

#[tokio::test]
async fn the_store_is_asked_once_a_second_however_many_want_to_know() {
    // given a store that takes its time
    let (clock, faults, alm) = given();
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    faults.set(move |call: &Call<'_>| {
        count.fetch_add(u32::from(call.operation == Operation::ForgetAnswers), Ordering::Relaxed);
        Fault::Delay(3)
    });

    // when many ask at the same time, and one after the other
    for second in 1..=3 {
        let states = join_all((0..20).map(|_| alm.store_state())).await;
        assert!(states.iter().all(|state| *state == StoreState::Up));
        clock.move_by(SECOND - 1);
        alm.store_state().await;
        assert_eq!(asked.load(Ordering::Relaxed), second);
        clock.move_by(1);
    }

    // when the one who has it asked does not wait for the answer
    assert_eq!(alm.store_state().now_or_never(), None);
    for _ in 0..20 {
        assert_eq!(alm.store_state().now_or_never(), Some(StoreState::Up), "as it was known before");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn as_long_as_it_has_not_answered_a_store_is_down() {
    let (_, faults, alm) = given();
    faults.set(|_: &Call<'_>| Fault::Delay(1));
    assert_eq!(alm.store_state().now_or_never(), None);
    assert_eq!(alm.store_state().await, StoreState::Down);
}

/// Someone who changes something, and is refused.
async fn ask_for_a_change(alm: &Alm) {
    alm.apps().create(&admin(), an_app("b")).await.unwrap_err();
}

async fn let_a_consumer_work(alm: &Alm) {
    Consumer::new(alm.clone(), Arc::new(AuditConsumer)).catch_up(&InstantTimer).await.unwrap_err();
}

#[tokio::test]
async fn a_refusal_that_anyone_has_met_counts_for_two_seconds() {
    for (hit, by_a_consumer) in [(Operation::Commit, false), (Operation::Commit, true), (Operation::Allocate, false)] {
        // given a store that is full: it agrees to what needs no space
        let (clock, faults, alm) = given();
        alm.apps().create(&admin(), an_app("a")).await.unwrap();
        faults.set(
            move |call: &Call<'_>| {
                if call.operation == hit { Fault::Refused(BackendErrorKind::NotWritable) } else { Fault::None }
            },
        );
        assert_eq!(alm.store_state().await, StoreState::Up);

        // when
        if by_a_consumer {
            let_a_consumer_work(&alm).await;
        } else {
            for name in 0..64 {
                // The ids that are there are used up first.
                let _ = alm.apps().create(&admin(), an_app(&format!("app-{name}"))).await;
            }
        }

        // then
        assert_eq!(alm.store_state().await, StoreState::ReadOnly, "{hit}");
        clock.move_by(2 * SECOND - 1);
        assert_eq!(alm.store_state().await, StoreState::ReadOnly, "{hit}");
        clock.move_by(1);
        assert_eq!(alm.store_state().await, StoreState::Up, "{hit}");
    }
}

#[tokio::test]
async fn other_refusals_do_not_count() {
    let (_, faults, alm) = given();
    for kind in [BackendErrorKind::Overloaded, BackendErrorKind::Unavailable, BackendErrorKind::Internal] {
        faults.set(refused(kind, |operation| operation == Operation::Commit));
        ask_for_a_change(&alm).await;
    }
    assert_eq!(alm.store_state().await, StoreState::Up);
}

#[tokio::test]
async fn what_was_seen_does_not_count_for_ever_when_the_clock_is_set_back() {
    let (clock, faults, alm) = given();
    faults.set(refused(BackendErrorKind::NotWritable, Operation::changes));
    ask_for_a_change(&alm).await;
    assert_eq!(alm.store_state().await, StoreState::ReadOnly);
    faults.off();
    clock.move_by(-60 * SECOND);
    assert_eq!(alm.store_state().await, StoreState::Up);
}
