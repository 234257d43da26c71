//! The bus.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alm_core::{
    changeset::ConsumerName,
    domain::{Event, LogId, Position},
    ports::{BackendError, BusError, BusState, EventBus, EventLog, Head, Heads, Subscription},
};
use async_nats::jetstream::{self, context::ContextBuilder};
use async_trait::async_trait;
use tokio::{
    sync::{Mutex, watch},
    time::timeout,
};

use crate::{
    consumer::ConsumerOptions,
    fault::ADAPTER,
    heads::{self, NatsHeads},
    link::{HEADER_ROOM, Identity, LEAST_MESSAGE, Link, Period},
    options::{NatsOptions, OptionsError},
    publish, replay,
    stream::{StreamInfo, Wanted},
    subjects::{Subjects, is_token},
    subscription::NatsSubscription,
};

/// How many events of a call are on their way at once.
pub(crate) const WINDOW: usize = 1024;

/// An [`EventBus`] over NATS `JetStream`. Clones are the same connection.
#[derive(Clone)]
pub struct NatsBus(Arc<Inner>);

/// What the bus and its subscriptions share.
pub(crate) struct Inner {
    pub(crate) link: Link,
    pub(crate) jetstream: jetstream::Context,
    pub(crate) subjects: Subjects,
    pub(crate) wanted: Wanted,
    pub(crate) consumers: ConsumerOptions,
    /// The stream, as it was found over this connection.
    stream: Mutex<Option<(Identity, StreamInfo)>>,
    /// How large a message of the stream may be; 0: as large as any.
    max_message: AtomicUsize,
    /// How many subscriptions that were dropped have yet to give back what they held.
    pub(crate) giving_back: watch::Sender<usize>,
}

impl NatsBus {
    /// A bus that connects by itself, now or when the server can be reached, and again whenever the connection breaks. It asks
    /// nothing of the server yet. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`Backend`](BusError::Backend): the options can't be, or a file that they name can't be read.
    pub async fn connect(options: NatsOptions) -> Result<Self, BusError> {
        let wrong = |error: OptionsError| BackendError::internal(ADAPTER, "connect").with_source(error);
        let subjects: Subjects = options.subject_prefix.parse().map_err(wrong)?;
        if !is_token(&options.stream) || options.stream.len() > 31 {
            let rule = "must consist of 1 to 31 of a-z, A-Z, 0-9, '-' and '_'";
            return Err(wrong(OptionsError::new("the name of the stream", rule)).into());
        }
        if options.replicas.is_some_and(|replicas| !(1..=5).contains(&replicas)) {
            return Err(wrong(OptionsError::new("the number of replicas", "must be 1 to 5")).into());
        }
        let link = Link::open(&options).await?;
        let jetstream = ContextBuilder::new()
            .timeout(options.request_timeout)
            .ack_timeout(options.request_timeout)
            .max_ack_inflight(4 * WINDOW)
            .backpressure_on_inflight(true)
            .build(link.client.clone());
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Ok(Self(Arc::new(Inner {
            link,
            jetstream,
            wanted: Wanted::of(&options, subjects.events.clone()),
            subjects,
            consumers: ConsumerOptions {
                ack_wait_nanos: options.ack_wait.map(nanos),
                max_ack_pending: options.max_ack_pending,
            },
            stream: Mutex::new(None),
            max_message: AtomicUsize::new(0),
            giving_back: watch::Sender::default(),
        })))
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    /// Sends what is written, and what dropped subscriptions give back, and ends the connection: each within the time that a request may
    /// take. Calls fail afterwards.
    pub async fn close(&self) {
        let mut giving_back = self.0.giving_back.subscribe();
        // What is not given back comes again all the same, later.
        let _ = timeout(self.0.link.timeout, giving_back.wait_for(|left| *left == 0)).await;
        self.0.link.close().await;
    }
}

impl Inner {
    /// The stream, which is there: it is made if need be. It is looked at once for each connection, and again when it was
    /// [forgotten](Self::forget).
    pub(crate) async fn stream(&self, period: Period, operation: &'static str) -> Result<StreamInfo, BackendError> {
        let mut known = self.stream.lock().await;
        let identity = self.link.identity();
        if let Some((of, info)) = known.as_ref()
            && Some(of) == identity.as_ref()
        {
            return Ok(info.clone());
        }
        let info = self.wanted.ensure(&self.link, period, operation).await?;
        self.max_message.store(info.max_message.unwrap_or(0), Ordering::Relaxed);
        *known = identity.map(|identity| (identity, info.clone()));
        Ok(info)
    }

    /// The stream may have gone.
    pub(crate) async fn forget(&self) {
        *self.stream.lock().await = None;
    }
}

impl fmt::Debug for NatsBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { link, wanted, .. } = self.0.as_ref();
        f.debug_struct("NatsBus").field("stream", &wanted.name).field("state", &link.state()).finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventBus for NatsBus {
    async fn publish(&self, events: &[Arc<Event>]) -> Result<(), BusError> {
        publish::publish(&self.0, events).await
    }

    async fn subscribe(&self, consumer: &ConsumerName) -> Result<Box<dyn Subscription>, BusError> {
        Ok(Box::new(NatsSubscription::open(self.0.clone(), consumer.clone()).await?))
    }

    async fn replay(&self, log: LogId, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, BusError> {
        replay::ask(&self.0, log, after, limit).await
    }

    async fn serve_replays(&self, log: Arc<dyn EventLog>) -> Result<(), BusError> {
        replay::serve(&self.0, log).await
    }

    async fn announce(&self, head: Head) -> Result<(), BusError> {
        Ok(heads::announce(&self.0, head).await?)
    }

    async fn heads(&self) -> Result<Box<dyn Heads>, BusError> {
        Ok(Box::new(NatsHeads::open(&self.0).await?))
    }

    fn max_event_bytes(&self) -> Option<usize> {
        // What takes less is not used at all.
        let of_server = self.0.link.max_payload().filter(|most| *most >= LEAST_MESSAGE)?;
        let of_stream = match self.0.max_message.load(Ordering::Relaxed) {
            0 => usize::MAX,
            bytes => bytes,
        };
        Some(of_server.min(of_stream).saturating_sub(HEADER_ROOM))
    }

    fn state(&self) -> BusState {
        self.0.link.state()
    }
}
