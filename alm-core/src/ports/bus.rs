//! The way of events to other processes.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    changeset::ConsumerName,
    domain::{Event, EventId, LogId, Position},
};

use super::{BackendError, EventLog, Outcome};

/// Carries events to other processes. The log stays the truth: a bus that loses what it was given has lost nothing that
/// can't be published or replayed again.
///
/// # Contract
/// - When [`publish`](Self::publish) returns, the bus has stored all of the events: whoever subscribes afterwards gets them,
///   for as long as the bus keeps them. Checked by `what_is_published_waits_for_whoever_comes_later`,
///   `to_publish_nothing_does_nothing`.
/// - Events come as they went, every character of them. Checked by `an_event_is_delivered_as_it_was_published`.
/// - An event that was published before has no second effect: its id tells. A bus may forget ids after a while (two minutes
///   are usual), so consumers also look at positions. Checked by `an_event_that_is_published_twice_is_delivered_once`,
///   `an_event_that_many_publish_at_once_is_delivered_once`.
/// - The events of one log are delivered in the order in which they were published, but for those that are delivered again.
///   Checked by `the_events_of_a_log_come_in_their_order`, `the_events_of_each_of_several_logs_come_in_their_order`.
/// - Each consumer name gets each event; the subscriptions of one name share them, and go on where that name has
///   acknowledged. Checked by `every_consumer_gets_every_event`, `the_subscriptions_of_one_consumer_share`,
///   `a_consumer_goes_on_where_it_has_acknowledged`, `the_connections_of_one_consumer_share`.
/// - A delivery that is not acknowledged comes again, to this or to another subscription of the same name; one that is
///   acknowledged does not. Checked by `what_is_not_acknowledged_comes_again`, `what_is_acknowledged_does_not_come_again`,
///   `each_delivery_is_acknowledged_by_itself`, `what_a_subscription_leaves_goes_to_the_next_of_its_name`.
/// - All connections, in whichever processes, are to one bus; one that is interrupted loses nothing: once it is there again,
///   everything above holds. Checked by `what_one_connection_publishes_another_gets`, `an_interruption_loses_nothing`.
/// - What can't be read is delivered, too, and can be acknowledged; it has the same [`Place`] each time it comes, and what was
///   published later has a higher one. Checked by `what_can_not_be_read_is_told_and_can_be_acknowledged`,
///   `what_can_not_be_read_has_a_place_and_keeps_it`.
#[async_trait]
pub trait EventBus: Send + Sync {
    /// Publishes events, in this order.
    ///
    /// # Errors
    /// After each, any of them may have been stored.
    /// - [`Rejected`](BusError::Rejected): the bus will never take one of them; those before it are stored.
    /// - [`Backend`](BusError::Backend): a fault; publish them again.
    async fn publish(&self, events: &[Arc<Event>]) -> Result<(), BusError>;

    /// Reads what is published, under the name of `consumer`. A name that is new to the bus begins with the oldest event that
    /// the bus still has.
    ///
    /// There is no filter: only who sees every event of a log can tell from the positions that one is missing.
    ///
    /// # Errors
    /// [`Backend`](BusError::Backend).
    async fn subscribe(&self, consumer: &ConsumerName) -> Result<Box<dyn Subscription>, BusError>;

    /// Events of `log` after `after`: asked of whoever [serves](Self::serve_replays) that log.
    ///
    /// # Contract
    /// - They come in order, at most `limit`; fewer, so none, only when there are no more. Checked by
    ///   `a_range_of_a_log_is_replayed_by_who_serves_it`, `a_log_is_replayed_by_pages`.
    /// - It is that log that answers, wherever it is served. Checked by `each_log_is_replayed_by_its_own_server`,
    ///   `a_log_is_replayed_over_another_connection`.
    /// - When no one serves it now, that is told as an error. Checked by `a_log_that_no_one_serves_is_unavailable`.
    /// - It never passes over what is gone: whoever asks for an event that was trimmed is told so. Checked by
    ///   `what_was_trimmed_is_told_to_be_gone`, `what_was_trimmed_is_told_over_another_connection`.
    ///
    /// # Errors
    /// - [`Gone`](BusError::Gone): the event behind `after` was trimmed.
    /// - [`Unsupported`](BusError::Unsupported): this bus has no way back to the log.
    /// - [`Backend`](BusError::Backend), of kind `Unavailable` when no one serves the log now.
    async fn replay(&self, log: LogId, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, BusError>;

    /// Answers replays of `log` for as long as the future is polled. It is safe to drop. What the log tells to be gone is
    /// answered as [`Gone`](BusError::Gone), and a fault of the log as a fault.
    ///
    /// # Errors
    /// It ends only with an error: [`Unsupported`](BusError::Unsupported), or [`Backend`](BusError::Backend) for a fault that
    /// does not pass by itself.
    async fn serve_replays(&self, log: Arc<dyn EventLog>) -> Result<(), BusError>;

    /// Tells whoever listens how far a log is. Best effort: it may be lost.
    ///
    /// # Contract
    /// Everyone who listens by then hears it, over whichever connection, unless it is lost, which is rare. Checked by
    /// `a_head_that_is_announced_is_heard_by_all_who_listen`,
    /// `a_head_that_is_announced_is_heard_over_another_connection`.
    ///
    /// # Errors
    /// [`Backend`](BusError::Backend).
    async fn announce(&self, head: Head) -> Result<(), BusError>;

    /// Listens to the heads that are announced from now on, over whichever connection.
    ///
    /// # Errors
    /// [`Backend`](BusError::Backend).
    async fn heads(&self) -> Result<Box<dyn Heads>, BusError>;

    /// The most bytes that the [`CloudEvent`](crate::domain::CloudEvent) document of an event may have to be taken, as far as
    /// is known now; `None`: no bound is known.
    fn max_event_bytes(&self) -> Option<usize>;

    /// Whether the bus can be reached, as far as is known. It asks no one.
    ///
    /// # Contract
    /// It is [`Up`](BusState::Up) while calls succeed. Checked by `a_bus_that_does_its_work_is_up`.
    fn state(&self) -> BusState;
}

/// How far a log is: the position of its newest event, [`Position::START`] when there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The log.
    pub log: LogId,
    /// How far it is.
    pub position: Position,
}

/// Whether a bus can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusState {
    /// It can.
    Up,
    /// It can't, or could not be so far; the adapter goes on trying.
    Down,
}

/// A listener to what is announced, got from [`EventBus::heads`].
#[async_trait]
pub trait Heads: Send {
    /// Waits for the next head that is announced.
    ///
    /// # Contract
    /// It is safe to drop. Checked by `a_wait_for_heads_that_is_dropped_hinders_no_later_one`.
    ///
    /// # Errors
    /// Only [`Backend`](BusError::Backend); the listener goes on when the fault has passed.
    async fn next(&mut self) -> Result<Head, BusError>;
}

/// One reader of the bus, got from [`EventBus::subscribe`]. When it is dropped, what it has not acknowledged goes to the others
/// of its name.
#[async_trait]
pub trait Subscription: Send {
    /// Waits for deliveries.
    ///
    /// # Contract
    /// - It gives at least one, at most `limit`, which is not 0. Checked by `no_more_come_at_once_than_were_asked_for`.
    /// - It wakes when something is published. Checked by `whoever_waits_is_woken_by_what_is_published`.
    /// - It is safe to drop: what it would have given comes again. Checked by `a_wait_that_is_dropped_loses_nothing`.
    ///
    /// # Errors
    /// [`Backend`](BusError::Backend); the subscription goes on when the fault has passed.
    async fn next(&mut self, limit: usize) -> Result<Vec<Delivery>, BusError>;

    /// Acknowledges deliveries of this subscription: they are done and need not come again. When it returns, the bus knows.
    ///
    /// # Errors
    /// [`Backend`](BusError::Backend): any of them may come again.
    async fn ack(&mut self, deliveries: &[DeliveryTag]) -> Result<(), BusError>;
}

/// What a subscription gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// What to acknowledge it with.
    pub tag: DeliveryTag,
    /// What it brings.
    pub message: Message,
}

/// Names a delivery within its subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryTag(u64);

impl DeliveryTag {
    /// The tag with this number, which the adapter chooses.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// What came over the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// An event.
    Event(Arc<Event>),
    /// Something that this version of ALM can't read. It will not get better when it comes again: put it away and acknowledge.
    Unreadable {
        /// Where it stands.
        place: Place,
        /// What came.
        payload: Vec<u8>,
        /// Why it can't be read.
        reason: String,
    },
}

/// The place of a message among everything that a bus carries. A consumer that keeps it as its checkpoint has each effect once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Names the store of the bus itself: another one once that was made anew.
    pub log: LogId,
    /// Grows in the order of delivery.
    pub position: Position,
}

/// Why a bus has not done what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// The bus will never take this event: it is too large, say.
    #[error("the bus does not take event {event}: {reason}")]
    Rejected {
        /// Which one.
        event: EventId,
        /// Why.
        reason: String,
    },
    /// The events that were asked for were trimmed from the log.
    #[error("the log begins at {oldest}: the events before it are gone")]
    Gone {
        /// Where the log begins.
        oldest: Position,
    },
    /// This bus can't do that.
    #[error("this bus does not support {0}")]
    Unsupported(&'static str),
    /// The machinery behind the bus failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl BusError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Rejected { .. } | Self::Gone { .. } | Self::Unsupported(_) => false,
            Self::Backend(error) => error.is_retryable(),
        }
    }

    /// Whether the call had an effect.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Rejected { .. } => Outcome::Unknown,
            Self::Gone { .. } | Self::Unsupported(_) => Outcome::NotApplied,
            Self::Backend(error) => error.outcome,
        }
    }

    /// A stable kebab-case name of the meaning.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rejected { .. } => "rejected",
            Self::Gone { .. } => "gone",
            Self::Unsupported(_) => "unsupported",
            Self::Backend(_) => "backend",
        }
    }
}
