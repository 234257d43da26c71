//! Several processes on one store.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use alm_core::{
    changeset::DeadLetter,
    domain::Position,
    ports::BusError,
    runtime::Retried,
    testing::{MemoryBus, inspect::audit_of, mocks::MockEventBus},
};
use alm_store_memory::MemoryStore;
use alm_test_support::eventually;

use super::system::{name, run, service};
use crate::given::{a_version, admin, an_app};

#[tokio::test]
async fn one_process_of_a_store_works_on_the_bus_and_another_takes_over_when_it_ends() {
    // given a bus that knows no ids, so that what is published twice is there twice
    let (bus, store) = (MemoryBus::new(), Arc::new(MemoryStore::new()));
    let forgetful = alm_core::testing::FaultyBus::over(Arc::new(bus.clone()), {
        let bus = bus.clone();
        move |_: &alm_core::testing::Call<'_>| {
            bus.forget_ids();
            alm_core::testing::Fault::None
        }
    });
    let forgetful: Arc<dyn alm_core::ports::EventBus> = Arc::new(forgetful);
    let processes = [(); 2].map(|()| service("app", store.clone(), forgetful.clone()).build());
    let first = run(&processes[0]);
    processes[0].apps().create(&admin(), an_app("before")).await.unwrap();
    eventually("the first relays", async || (bus.published().len() == 1).then_some(())).await;
    let _second = run(&processes[1]);

    // when
    for number in 0..100 {
        processes[number % 2].apps().create(&admin(), an_app(&format!("app {number}"))).await.unwrap();
        tokio::task::yield_now().await;
    }
    eventually("all is relayed", async || (bus.published().len() >= 101).then_some(())).await;
    drop(first);
    processes[1].apps().create(&admin(), an_app("after")).await.unwrap();

    // then
    let last = Position::new(102);
    eventually("the other relays", async || bus.published().iter().any(|event| event.position == last).then_some(()))
        .await;
    let published: Vec<_> = bus.published().iter().map(|event| event.position.get()).collect();
    assert_eq!(published[..101], (1..=101).collect::<Vec<_>>(), "each once");
}

#[tokio::test]
async fn two_audit_processes_on_one_store_audit_each_event_once() {
    let (bus, store) = (MemoryBus::new(), Arc::new(MemoryStore::new()));
    let apps = service("app", Arc::new(MemoryStore::new()), Arc::new(bus.clone())).build();
    let audits = [(); 2].map(|()| service("audit", store.clone(), Arc::new(bus.clone())).build());
    let _running = [run(&apps), run(&audits[0]), run(&audits[1])];
    for number in 0..200 {
        apps.apps().create(&admin(), an_app(&format!("app {number}"))).await.unwrap();
        tokio::task::yield_now().await;
    }
    eventually("all is audited", async || (audit_of(store.as_ref()).await.len() >= 200).then_some(())).await;
    let entries = audit_of(store.as_ref()).await;
    let order: Vec<_> = entries.iter().map(|entry| entry.subject.clone()).collect();
    let mut once = order.clone();
    once.dedup();
    assert_eq!((order.len(), once), (200, order));
}

#[tokio::test]
async fn what_the_bus_would_never_take_is_refused_before_it_is_there() {
    let mut bus = MockEventBus::new();
    bus.expect_max_event_bytes().returning(|| Some(2000));
    let alm = service("app,version", Arc::new(MemoryStore::new()), Arc::new(bus)).build();
    let app = alm.apps().create(&admin(), an_app("billing")).await.unwrap().value.id;
    let changelog = |bytes| {
        alm_core::domain::NewVersion::parse(app, "v1".into(), "x".repeat(bytes), std::collections::BTreeMap::new())
            .unwrap()
    };
    let refused = alm.versions().create(&admin(), changelog(2000)).await.unwrap_err();
    assert_eq!(refused.code(), "event-too-large");
    assert_eq!(alm.store().head().await.unwrap(), Position::new(1));
    alm.versions().create(&admin(), changelog(100)).await.unwrap();
    drop(a_version(app, "v2"));
}

#[tokio::test]
async fn a_letter_is_handled_once_when_it_is_tried_again() {
    // given an event that the bus refuses, and takes later
    let tries = Arc::new(AtomicUsize::new(0));
    let mut bus = MockEventBus::new();
    let counted = tries.clone();
    bus.expect_publish().returning(move |events| match counted.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Err(BusError::Rejected { event: events[0].id, reason: "too large".to_owned() }),
        _ => Ok(()),
    });
    bus.expect_max_event_bytes().returning(|| None);
    let alm = service("app", Arc::new(MemoryStore::new()), Arc::new(bus)).build();
    alm.apps().create(&admin(), an_app("billing")).await.unwrap();
    let relay = alm_core::runtime::Relay::to(alm.bus().unwrap().clone());
    alm_core::testing::inspect::catch_up(&alm, relay).await;
    let letters = async || alm.dead_letters(&name("relay"), None, 10).await.unwrap();
    let [letter]: [DeadLetter; 1] = letters().await.try_into().unwrap();

    // when, then
    assert_eq!(alm.retry(&letter).await.unwrap(), Retried::Refused("too large".to_owned()));
    assert_eq!(letters().await, std::slice::from_ref(&letter));
    assert_eq!(alm.retry(&letter).await.unwrap(), Retried::Handled);
    assert_eq!(letters().await, []);
    assert_eq!(alm.retry(&letter).await.unwrap(), Retried::Gone);
    assert!(alm.consumers().contains(&letter.consumer));
}
