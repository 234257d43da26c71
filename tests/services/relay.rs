//! The relay hands every event to the bus, in order, until the bus has it.

use std::sync::{Arc, Mutex};

use alm_core::{
    Alm,
    changeset::ConsumerName,
    domain::{Event, Position},
    ports::{BackendError, BackendErrorKind, BusError, Outcome},
    runtime::{Consumer, Relay},
    testing::{
        InstantTimer,
        inspect::{catch_up, log_of},
        mocks::{MockEventBus, mockall::Sequence},
    },
};
use alm_store_memory::MemoryStore;

use super::given::{admin, an_app};

async fn three_apps() -> Alm {
    let alm = Alm::builder(Arc::new(MemoryStore::new())).build();
    for name in ["one", "two", "three"] {
        alm.apps().create(&admin(), an_app(name)).await.unwrap();
    }
    alm
}

fn down() -> BusError {
    BusError::Backend(BackendError {
        kind: BackendErrorKind::Unavailable,
        adapter: "mock",
        operation: "publish",
        outcome: Outcome::Unknown,
        retry_after: None,
        source: None,
    })
}

/// A bus that keeps what it is given.
fn keeping(kept: &Arc<Mutex<Vec<Position>>>) -> MockEventBus {
    let (mut bus, kept) = (MockEventBus::new(), kept.clone());
    bus.expect_publish().returning(move |events| {
        kept.lock().unwrap().extend(events.iter().map(|event| event.position));
        Ok(())
    });
    bus
}

#[tokio::test]
async fn the_bus_gets_every_event_once_and_in_order() {
    let alm = three_apps().await;
    let kept = Arc::default();
    catch_up(&alm, Relay::to(Arc::new(keeping(&kept)))).await;
    alm.apps().create(&admin(), an_app("four")).await.unwrap();
    catch_up(&alm, Relay::to(Arc::new(keeping(&kept)))).await;
    let log: Vec<_> = log_of(alm.store().as_ref()).await.iter().map(|event| event.position).collect();
    assert_eq!(*kept.lock().unwrap(), log);
}

#[tokio::test]
async fn what_the_bus_has_not_taken_is_published_again() {
    let alm = three_apps().await;
    let (mut bus, mut order) = (MockEventBus::new(), Sequence::new());
    bus.expect_publish().times(1).in_sequence(&mut order).returning(|_| Err(down()));
    bus.expect_publish().times(1).in_sequence(&mut order).withf(|events| events.len() == 3).returning(|_| Ok(()));
    let relay = Consumer::new(alm.clone(), Arc::new(Relay::to(Arc::new(bus))));

    let failed = relay.catch_up(&InstantTimer).await.unwrap_err();
    assert!(failed.is_retryable());
    let name = ConsumerName::parse("relay").unwrap();
    assert_eq!(alm.store().checkpoint(&name, alm.store().log_id()).await.unwrap(), None);
    assert_eq!(relay.catch_up(&InstantTimer).await.unwrap(), Position::new(3));
}

#[tokio::test]
async fn an_event_that_the_bus_will_never_take_goes_to_the_dead_letters_and_the_rest_goes_on() {
    let alm = three_apps().await;
    let refused = log_of(alm.store().as_ref()).await[1].id;
    let (mut bus, mut order) = (MockEventBus::new(), Sequence::new());
    let rejected = move |_: &[Arc<Event>]| Err(BusError::Rejected { event: refused, reason: "too large".to_owned() });
    bus.expect_publish().times(1).in_sequence(&mut order).returning(rejected);
    bus.expect_publish().times(1).in_sequence(&mut order).withf(|rest| rest.len() == 1).returning(|_| Ok(()));
    assert_eq!(catch_up(&alm, Relay::to(Arc::new(bus))).await, Position::new(3));

    let letters = alm.store().dead_letters(&ConsumerName::parse("relay").unwrap(), None, 10).await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.event_id).collect::<Vec<_>>(), [refused]);
}

#[tokio::test]
async fn a_bus_that_is_plugged_in_is_served_by_the_run() {
    let (tell, told) = tokio::sync::oneshot::channel();
    let (mut bus, tell) = (MockEventBus::new(), Mutex::new(Some(tell)));
    bus.expect_publish().times(1).withf(|events| events.len() == 1).returning(move |_| {
        tell.lock().unwrap().take().unwrap().send(()).unwrap();
        Ok(())
    });
    bus.expect_max_event_bytes().returning(|| None);
    bus.expect_announce().returning(|_| Ok(()));
    bus.expect_serve_replays().returning(|_| Err(BusError::Unsupported("replays")));
    let alm = Alm::builder(Arc::new(MemoryStore::new())).bus(Arc::new(bus)).build();
    alm.apps().create(&admin(), an_app("one")).await.unwrap();
    alm.run(InstantTimer, async { told.await.unwrap() }).await;
}
