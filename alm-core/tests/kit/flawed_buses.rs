//! A bus that breaks a promise is caught by the case that checks it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alm_core::{
    changeset::ConsumerName,
    domain::{Event, LogId, Position},
    ports::{
        BusError, BusState, Delivery, DeliveryTag, EventBus, EventLog, Head, Heads, Ids, Message, Subscription,
        SystemIds,
    },
    testing::{
        MemoryBus,
        conformance::{BusCapability, BusHarness, BusSubject, bus},
        fixtures::consumer,
    },
};
use async_trait::async_trait;

/// What is wrong with a bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    LosesAnAcknowledgedPublication,
    DeliversWhatIsPublishedTwiceTwice,
    ForgetsIdsBetweenCalls,
    ReversesABatch,
    GivesLatecomersNothing,
    GivesMoreThanTheLimit,
    NeverRedelivers,
    RedeliversOnlyOnce,
    RedeliversWhatIsAcknowledged,
    AcknowledgesAllBelow,
    GivesEachSubscriptionEverything,
    SharesOverConsumers,
    LosesWhatADroppedSubscriptionHad,
    LosesWhatADroppedWaitHad,
    DoesNotWake,
    DropsTheTrace,
    SkipsWhatItCanNotRead,
    GivesEachDeliveryAPlaceOfItsOwn,
    GivesAllTheSamePlace,
    ForgetsThatAPlaceHasALog,
    ReplaysWhatIsLeft,
    TellsAnotherOldest,
    AnnouncesNothing,
    TellsOneListenerOnly,
    TellsHeadsToThisConnectionOnly,
    LosesItsVoiceWithADroppedWait,
    IsAlwaysDown,
    ReplaysTheFirstAgain,
    ReplaysWithoutALimit,
    ReplaysAnyLog,
    ReplaysNothingWhenNoOneServes,
    KeepsConnectionsApart,
    LosesWhatIsPublishedDuringAnInterruption,
    SupportsWhatItSaysItCanNot,
}

/// Each flaw, and a case that must catch it.
const CAUGHT: &[(Flaw, &str)] = &[
    (Flaw::LosesAnAcknowledgedPublication, "the_events_of_a_log_come_in_their_order"),
    (Flaw::DeliversWhatIsPublishedTwiceTwice, "an_event_that_many_publish_at_once_is_delivered_once"),
    (Flaw::ForgetsIdsBetweenCalls, "an_event_that_is_published_twice_is_delivered_once"),
    (Flaw::ReversesABatch, "the_events_of_a_log_come_in_their_order"),
    (Flaw::GivesLatecomersNothing, "what_is_published_waits_for_whoever_comes_later"),
    (Flaw::GivesMoreThanTheLimit, "no_more_come_at_once_than_were_asked_for"),
    (Flaw::NeverRedelivers, "what_is_not_acknowledged_comes_again"),
    (Flaw::RedeliversOnlyOnce, "what_is_not_acknowledged_comes_again"),
    (Flaw::RedeliversWhatIsAcknowledged, "what_is_acknowledged_does_not_come_again"),
    (Flaw::AcknowledgesAllBelow, "each_delivery_is_acknowledged_by_itself"),
    (Flaw::GivesEachSubscriptionEverything, "the_subscriptions_of_one_consumer_share"),
    (Flaw::SharesOverConsumers, "every_consumer_gets_every_event"),
    (Flaw::LosesWhatADroppedSubscriptionHad, "what_a_subscription_leaves_goes_to_the_next_of_its_name"),
    (Flaw::LosesWhatADroppedWaitHad, "a_wait_that_is_dropped_loses_nothing"),
    (Flaw::DoesNotWake, "whoever_waits_is_woken_by_what_is_published"),
    (Flaw::DropsTheTrace, "an_event_is_delivered_as_it_was_published"),
    (Flaw::SkipsWhatItCanNotRead, "what_can_not_be_read_is_told_and_can_be_acknowledged"),
    (Flaw::GivesEachDeliveryAPlaceOfItsOwn, "what_can_not_be_read_has_a_place_and_keeps_it"),
    (Flaw::GivesAllTheSamePlace, "what_can_not_be_read_has_a_place_and_keeps_it"),
    (Flaw::ForgetsThatAPlaceHasALog, "what_can_not_be_read_has_a_place_and_keeps_it"),
    (Flaw::ReplaysWhatIsLeft, "what_was_trimmed_is_told_to_be_gone"),
    (Flaw::ReplaysWhatIsLeft, "what_was_trimmed_is_told_over_another_connection"),
    (Flaw::TellsAnotherOldest, "what_was_trimmed_is_told_to_be_gone"),
    (Flaw::AnnouncesNothing, "a_head_that_is_announced_is_heard_by_all_who_listen"),
    (Flaw::TellsOneListenerOnly, "a_head_that_is_announced_is_heard_by_all_who_listen"),
    (Flaw::TellsHeadsToThisConnectionOnly, "a_head_that_is_announced_is_heard_over_another_connection"),
    (Flaw::LosesItsVoiceWithADroppedWait, "a_wait_for_heads_that_is_dropped_hinders_no_later_one"),
    (Flaw::IsAlwaysDown, "a_bus_that_does_its_work_is_up"),
    (Flaw::ReplaysTheFirstAgain, "a_log_is_replayed_by_pages"),
    (Flaw::ReplaysWithoutALimit, "a_range_of_a_log_is_replayed_by_who_serves_it"),
    (Flaw::ReplaysAnyLog, "each_log_is_replayed_by_its_own_server"),
    (Flaw::ReplaysNothingWhenNoOneServes, "a_log_that_no_one_serves_is_unavailable"),
    (Flaw::KeepsConnectionsApart, "what_one_connection_publishes_another_gets"),
    (Flaw::LosesWhatIsPublishedDuringAnInterruption, "an_interruption_loses_nothing"),
    (Flaw::SupportsWhatItSaysItCanNot, "a_log_is_replayed_by_pages"),
];

struct Harness(Flaw);

impl BusHarness for Harness {
    type Subject = Flawed;

    fn capabilities(&self) -> &[BusCapability] {
        match self.0 {
            Flaw::SupportsWhatItSaysItCanNot => &[],
            _ => &BusCapability::ALL,
        }
    }

    async fn fresh(&self) -> Flawed {
        Flawed { bus: MemoryBus::new(), flaw: self.0, shared: Arc::default() }
    }

    fn patience(&self) -> Duration {
        // What never comes is what many of them are about; without a flaw everything does, also on a machine that is busy.
        if self.0 == Flaw::None { Duration::from_secs(20) } else { Duration::from_millis(500) }
    }
}

#[derive(Clone)]
struct Flawed {
    bus: MemoryBus,
    flaw: Flaw,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    published: AtomicU64,
    subscriptions: AtomicU64,
    listeners: AtomicU64,
    expiries: AtomicU64,
    interruptions: AtomicU64,
    served: Mutex<Vec<LogId>>,
}

impl BusSubject for Flawed {
    fn bus(&self) -> Arc<dyn EventBus> {
        Arc::new(self.clone())
    }

    async fn another_connection(&self) -> Option<Arc<dyn EventBus>> {
        Some(match self.flaw {
            Flaw::KeepsConnectionsApart | Flaw::TellsHeadsToThisConnectionOnly => Arc::new(MemoryBus::new()),
            _ => self.bus(),
        })
    }

    async fn expire_deliveries(&self) {
        let before = self.shared.expiries.fetch_add(1, Ordering::Relaxed);
        if self.flaw == Flaw::NeverRedelivers || self.flaw == Flaw::RedeliversOnlyOnce && before > 0 {
            return;
        }
        self.bus.redeliver();
    }

    async fn interrupt(&self) -> bool {
        self.shared.interruptions.fetch_add(1, Ordering::Relaxed);
        self.bus.interrupt();
        true
    }

    async fn inject(&self, payload: &[u8]) -> bool {
        self.bus.inject(payload);
        true
    }
}

#[async_trait]
impl EventBus for Flawed {
    async fn publish(&self, events: &[Arc<Event>]) -> Result<(), BusError> {
        let before = self.shared.published.fetch_add(events.len() as u64, Ordering::Relaxed);
        match self.flaw {
            Flaw::LosesAnAcknowledgedPublication if before > 0 => self.bus.publish(&events[1..]).await,
            Flaw::DeliversWhatIsPublishedTwiceTwice => {
                self.bus.forget_ids();
                self.bus.publish(events).await
            }
            Flaw::ForgetsIdsBetweenCalls => {
                let published = self.bus.publish(events).await;
                self.bus.forget_ids();
                published
            }
            Flaw::ReversesABatch => {
                let reversed: Vec<_> = events.iter().rev().cloned().collect();
                self.bus.publish(&reversed).await
            }
            Flaw::DropsTheTrace => {
                let without = |event: &Arc<Event>| {
                    let mut event = event.as_ref().clone();
                    event.event.trace = None;
                    Arc::new(event)
                };
                self.bus.publish(&events.iter().map(without).collect::<Vec<_>>()).await
            }
            // It says that it has stored them, though the connection was broken.
            Flaw::LosesWhatIsPublishedDuringAnInterruption => self.bus.publish(events).await.or(Ok(())),
            _ => self.bus.publish(events).await,
        }
    }

    async fn subscribe(&self, name: &ConsumerName) -> Result<Box<dyn Subscription>, BusError> {
        let number = self.shared.subscriptions.fetch_add(1, Ordering::Relaxed);
        let name = match self.flaw {
            Flaw::GivesEachSubscriptionEverything => consumer(&format!("{name}-{number}")),
            Flaw::SharesOverConsumers => consumer("all"),
            _ => name.clone(),
        };
        let mut inner = self.bus.subscribe(&name).await?;
        if self.flaw == Flaw::GivesLatecomersNothing {
            while self.bus.unacknowledged(&name) > 0 {
                let missed = inner.next(100).await?;
                inner.ack(&tags(&missed)).await?;
            }
        }
        Ok(Box::new(FlawedSubscription { inner, flaw: self.flaw, bus: self.bus.clone(), given: Vec::new() }))
    }

    async fn replay(&self, log: LogId, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, BusError> {
        match self.flaw {
            Flaw::ReplaysTheFirstAgain if after > Position::START => {
                self.bus.replay(log, Position::new(after.get() - 1), limit).await
            }
            Flaw::ReplaysWithoutALimit => self.bus.replay(log, after, usize::MAX).await,
            Flaw::ReplaysAnyLog => {
                let first = self.shared.served.lock().unwrap().first().copied();
                self.bus.replay(first.unwrap_or(log), after, limit).await
            }
            Flaw::ReplaysWhatIsLeft => match self.bus.replay(log, after, limit).await {
                Err(BusError::Gone { oldest }) => self.bus.replay(log, oldest.previous(), limit).await,
                answer => answer,
            },
            Flaw::TellsAnotherOldest => match self.bus.replay(log, after, limit).await {
                Err(BusError::Gone { .. }) => Err(BusError::Gone { oldest: after.next() }),
                answer => answer,
            },
            Flaw::ReplaysNothingWhenNoOneServes => Ok(self.bus.replay(log, after, limit).await.unwrap_or_default()),
            _ => self.bus.replay(log, after, limit).await,
        }
    }

    async fn serve_replays(&self, log: Arc<dyn EventLog>) -> Result<(), BusError> {
        self.shared.served.lock().unwrap().push(log.log_id());
        self.bus.serve_replays(log).await
    }

    async fn announce(&self, head: Head) -> Result<(), BusError> {
        if self.flaw == Flaw::AnnouncesNothing { Ok(()) } else { self.bus.announce(head).await }
    }

    async fn heads(&self) -> Result<Box<dyn Heads>, BusError> {
        let number = self.shared.listeners.fetch_add(1, Ordering::Relaxed);
        let deaf = self.flaw == Flaw::TellsOneListenerOnly && number > 0;
        let inner = if deaf { MemoryBus::new().heads().await? } else { self.bus.heads().await? };
        Ok(match self.flaw {
            Flaw::LosesItsVoiceWithADroppedWait => Box::new(FragileHeads(Some(inner))),
            _ => inner,
        })
    }

    fn max_event_bytes(&self) -> Option<usize> {
        self.bus.max_event_bytes()
    }

    fn state(&self) -> BusState {
        if self.flaw == Flaw::IsAlwaysDown { BusState::Down } else { self.bus.state() }
    }
}

/// Heads of which nothing is left when a wait is dropped.
struct FragileHeads(Option<Box<dyn Heads>>);

#[async_trait]
impl Heads for FragileHeads {
    async fn next(&mut self) -> Result<Head, BusError> {
        let Some(mut heads) = self.0.take() else { return std::future::pending().await };
        let head = heads.next().await;
        self.0 = Some(heads);
        head
    }
}

struct FlawedSubscription {
    inner: Box<dyn Subscription>,
    flaw: Flaw,
    bus: MemoryBus,
    given: Vec<DeliveryTag>,
}

fn tags(deliveries: &[Delivery]) -> Vec<DeliveryTag> {
    deliveries.iter().map(|delivery| delivery.tag).collect()
}

#[async_trait]
impl Subscription for FlawedSubscription {
    async fn next(&mut self, limit: usize) -> Result<Vec<Delivery>, BusError> {
        if self.flaw == Flaw::DoesNotWake && self.bus.published().is_empty() {
            return std::future::pending().await;
        }
        let limit = if self.flaw == Flaw::GivesMoreThanTheLimit { limit + 1 } else { limit };
        let mut deliveries = self.inner.next(limit).await?;
        match self.flaw {
            Flaw::SkipsWhatItCanNotRead => {
                deliveries.retain(|delivery| matches!(delivery.message, Message::Event(_)));
                if deliveries.is_empty() {
                    return self.inner.next(limit).await;
                }
            }
            Flaw::GivesEachDeliveryAPlaceOfItsOwn | Flaw::GivesAllTheSamePlace | Flaw::ForgetsThatAPlaceHasALog => {
                for delivery in &mut deliveries {
                    let Message::Unreadable { place, .. } = &mut delivery.message else { continue };
                    match self.flaw {
                        Flaw::GivesAllTheSamePlace => place.position = Position::FIRST,
                        Flaw::ForgetsThatAPlaceHasALog => place.log = LogId::new(SystemIds.uuid_v7()),
                        _ => place.position = Position::new(delivery.tag.get()),
                    }
                }
            }
            // It counts as done what it has handed out, or was about to.
            Flaw::LosesWhatADroppedSubscriptionHad => self.inner.ack(&tags(&deliveries)).await?,
            Flaw::LosesWhatADroppedWaitHad => {
                self.inner.ack(&tags(&deliveries)).await?;
                tokio::task::yield_now().await;
            }
            _ => {}
        }
        self.given.extend(tags(&deliveries));
        Ok(deliveries)
    }

    async fn ack(&mut self, deliveries: &[DeliveryTag]) -> Result<(), BusError> {
        match self.flaw {
            Flaw::RedeliversWhatIsAcknowledged => Ok(()),
            Flaw::AcknowledgesAllBelow => {
                let last = deliveries.iter().max();
                let below: Vec<_> = self.given.iter().filter(|tag| Some(*tag) <= last).copied().collect();
                self.inner.ack(&below).await
            }
            _ => self.inner.ack(deliveries).await,
        }
    }
}

fn catches(case: &str, flaw: Flaw) -> bool {
    std::panic::catch_unwind(|| bus::check(&Harness(flaw), case)).is_err()
}

#[test]
fn each_flawed_bus_is_caught_by_the_case_of_what_it_breaks() {
    let missed: Vec<_> = CAUGHT.iter().filter(|(flaw, case)| !catches(case, *flaw)).collect();
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

#[test]
fn the_same_bus_without_a_flaw_passes_every_case() {
    let report = bus::run_all(&Harness(Flaw::None));
    report.assert_passed();
    assert_eq!(report.verdicts().count(), bus::CASES.len());
}
