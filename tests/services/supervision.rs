//! A handler with a bug is waited out, and so is a store that is away; the others go on.

use std::{
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use alm_core::{
    Alm,
    changeset::ConsumerName,
    domain::{Event, Position},
    ports::{BackendErrorKind, StoreError, Timer},
    runtime::{AuditConsumer, Consumer, HandleError, Handled, Handler, HandlerContext},
    testing::{Call, Fault, Faulty, InstantTimer, inspect::audit_of},
};
use alm_store_memory::MemoryStore;
use async_trait::async_trait;

use super::given::{admin, an_app};

#[derive(Clone, Copy, Debug)]
enum Bug {
    Panics,
    CountsTooMany,
    DoesNothing,
    BuriesAnother,
}

#[async_trait]
impl Handler for Bug {
    fn name(&self) -> ConsumerName {
        ConsumerName::parse("buggy").unwrap()
    }

    async fn handle(&self, events: &[Arc<Event>], _: &HandlerContext<'_>) -> Result<Handled, HandleError> {
        match self {
            Self::Panics => panic!("a bug of the host's"),
            Self::CountsTooMany => Ok(Handled::nothing(events.len() + 1)),
            Self::DoesNothing => Ok(Handled::nothing(0)),
            Self::BuriesAnother => Err(HandleError::Unprocessable { at: events.len(), reason: String::new() }),
        }
    }
}

async fn one_app(bug: Option<Bug>) -> Alm {
    let builder = Alm::builder(Arc::new(MemoryStore::new()));
    let alm = match bug {
        Some(bug) => builder.handler(Arc::new(bug)).build(),
        None => builder.build(),
    };
    alm.apps().create(&admin(), an_app("one")).await.unwrap();
    alm
}

#[tokio::test]
async fn a_handler_that_panics_takes_no_other_consumer_with_it() {
    let alm = one_app(Some(Bug::Panics)).await;
    let audited = async {
        while audit_of(alm.store().as_ref()).await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), alm.run(InstantTimer, audited)).await.unwrap();
    assert_eq!(audit_of(alm.store().as_ref()).await.len(), 1);
}

#[tokio::test]
async fn what_a_handler_cannot_have_meant_is_a_fault_and_moves_nothing() {
    for bug in [Bug::CountsTooMany, Bug::DoesNothing, Bug::BuriesAnother] {
        let alm = one_app(None).await;
        let fault = Consumer::new(alm.clone(), Arc::new(bug)).catch_up(&InstantTimer).await.unwrap_err();
        assert!(matches!(fault, StoreError::Backend(_)), "{bug:?}: {fault}");
        let stands = alm.store().checkpoint(&bug.name(), alm.store().log_id()).await.unwrap();
        assert_eq!(stands.unwrap_or(Position::START), Position::START, "{bug:?}");
        assert!(alm.store().dead_letters(&bug.name(), None, 10).await.unwrap().is_empty(), "{bug:?}");
    }
}

/// Notes how long it is asked to wait.
#[derive(Clone, Default)]
struct NotingTimer(Arc<Mutex<Vec<Duration>>>);

#[async_trait]
impl Timer for NotingTimer {
    async fn sleep(&self, duration: Duration) {
        self.0.lock().unwrap().push(duration);
        InstantTimer.sleep(duration).await;
    }
}

#[tokio::test]
async fn however_long_its_store_is_away_a_consumer_looks_again_within_a_second() {
    // given
    let gone = |_: &Call<'_>| Fault::Refused(BackendErrorKind::Unavailable);
    let alm = Alm::builder(Arc::new(Faulty::over(Arc::new(MemoryStore::new()), gone))).build();
    let (consumer, timer) = (Consumer::new(alm, Arc::new(AuditConsumer)), NotingTimer::default());

    // when
    let many = async {
        while timer.0.lock().unwrap().len() < 100 {
            tokio::task::yield_now().await;
        }
    };
    futures_util::future::select(pin!(consumer.run(&timer)), pin!(many)).await;

    // then
    let waits = timer.0.lock().unwrap();
    assert!(waits.iter().all(|wait| (1..=1000).contains(&wait.as_millis())), "{waits:?}");
}
