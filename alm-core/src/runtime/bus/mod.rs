//! The way to other processes: the relay tells them what happens here, the inbox hears what happens there.
//!
//! Of several processes on one store one at a time works on the bus: it holds the role `bus`. All of them answer replays.

mod inbox;
mod relay;
mod remote_log;
mod strays;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{
    FutureExt,
    future::{join, join3, pending},
};

use crate::{
    changeset::ConsumerName,
    ports::{EventBus, Head, Timer},
    services::Alm,
};

use super::{
    backoff::Backoff,
    consumer::{Consumer, panicked},
    feed::Feed,
    role::in_turn,
};

use inbox::Inbox;
pub use relay::Relay;

/// How often it is announced how far the log is.
const ANNOUNCE: Duration = Duration::from_secs(5);

/// Works on the bus for ever, if there is one.
pub(super) async fn carry(alm: &Alm, log: &Arc<dyn Feed>, timer: &dyn Timer) {
    match &alm.inner.bus {
        Some(bus) => drop(join(answer(alm, bus, timer), take_turns(alm, log, bus, timer)).await),
        None => pending().await,
    }
}

/// Answers replays of the log of this store.
async fn answer(alm: &Alm, bus: &Arc<dyn EventBus>, timer: &dyn Timer) {
    let mut backoff = Backoff::default();
    loop {
        // A bug in a store or a bus must not stop the others.
        let served = AssertUnwindSafe(bus.serve_replays(alm.inner.store.clone())).catch_unwind().await;
        let delay = backoff.next(alm.random());
        match served {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, ?delay, "no replays are answered");
            }
            Err(panic) => {
                let error = panicked("bus", "answer replays", panic.as_ref());
                tracing::error!(error = &error as &dyn std::error::Error, ?delay, "no replays are answered");
            }
        }
        timer.sleep(delay).await;
    }
}

/// Works whenever no other process on this store does.
async fn take_turns(alm: &Alm, log: &Arc<dyn Feed>, bus: &Arc<dyn EventBus>, timer: &dyn Timer) {
    in_turn(alm, &ConsumerName::built_in("bus"), "works on the bus", timer, || work(alm, log, bus, timer)).await;
}

/// It ends only when an adapter panics.
async fn work(alm: &Alm, log: &Arc<dyn Feed>, bus: &Arc<dyn EventBus>, timer: &dyn Timer) {
    let relay = Consumer::reading(log.clone(), alm.clone(), Arc::new(Relay::to(bus.clone())));
    let inbox = async {
        match alm.inner.inbox.clone() {
            Some(name) => Inbox::of(alm.clone(), bus.clone(), name).run(timer).await,
            None => pending().await,
        }
    };
    let all = join3(relay.run(timer), inbox, announce(alm, bus, timer));
    if let Err(panic) = AssertUnwindSafe(all).catch_unwind().await {
        let error = panicked("bus", "work on the bus", panic.as_ref());
        tracing::error!(error = &error as &dyn std::error::Error, "the work on the bus begins anew");
    }
}

/// Tells how far the log is, so that whoever has missed its end finds out.
async fn announce(alm: &Alm, bus: &Arc<dyn EventBus>, timer: &dyn Timer) {
    let store = &alm.inner.store;
    loop {
        match store.head().await {
            Ok(position) => {
                if let Err(error) = bus.announce(Head { log: store.log_id(), position }).await {
                    tracing::debug!(error = &error as &dyn std::error::Error, "the head is not announced");
                }
            }
            Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "the head is not known"),
        }
        timer.sleep(ANNOUNCE).await;
    }
}
