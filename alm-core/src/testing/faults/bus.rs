//! A bus that fails on purpose.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    changeset::ConsumerName,
    domain::{Event, LogId, Position},
    ports::{BusError, BusState, Delivery, DeliveryTag, EventBus, EventLog, Head, Heads, Subscription},
};

use super::{Fault, Operation, Plan, injector::Injector};

/// A bus before which stands a [`Plan`] that says what becomes of each call, also of those to its subscriptions and
/// listeners. Without faults
/// it is the bus itself.
///
/// ```
/// use std::sync::Arc;
/// use alm_core::{Alm, Context, Principal, domain::NewApp, ports::{BackendErrorKind, EventLog}, runtime::{Consumer, Relay}};
/// use alm_core::testing::{Fault, FaultyBus, InstantTimer, MemoryBus, Operation, Script};
/// use alm_store_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let alm = Alm::builder(Arc::new(MemoryStore::new())).build();
/// let new = NewApp::parse("billing".into(), String::new(), Default::default())?;
/// alm.apps().create(&Context::new(Principal::system()), new).await?;
///
/// let bus = MemoryBus::default();
/// let lost = Script::on(Operation::Publish, [Fault::AnswerLost(BackendErrorKind::Timeout)]);
/// let faulty = FaultyBus::over(Arc::new(bus.clone()), lost);
/// let relay = Consumer::new(alm, Arc::new(Relay::to(Arc::new(faulty))));
/// relay.catch_up(&InstantTimer).await.unwrap_err();
/// relay.catch_up(&InstantTimer).await?;
/// assert_eq!(bus.published().len(), 1, "published twice, kept once");
/// # Ok(())
/// # }
/// ```
pub struct FaultyBus<B: ?Sized> {
    injector: Injector,
    bus: Arc<B>,
}

impl<B: EventBus + ?Sized> FaultyBus<B> {
    /// `bus` under a plan.
    pub fn over(bus: Arc<B>, plan: impl Plan + 'static) -> Self {
        Self { injector: Injector::of(plan), bus }
    }

    /// What its errors have as their source, and its panics as their message.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.injector.message = Some(message.into());
        self
    }

    /// When to try again, as its errors of the kind [`Overloaded`](crate::ports::BackendErrorKind::Overloaded) say.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.injector.retry_after = Some(wait);
        self
    }

    async fn call<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, BusError>> + Send,
    ) -> Result<T, BusError> {
        self.injector.meet(self.injector.fault(operation), operation, call).await
    }
}

impl<B: ?Sized> fmt::Debug for FaultyBus<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyBus").field("injector", &self.injector).finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<B: EventBus + ?Sized> EventBus for FaultyBus<B> {
    async fn publish(&self, events: &[Arc<Event>]) -> Result<(), BusError> {
        match self.injector.fault_of_publish(events) {
            Fault::Dropped => Ok(()),
            Fault::Duplicated => {
                self.bus.publish(events).await?;
                self.bus.publish(events).await
            }
            Fault::Reordered => self.bus.publish(&events.iter().rev().cloned().collect::<Vec<_>>()).await,
            fault => self.injector.meet(fault, Operation::Publish, self.bus.publish(events)).await,
        }
    }

    async fn subscribe(&self, consumer: &ConsumerName) -> Result<Box<dyn Subscription>, BusError> {
        let subscription = self.call(Operation::Subscribe, self.bus.subscribe(consumer)).await?;
        Ok(Box::new(FaultySubscription { injector: self.injector.clone(), subscription, ready: VecDeque::new() }))
    }

    async fn replay(&self, log: LogId, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, BusError> {
        self.call(Operation::Replay, self.bus.replay(log, after, limit)).await
    }

    async fn serve_replays(&self, log: Arc<dyn EventLog>) -> Result<(), BusError> {
        self.call(Operation::ServeReplays, self.bus.serve_replays(log)).await
    }

    async fn announce(&self, head: Head) -> Result<(), BusError> {
        match self.injector.fault(Operation::Announce) {
            Fault::Dropped => Ok(()),
            Fault::Duplicated => {
                self.bus.announce(head).await?;
                self.bus.announce(head).await
            }
            fault => self.injector.meet(fault, Operation::Announce, self.bus.announce(head)).await,
        }
    }

    async fn heads(&self) -> Result<Box<dyn Heads>, BusError> {
        let heads = self.call(Operation::Heads, self.bus.heads()).await?;
        Ok(Box::new(FaultyHeads { injector: self.injector.clone(), heads, ready: VecDeque::new() }))
    }

    // Not asked of a plan: neither asks anyone.
    fn max_event_bytes(&self) -> Option<usize> {
        self.bus.max_event_bytes()
    }

    fn state(&self) -> BusState {
        self.bus.state()
    }
}

struct FaultyHeads {
    injector: Injector,
    heads: Box<dyn Heads>,
    // What was heard and not given yet.
    ready: VecDeque<Head>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Heads for FaultyHeads {
    async fn next(&mut self) -> Result<Head, BusError> {
        let Self { injector, heads, ready } = self;
        let fault = injector.fault(Operation::NextHead);
        let (drops, duplicates) = (fault == Fault::Dropped, fault == Fault::Duplicated);
        let listen = async {
            if !ready.is_empty() {
                return Ok(());
            }
            if drops {
                heads.next().await?;
            }
            let head = heads.next().await?;
            ready.extend(std::iter::repeat_n(head, if duplicates { 2 } else { 1 }));
            Ok(())
        };
        injector.meet::<(), BusError>(fault, Operation::NextHead, listen).await?;
        match ready.pop_front() {
            Some(head) => Ok(head),
            None => heads.next().await,
        }
    }
}

struct FaultySubscription {
    injector: Injector,
    subscription: Box<dyn Subscription>,
    // What the bus has given and the reader has not: it must not be lost when the reader stops waiting.
    ready: VecDeque<Delivery>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Subscription for FaultySubscription {
    async fn next(&mut self, limit: usize) -> Result<Vec<Delivery>, BusError> {
        let Self { injector, subscription, ready } = self;
        let fault = injector.fault(Operation::Next);
        let [drops, duplicates, reorders] =
            [Fault::Dropped, Fault::Duplicated, Fault::Reordered].map(|fault_of_buses| fault == fault_of_buses);
        let deliver = async {
            if !ready.is_empty() {
                return Ok(());
            }
            if drops {
                drop(subscription.next(limit).await?);
            }
            let mut batch = subscription.next(limit).await?;
            if reorders {
                batch.reverse();
            }
            if duplicates {
                batch.extend_from_within(..);
            }
            ready.extend(batch);
            Ok(())
        };
        injector.meet::<(), BusError>(fault, Operation::Next, deliver).await?;
        let given = limit.min(ready.len());
        Ok(ready.drain(..given).collect())
    }

    async fn ack(&mut self, deliveries: &[DeliveryTag]) -> Result<(), BusError> {
        match self.injector.fault(Operation::Ack) {
            Fault::Dropped => Ok(()),
            Fault::Duplicated => {
                self.subscription.ack(deliveries).await?;
                self.subscription.ack(deliveries).await
            }
            fault => self.injector.meet(fault, Operation::Ack, self.subscription.ack(deliveries)).await,
        }
    }
}
