//! The one list of the cases, that the tests, the table and the docs are made of.

use crate::testing::conformance::StoreCapability;

use super::Case;

/// Every case: the module that it stands in, its name, and what a store must be able to do for it.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_cases {
    ($then:ident $($arguments:tt)*) => {
        $crate::$then! { [$($arguments)*]
            commits::a_changeset_that_fails_anywhere_leaves_no_trace [],
            commits::a_commit_from_a_checkpoint_that_has_moved_leaves_no_trace [],
            commits::every_refusal_says_that_nothing_was_applied [],
            commits::the_same_changeset_twice_gives_the_first_receipt [],
            commits::the_first_receipt_also_answers_when_the_changeset_would_fail_now [],
            commits::of_many_who_send_one_changeset_each_gets_the_same_receipt [],
            commits::a_changeset_may_be_large [],
            commits::writes_are_made_in_their_order [Apps],
            commits::a_commit_whose_app_is_not_there_is_stopped [Apps],
            commits::a_commit_whose_version_is_not_there_is_stopped [Versions],
            commits::a_guard_is_about_what_was_there_before [Apps],
            commits::no_version_is_committed_once_its_app_is_gone [Apps Versions],
            commits::no_deployment_is_committed_once_its_version_is_gone [Versions Deployments],
            commits::a_commit_that_is_dropped_is_whole_or_nothing [],
            commits::a_read_sees_a_commit_whole_or_not_at_all [Apps],
            log::an_event_stands_in_the_log_as_it_was_committed [],
            log::positions_are_gapless_in_the_order_of_the_commits [],
            log::the_head_is_the_position_of_the_newest_event [],
            log::no_position_is_revealed_before_those_below_it [],
            log::the_events_of_one_commit_stand_together [],
            log::a_commit_that_is_held_open_loses_nothing [HeldCommits],
            log::pages_of_the_log_give_each_event_once [],
            log::events_of_one_subject_stand_in_the_order_of_its_changes [Apps],
            log::whoever_waits_for_events_is_woken [],
            log::times_may_be_equal_or_go_back [],
            ids::no_id_is_given_twice [],
            handles::a_commit_is_seen_through_every_handle [Handles],
            handles::of_two_handles_that_want_one_name_one_gets_it [Handles Apps],
            handles::no_change_is_lost_between_handles [Handles Apps],
            handles::no_two_handles_give_the_same_id [Handles],
            handles::what_several_handles_commit_is_one_log [Handles],
            handles::of_two_handles_that_move_one_checkpoint_one_does [Handles],
            handles::a_changeset_sent_through_two_handles_has_one_effect [Handles],
            handles::what_was_committed_survives_a_restart [Durability],
            handles::what_is_acknowledged_at_the_last_moment_survives_a_restart [Durability],
            handles::no_id_is_given_again_after_a_restart [Durability],
        }
    };
}

/// One `#[test]` for each promise that a store makes (the table is at [`testing::conformance::store::CASES`]).
///
/// It takes an expression that gives a [`StoreHarness`](testing::conformance::StoreHarness), and needs nothing else in the
/// manifest than alm-core with the feature `conformance`. See [`testing::conformance`] for an example.
///
/// [`testing::conformance`]: crate::testing::conformance
/// [`testing::conformance::store::CASES`]: crate::testing::conformance::store::CASES
#[macro_export]
macro_rules! store_conformance {
    ($harness:expr $(,)?) => {
        $crate::__store_cases! { __conformance_tests store $harness }
    };
}

crate::__store_cases! { __conformance_table StoreCapability }
