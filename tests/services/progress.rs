//! How far a consumer is that nothing follows from: it says so seldom, and yet handles nothing twice without need.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
};

use alm_core::{
    Alm,
    changeset::{Change, ConsumerName},
    domain::{Event, Position},
    ports::{BackendError, Committer},
    runtime::{Consumer, HandleError, Handled, Handler, HandlerContext},
    testing::{
        Call, Fault, Faulty, InstantTimer, Operation,
        fixtures::{of, of_all, username},
    },
};
use alm_store_memory::MemoryStore;
use async_trait::async_trait;

fn failed() -> Change {
    Change::login_failed(&username("ada"))
}

async fn checkpoint(alm: &Alm, handler: &dyn Handler) -> Position {
    let store = alm.store();
    store.checkpoint(&handler.name(), store.log_id()).await.unwrap().unwrap_or(Position::START)
}

/// Handles one event after the other, and can't handle the third for some time.
struct Stumbling {
    panics: bool,
    fails: AtomicU32,
    seen: Mutex<Vec<u64>>,
}

#[async_trait]
impl Handler for Stumbling {
    fn name(&self) -> ConsumerName {
        ConsumerName::parse("stumbling").unwrap()
    }

    async fn handle(&self, events: &[Arc<Event>], _: &HandlerContext<'_>) -> Result<Handled, HandleError> {
        let position = events[0].position.get();
        self.seen.lock().unwrap().push(position);
        let fails = position == 3
            && self.fails.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        assert!(!(fails && self.panics), "it panics");
        if fails { Err(BackendError::internal("far away", "be there").into()) } else { Ok(Handled::nothing(1)) }
    }
}

#[tokio::test]
async fn what_was_handled_before_a_fault_is_not_handed_over_again() {
    for panics in [false, true] {
        // given
        let alm = Alm::builder(Arc::new(MemoryStore::new())).build();
        for _ in 0..5 {
            alm.store().commit(of(failed())).await.unwrap();
        }
        let handler = Arc::new(Stumbling { panics, fails: AtomicU32::new(4), seen: Mutex::default() });
        let consumer = Consumer::new(alm.clone(), handler.clone());

        // when
        let done = async {
            while checkpoint(&alm, &*handler).await < Position::new(5) {
                tokio::task::yield_now().await;
            }
        };
        futures_util::future::select(pin!(consumer.run(&InstantTimer)), pin!(done)).await;

        // then
        assert_eq!(*handler.seen.lock().unwrap(), [1, 2, 3, 3, 3, 3, 3, 4, 5], "panics: {panics}");
    }
}

#[tokio::test]
async fn what_was_handled_is_saved_also_when_catching_up_fails() {
    let alm = Alm::builder(Arc::new(MemoryStore::new())).build();
    alm.store().commit(of_all(failed(), (1..5).map(|_| failed()))).await.unwrap();
    let handler = Arc::new(Stumbling { panics: false, fails: AtomicU32::new(1), seen: Mutex::default() });
    Consumer::new(alm.clone(), handler.clone()).catch_up(&InstantTimer).await.unwrap_err();
    assert_eq!(checkpoint(&alm, &*handler).await, Position::new(2));
}

/// Nothing follows from any event.
struct Idle;

#[async_trait]
impl Handler for Idle {
    fn name(&self) -> ConsumerName {
        ConsumerName::parse("idle").unwrap()
    }

    async fn handle(&self, events: &[Arc<Event>], _: &HandlerContext<'_>) -> Result<Handled, HandleError> {
        Ok(Handled::nothing(events.len()))
    }
}

#[tokio::test]
async fn it_is_said_after_some_thousands_of_events_and_at_the_end() {
    // given
    let store = Arc::new(MemoryStore::new());
    store.commit(of_all(failed(), (1..10_000).map(|_| failed()))).await.unwrap();
    let commits = Arc::new(AtomicUsize::new(0));
    let counted = commits.clone();
    let count = move |call: &Call<'_>| {
        counted.fetch_add(usize::from(call.operation == Operation::Commit), Ordering::Relaxed);
        Fault::None
    };
    let alm = Alm::builder(Arc::new(Faulty::over(store, count))).build();

    // when
    let end = Consumer::new(alm.clone(), Arc::new(Idle)).catch_up(&InstantTimer).await.unwrap();

    // then
    assert_eq!((end, checkpoint(&alm, &Idle).await), (Position::new(10_000), Position::new(10_000)));
    assert_eq!(commits.load(Ordering::Relaxed), 3, "at 4096, at 8192 and at the end");
}
