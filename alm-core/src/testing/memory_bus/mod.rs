//! A bus in memory.

mod heads;
mod queue;
mod subscription;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::{
    changeset::ConsumerName,
    domain::{Event, LogId, Position},
    ports::{
        BackendError, BackendErrorKind, BusError, BusState, EventBus, EventLog, Head, Heads, Outcome, StoreError,
        Subscription,
    },
};

use heads::{Announcements, MemoryHeads};
use queue::Queue;
use subscription::MemorySubscription;

const ADAPTER: &str = "memory-bus";

/// An [`EventBus`] in memory, with which a test does what time and networks do. Clones are the same bus.
///
/// It keeps everything, and the ids of events until a test lets it [forget them](Self::forget_ids). It has no timer: what is
/// not acknowledged comes again when its subscription is dropped, or when a test [says so](Self::redeliver). A subscription
/// that acknowledges a delivery which it has not given fails with [`Internal`](BackendErrorKind::Internal).
///
/// ```
/// use std::sync::Arc;
/// use alm_core::{Alm, Context, Principal, domain::NewApp};
/// use alm_core::ports::{EventBus, Message};
/// use alm_core::runtime::{Consumer, Relay};
/// use alm_core::testing::{InstantTimer, MemoryBus, fixtures::consumer};
/// use alm_store_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // given a service that tells others of its apps
/// let bus = MemoryBus::default();
/// let alm = Alm::builder(Arc::new(MemoryStore::new())).build();
/// let new = NewApp::parse("billing".into(), String::new(), Default::default())?;
/// alm.apps().create(&Context::new(Principal::system()), new).await?;
/// Consumer::new(alm, Arc::new(Relay::to(Arc::new(bus.clone())))).catch_up(&InstantTimer).await?;
///
/// // when another service reads, and does not get to the acknowledgement
/// let mut mailer = bus.subscribe(&consumer("mailer")).await?;
/// let [first] = mailer.next(10).await?.try_into().unwrap();
/// assert!(matches!(&first.message, Message::Event(event) if event.data.type_name() == "AppCreated"));
/// bus.redeliver();
///
/// // then it comes again
/// let [again] = mailer.next(10).await?.try_into().unwrap();
/// assert_eq!(again.message, first.message);
/// mailer.ack(&[again.tag]).await?;
/// assert_eq!(bus.unacknowledged(&consumer("mailer")), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct MemoryBus(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    // Rung whenever there may be something to deliver, or a connection breaks.
    bell: Notify,
    announcements: Announcements,
}

#[derive(Default)]
struct State {
    queue: Queue,
    /// How often connections were interrupted, ever, and how many of them the publishers have noticed.
    interruptions: u64,
    noticed: u64,
    /// Who serves which log, by the number of the service.
    services: Vec<(u64, Arc<dyn EventLog>)>,
    last_service: u64,
}

impl MemoryBus {
    /// An empty bus.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every event that it has stored, in the order in which they were published.
    pub fn published(&self) -> Vec<Arc<Event>> {
        self.0.lock().queue.events()
    }

    /// How many messages there are that `consumer` has not acknowledged, whether they were delivered or not.
    pub fn unacknowledged(&self, consumer: &ConsumerName) -> usize {
        self.0.lock().queue.unacknowledged(consumer)
    }

    /// Stores something that no reader can read: what a later version publishes, say, or someone else by mistake.
    pub fn inject(&self, payload: impl Into<Vec<u8>>) {
        self.0.lock().queue.inject(payload.into());
        self.0.bell.notify_waiters();
    }

    /// Everything that was delivered and not acknowledged is due again, to any subscription of the same name: what happens
    /// when the time to acknowledge is over. An acknowledgement of the earlier delivery that comes still counts.
    pub fn redeliver(&self) {
        self.0.lock().queue.redeliver();
        self.0.bell.notify_waiters();
    }

    /// Breaks every connection once: each subscription's `next` that waits, or else its next call, and the next publication
    /// fail with [`Unavailable`](BackendErrorKind::Unavailable), without effect but with an outcome of
    /// [`Unknown`](Outcome::Unknown). Then all goes on, and nothing is lost.
    pub fn interrupt(&self) {
        self.0.lock().interruptions += 1;
        self.0.bell.notify_waiters();
    }

    /// Forgets the ids of what was published: an event that is published again from now on is delivered again.
    pub fn forget_ids(&self) {
        self.0.lock().queue.forget_ids();
    }
}

impl fmt::Debug for MemoryBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBus").finish_non_exhaustive()
    }
}

impl Shared {
    // No state is left half done by a panic: none happens while the lock is held.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fails once for all interruptions that were not `noticed` yet.
fn connection(interruptions: u64, noticed: &mut u64, operation: &'static str) -> Result<(), BackendError> {
    if std::mem::replace(noticed, interruptions) == interruptions {
        return Ok(());
    }
    Err(BackendError { outcome: Outcome::Unknown, ..unavailable(operation) })
}

/// What a log that does not answer a replay means to whoever has asked for it.
fn of_log(error: StoreError) -> BusError {
    match error {
        StoreError::Gone { oldest } => BusError::Gone { oldest },
        StoreError::Backend(error) => error.into(),
        error => BackendError::internal(ADAPTER, "replay").with_source(error).into(),
    }
}

fn unavailable(operation: &'static str) -> BackendError {
    let (kind, outcome) = (BackendErrorKind::Unavailable, Outcome::NotApplied);
    BackendError { kind, adapter: ADAPTER, operation, outcome, retry_after: None, source: None }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventBus for MemoryBus {
    async fn publish(&self, events: &[Arc<Event>]) -> Result<(), BusError> {
        let mut state = self.0.lock();
        connection(state.interruptions, &mut state.noticed, "publish")?;
        state.queue.publish(events);
        self.0.bell.notify_waiters();
        Ok(())
    }

    async fn subscribe(&self, consumer: &ConsumerName) -> Result<Box<dyn Subscription>, BusError> {
        Ok(Box::new(MemorySubscription::of(self.0.clone(), consumer)))
    }

    async fn replay(&self, log: LogId, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, BusError> {
        let served =
            self.0.lock().services.iter().find(|(_, served)| served.log_id() == log).map(|(_, log)| log.clone());
        let served = served.ok_or_else(|| unavailable("replay"))?;
        let mut events: Vec<Arc<Event>> = Vec::new();
        // A log may give fewer than it is asked for, a replay may not.
        while events.len() < limit {
            let after = events.last().map_or(after, |event| event.position);
            let page = served.read(after, limit - events.len()).await.map_err(of_log)?;
            if page.is_empty() {
                break;
            }
            events.extend(page);
        }
        Ok(events)
    }

    async fn serve_replays(&self, log: Arc<dyn EventLog>) -> Result<(), BusError> {
        let _service = Service::start(&self.0, log);
        std::future::pending().await
    }

    async fn announce(&self, head: Head) -> Result<(), BusError> {
        self.0.announcements.tell(head);
        Ok(())
    }

    async fn heads(&self) -> Result<Box<dyn Heads>, BusError> {
        Ok(Box::new(MemoryHeads::of(&self.0)))
    }

    fn max_event_bytes(&self) -> Option<usize> {
        None
    }

    fn state(&self) -> BusState {
        BusState::Up
    }
}

/// Someone who serves replays, until it is dropped.
struct Service<'a> {
    shared: &'a Shared,
    number: u64,
}

impl<'a> Service<'a> {
    fn start(shared: &'a Shared, log: Arc<dyn EventLog>) -> Self {
        let mut state = shared.lock();
        state.last_service += 1;
        let number = state.last_service;
        state.services.push((number, log));
        drop(state);
        Self { shared, number }
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        self.shared.lock().services.retain(|(number, _)| *number != self.number);
    }
}
