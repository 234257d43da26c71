//! What is let go when there is no room for more, and what is not.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use alm_core::{
    Alm,
    changeset::{Changeset, Checkpoint},
    domain::{Event, Position, Timestamp},
    ports::{BusError, Committer, EventBus},
    testing::{
        Call, Fault, Faulty, FaultyBus, Gate, MemoryBus, Operation, Switch,
        fixtures::stamp,
        inspect::{audit_of, log_of},
    },
};
use alm_store_memory::MemoryStore;
use alm_test_support::eventually;

use super::{
    system::{Running, name, run, service},
    trouble::orphan,
};
use crate::given::{admin, an_app};

/// A service with so many events, the first of which it has no more; and all of them.
async fn with_a_trimmed_log(bus: &MemoryBus, events: u64, trimmed: u64) -> (Alm, Vec<Arc<Event>>) {
    let store = Arc::new(MemoryStore::new());
    let app = service("app,auth", store.clone(), Arc::new(bus.clone())).build();
    for number in 0..events {
        app.apps().create(&admin(), an_app(&format!("app {number}"))).await.unwrap();
    }
    let log = log_of(store.as_ref()).await;
    store.trim(Position::new(trimmed), Timestamp::MAX, usize::MAX).await.unwrap();
    (app, log)
}

/// An audit service that has asked in vain for the first event of a log; of that there are so many others.
async fn before_a_gap(bus: &MemoryBus, faults: &Switch, events: u64) -> (Alm, Running) {
    let asked = Arc::new(AtomicUsize::new(0));
    let asks = asked.clone();
    let heard = FaultyBus::over(Arc::new(bus.clone()), move |call: &Call<'_>| {
        asks.fetch_add(usize::from(call.operation == Operation::Replay), Ordering::Relaxed);
        Fault::None
    });
    let store = Faulty::over(Arc::new(MemoryStore::new()), faults.clone());
    let audit = service("audit", Arc::new(store), Arc::new(heard)).build();
    let running = run(&audit);
    let orphans: Vec<_> = (2..2 + events).map(|position| orphan(1, position)).collect();
    bus.publish(&orphans).await.unwrap();
    eventually("its owner is asked again", async || (asked.load(Ordering::Relaxed) > 1).then_some(())).await;
    (audit, running)
}

async fn waiting(bus: &MemoryBus, messages: usize) {
    let waiting = async || (bus.unacknowledged(&name("audit")) <= messages).then_some(());
    eventually("what its owner can tell again has made room", waiting).await;
}

async fn audited(audit: &Alm, events: usize) {
    let audited = async || (audit_of(audit.store().as_ref()).await.len() == events).then_some(());
    eventually("every event is audited", audited).await;
}

#[tokio::test]
async fn a_store_that_stalls_loses_nothing_that_only_the_bus_still_has() {
    for stalls in [Operation::Commit, Operation::Checkpoint] {
        // given
        let (bus, faults, gate) = (MemoryBus::new(), Switch::default(), Gate::closed());
        let (app, log) = with_a_trimmed_log(&bus, 1_500, 1_490).await;
        let (audit, _audit) = before_a_gap(&bus, &faults, 1_200).await;

        // when there is no room for more while the store stalls
        let closed = gate.clone();
        faults.set(
            move |call: &Call<'_>| {
                if call.operation == stalls { Fault::Hold(closed.clone()) } else { Fault::None }
            },
        );
        bus.publish(&log).await.unwrap();
        let _app = run(&app);
        waiting(&bus, 512 + 1_500).await;
        gate.open();

        // then
        audited(&audit, 1_500).await;
    }
}

#[tokio::test]
async fn what_the_owner_says_that_it_has_no_more_is_kept() {
    // given a log that the owner has from its 2501st event on, and of which the bus has lost the second
    let bus = MemoryBus::new();
    let (app, log) = with_a_trimmed_log(&bus, 2_600, 2_500).await;
    let (audit, _audit) = before_a_gap(&bus, &Switch::default(), 600).await;
    bus.publish(&log[..1]).await.unwrap();
    audited(&audit, 1).await;
    let _app = run(&app);
    eventually("the owner says where its log begins", async || {
        let told = bus.replay(app.store().log_id(), Position::START, 1).await;
        matches!(told, Err(BusError::Gone { .. })).then_some(())
    })
    .await;

    // when there is no room for more
    bus.publish(&log[2..]).await.unwrap();
    waiting(&bus, 512 + 2_598).await;

    // then all others are there once someone accepts that the one is missed
    let (from, to) = (Position::new(1), Position::new(2));
    for consumer in audit.consumers().into_iter().filter(|consumer| consumer.as_str() != "relay") {
        let checkpoint = Checkpoint { consumer, log: app.store().log_id(), from, to };
        audit.store().commit(Changeset::progress(stamp(0), checkpoint)).await.unwrap();
    }
    audited(&audit, 2_599).await;
}
