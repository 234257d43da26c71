//! The one list of the cases, that the tests, the table and the docs are made of.

use crate::testing::conformance::BusCapability;

use super::Case;

/// Every case: the module that it stands in, its name, and what a bus must be able to do for it.
#[doc(hidden)]
#[macro_export]
macro_rules! __bus_cases {
    ($then:ident $($arguments:tt)*) => {
        $crate::$then! { [$($arguments)*]
            publishing::an_event_is_delivered_as_it_was_published [],
            publishing::what_is_published_waits_for_whoever_comes_later [],
            publishing::an_event_that_is_published_twice_is_delivered_once [],
            publishing::an_event_that_many_publish_at_once_is_delivered_once [],
            publishing::the_events_of_a_log_come_in_their_order [],
            publishing::the_events_of_each_of_several_logs_come_in_their_order [],
            publishing::to_publish_nothing_does_nothing [],
            delivery::every_consumer_gets_every_event [],
            delivery::the_subscriptions_of_one_consumer_share [],
            delivery::no_more_come_at_once_than_were_asked_for [],
            delivery::whoever_waits_is_woken_by_what_is_published [],
            delivery::what_is_not_acknowledged_comes_again [],
            delivery::what_is_acknowledged_does_not_come_again [],
            delivery::each_delivery_is_acknowledged_by_itself [],
            delivery::what_a_subscription_leaves_goes_to_the_next_of_its_name [],
            delivery::a_consumer_goes_on_where_it_has_acknowledged [],
            delivery::a_wait_that_is_dropped_loses_nothing [],
            delivery::what_can_not_be_read_is_told_and_can_be_acknowledged [ForeignMessages],
            delivery::what_can_not_be_read_has_a_place_and_keeps_it [ForeignMessages],
            replay::a_range_of_a_log_is_replayed_by_who_serves_it [Replay],
            replay::a_log_is_replayed_by_pages [Replay],
            replay::a_log_that_no_one_serves_is_unavailable [Replay],
            replay::each_log_is_replayed_by_its_own_server [Replay],
            replay::a_log_is_replayed_over_another_connection [Replay Connections],
            replay::what_was_trimmed_is_told_to_be_gone [Replay],
            replay::what_was_trimmed_is_told_over_another_connection [Replay Connections],
            heads::a_head_that_is_announced_is_heard_by_all_who_listen [],
            heads::a_wait_for_heads_that_is_dropped_hinders_no_later_one [],
            heads::a_head_that_is_announced_is_heard_over_another_connection [Connections],
            connections::a_bus_that_does_its_work_is_up [],
            connections::what_one_connection_publishes_another_gets [Connections],
            connections::the_connections_of_one_consumer_share [Connections],
            connections::an_interruption_loses_nothing [Interruptions],
        }
    };
}

/// One `#[test]` for each promise that a bus makes (the table is at [`testing::conformance::bus::CASES`]).
///
/// It takes an expression that gives a [`BusHarness`](crate::testing::conformance::BusHarness), and needs nothing else in the
/// manifest than alm-core with the feature `conformance`. Several invocations need a module each, for the tests have the names
/// of the cases.
///
/// ```
/// use std::sync::Arc;
/// use alm_core::{
///     ports::EventBus,
///     testing::{MemoryBus, conformance::{BusCapability, BusHarness, BusSubject}},
/// };
///
/// struct Harness;
///
/// impl BusHarness for Harness {
///     type Subject = Memory;
///
///     fn capabilities(&self) -> &[BusCapability] {
///         &[BusCapability::Replay]
///     }
///
///     async fn fresh(&self) -> Memory {
///         Memory(MemoryBus::default())
///     }
/// }
///
/// struct Memory(MemoryBus);
///
/// impl BusSubject for Memory {
///     fn bus(&self) -> Arc<dyn EventBus> {
///         Arc::new(self.0.clone())
///     }
///
///     // It has no timer.
///     async fn expire_deliveries(&self) {
///         self.0.redeliver();
///     }
/// }
///
/// alm_core::bus_conformance!(Harness);
/// # fn main() {}
/// ```
///
/// [`testing::conformance::bus::CASES`]: crate::testing::conformance::bus::CASES
#[macro_export]
macro_rules! bus_conformance {
    ($harness:expr $(,)?) => {
        $crate::__bus_cases! { __conformance_tests bus $harness }
    };
}

crate::__bus_cases! { __conformance_table BusCapability }
