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
            guards::a_commit_whose_app_is_not_there_is_stopped [Apps],
            guards::a_commit_whose_version_is_not_there_is_stopped [Versions],
            guards::a_guard_is_about_what_was_there_before [Apps],
            guards::no_version_is_committed_once_its_app_is_gone [Apps Versions],
            guards::no_deployment_is_committed_once_its_version_is_gone [Versions Deployments],
            guards::a_guard_holds_to_the_end_of_a_slow_commit [HeldCommits Apps Versions],
            guards::a_name_is_taken_once_by_slow_commits [HeldCommits Apps],
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
            log::a_wait_that_is_dropped_hinders_no_later_one [],
            log::times_may_be_equal_or_go_back [],
            trim::the_log_is_trimmed_from_the_front [],
            trim::no_more_is_trimmed_than_was_asked_for [],
            trim::a_log_that_was_trimmed_to_its_end_goes_on_behind_it [],
            trim::what_many_trim_at_once_goes_once [],
            trim::whoever_reads_while_the_log_is_trimmed_sees_no_gap [],
            trim::trimming_the_log_touches_nothing_else [],
            trim::a_changeset_is_known_as_long_as_its_events_stand [],
            ids::no_id_is_given_twice [],
            ids::later_ids_are_higher [],
            apps::an_app_reads_back_as_it_was_committed [Apps],
            apps::an_app_is_never_inserted_over_another [Apps],
            apps::an_app_that_is_not_there_is_neither_changed_nor_deleted [Apps],
            apps::an_app_is_changed_only_at_its_revision [Apps],
            apps::an_app_name_is_taken_until_its_owner_is_renamed_or_gone [Apps],
            apps::app_names_that_look_alike_are_different [Apps],
            apps::of_many_who_want_one_app_name_one_gets_it [Apps],
            apps::no_change_of_an_app_is_lost_among_rivals [Apps],
            apps::apps_are_found_by_every_filter [Apps],
            apps::the_longest_and_strangest_app_comes_back [Apps],
            apps::apps_are_listed_by_id_in_pages [Apps],
            versions::a_version_reads_back_as_it_was_committed [Versions],
            versions::a_version_is_never_inserted_over_another [Versions],
            versions::a_version_that_is_not_there_is_neither_changed_nor_deleted [Versions],
            versions::a_version_is_changed_only_at_its_revision [Versions],
            versions::a_tag_is_taken_in_its_app_until_its_version_is_gone [Versions],
            versions::tags_that_look_alike_are_different [Versions],
            versions::of_many_who_want_one_tag_one_gets_it [Versions],
            versions::no_change_of_a_version_is_lost_among_rivals [Versions],
            versions::versions_are_found_by_every_filter [Versions],
            versions::the_longest_and_strangest_version_comes_back [Versions],
            versions::versions_are_listed_by_id_in_pages [Versions],
            versions::pages_give_what_stays_exactly_once_whatever_comes_and_goes [Versions],
            deployments::a_deployment_reads_back_as_it_was_committed [Deployments],
            deployments::a_deployment_is_never_inserted_over_another [Deployments],
            deployments::a_deployment_that_is_not_there_is_neither_changed_nor_deleted [Deployments],
            deployments::a_deployment_is_changed_only_at_its_revision [Deployments],
            deployments::of_many_who_end_one_deployment_one_does [Deployments],
            deployments::no_change_of_a_deployment_is_lost_among_rivals [Deployments],
            deployments::deployments_are_found_by_every_filter [Deployments],
            deployments::the_longest_and_strangest_deployment_comes_back [Deployments],
            deployments::deployments_are_listed_by_id_in_pages [Deployments],
            running::what_finished_last_runs_and_the_higher_id_of_two_at_once [Versions Deployments],
            running::only_what_is_successful_runs [Versions Deployments],
            running::what_ran_before_runs_again_when_what_runs_is_gone [Versions Deployments],
            running::environments_are_told_in_byte_order_in_pages [Versions Deployments],
            running::what_runs_of_other_apps_does_not_mix_in [Versions Deployments],
            accounts::an_account_reads_back_as_it_was_committed [Accounts],
            accounts::another_password_changes_nothing_else [Accounts],
            accounts::an_account_is_never_inserted_over_another [Accounts],
            accounts::an_account_that_is_not_there_is_neither_changed_nor_deleted [Accounts],
            accounts::an_account_can_be_made_again_once_it_is_gone [Accounts],
            accounts::of_many_who_want_one_username_one_gets_it [Accounts],
            accounts::accounts_are_listed_by_creation_and_name_in_pages [Accounts],
            audit::audit_entries_read_back_as_they_were_recorded [Audit],
            audit::audit_indexes_are_gapless_in_the_order_of_the_commits [Audit],
            audit::racing_commits_leave_no_gap_in_the_audit_log [Audit],
            audit::an_audit_entry_never_changes [Audit],
            audit::the_same_event_recorded_again_is_another_entry [Audit],
            audit::audit_entries_are_found_by_every_filter [Audit],
            audit::audit_entries_are_listed_by_index_in_pages [Audit],
            audit::there_is_nothing_at_an_index_that_was_not_given [Audit],
            idempotency::an_answer_reads_back_as_it_was_remembered [],
            idempotency::the_longest_key_and_principal_come_back [],
            idempotency::a_live_key_stops_the_whole_changeset [],
            idempotency::an_expired_key_makes_room [],
            idempotency::what_expires_takes_nothing_live_along [],
            idempotency::a_key_is_one_principals_for_one_action [],
            idempotency::of_many_who_use_one_key_one_is_let [],
            idempotency::expired_answers_are_forgotten_and_no_live_one [],
            consumers::a_checkpoint_is_kept_by_consumer_and_log [],
            consumers::a_checkpoint_moves_only_from_where_it_stands [],
            consumers::a_checkpoint_may_stay_and_may_go_anywhere [],
            consumers::a_checkpoint_and_its_effect_are_one [],
            consumers::of_many_who_move_one_checkpoint_one_does [],
            consumers::dead_letters_read_back_as_they_were_buried [],
            consumers::dead_letters_are_listed_by_log_and_position_in_pages [],
            consumers::an_event_buried_again_replaces_its_letter [],
            concurrency::commits_are_linearizable [Apps],
            concurrency::what_runs_in_an_environment_is_linearizable [Versions Deployments],
            concurrency::commits_through_several_handles_are_linearizable [Handles Apps],
            handles::a_commit_is_seen_through_every_handle [Handles],
            handles::of_two_handles_that_want_one_name_one_gets_it [Handles Apps],
            handles::no_change_is_lost_between_handles [Handles Apps],
            handles::no_two_handles_give_the_same_id [Handles],
            handles::what_several_handles_commit_is_one_log [Handles],
            handles::of_two_handles_that_move_one_checkpoint_one_does [Handles],
            handles::a_changeset_sent_through_two_handles_has_one_effect [Handles],
            trim::a_trim_is_seen_through_every_handle [Handles],
            trim::where_the_log_begins_survives_a_restart [Durability],
            handles::what_was_committed_survives_a_restart [Durability],
            handles::what_is_acknowledged_at_the_last_moment_survives_a_restart [Durability],
            handles::no_id_is_given_again_after_a_restart [Durability],
        }
    };
}

/// One `#[test]` for each promise that a store makes (the table is at [`testing::conformance::store::CASES`]).
///
/// It takes an expression that gives a [`StoreHarness`](crate::testing::conformance::StoreHarness), and needs nothing else in the
/// manifest than alm-core with the feature `conformance`. Several invocations need a module each, for the tests have the names
/// of the cases. See [`testing::conformance`] for an example.
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
