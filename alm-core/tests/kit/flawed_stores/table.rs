//! Which flaw is caught by which case.

use super::defect::Defect;

/// Each flaw, and the cases that must fail on a store that has it. Others may fail too.
pub(super) const CAUGHT_BY: &[(Defect, &[&str])] = &[
    (Defect::DropsAnEvent, &["an_event_stands_in_the_log_as_it_was_committed"]),
    (Defect::LeavesAGap, &["positions_are_gapless_in_the_order_of_the_commits"]),
    (Defect::ShowsTheLaterCommitFirst, &["no_position_is_revealed_before_those_below_it"]),
    (Defect::HeadAheadOfTheLog, &["no_position_is_revealed_before_those_below_it"]),
    (Defect::PositionsGivenAtTheBeginning, &["a_commit_that_is_held_open_loses_nothing"]),
    (Defect::MixesCommits, &["the_events_of_one_commit_stand_together"]),
    (Defect::SwapsEventsOfOneSubject, &["events_of_one_subject_stand_in_the_order_of_its_changes"]),
    (Defect::SortsTheLogByTime, &["times_may_be_equal_or_go_back"]),
    (Defect::WakesNoOne, &["whoever_waits_for_events_is_woken"]),
    (Defect::KeepsWritesBeforeAFailure, &["a_changeset_that_fails_anywhere_leaves_no_trace"]),
    (
        Defect::KeepsEventsOfAFailure,
        &[
            "a_changeset_that_fails_anywhere_leaves_no_trace",
            "a_commit_from_a_checkpoint_that_has_moved_leaves_no_trace",
        ],
    ),
    (Defect::KeepsCheckpointOfAFailure, &["a_changeset_that_fails_anywhere_leaves_no_trace"]),
    (Defect::CommitsEventsLater, &["a_commit_that_is_dropped_is_whole_or_nothing"]),
    (Defect::CommitsWritesInTwoSteps, &["a_read_sees_a_commit_whole_or_not_at_all"]),
    (Defect::RefusesLargeChangesets, &["a_changeset_may_be_large"]),
    (Defect::IgnoresRevisions, &["an_app_is_changed_only_at_its_revision", "no_change_is_lost_between_handles"]),
    (
        Defect::IgnoresCheckpoints,
        &[
            "a_commit_from_a_checkpoint_that_has_moved_leaves_no_trace",
            "of_two_handles_that_move_one_checkpoint_one_does",
        ],
    ),
    (
        Defect::IgnoresGuards,
        &["a_commit_whose_app_is_not_there_is_stopped", "a_commit_whose_version_is_not_there_is_stopped"],
    ),
    (
        Defect::ChecksGuardsTooEarly,
        &["no_version_is_committed_once_its_app_is_gone", "no_deployment_is_committed_once_its_version_is_gone"],
    ),
    (Defect::ChecksGuardsTooLate, &["a_guard_is_about_what_was_there_before"]),
    (Defect::ReordersWrites, &["writes_are_made_in_their_order"]),
    (Defect::InsertReplaces, &["an_app_is_never_inserted_over_another", "an_account_is_never_inserted_over_another"]),
    (Defect::DeletesWhatIsNotThere, &["an_app_that_is_not_there_is_neither_changed_nor_deleted"]),
    (
        Defect::ChecksNamesTooEarly,
        &["of_two_handles_that_want_one_name_one_gets_it", "of_many_who_want_one_app_name_one_gets_it"],
    ),
    (Defect::LastWriterWins, &["no_change_is_lost_between_handles", "what_several_handles_commit_is_one_log"]),
    (
        Defect::ForgetsReceipts,
        &["the_same_changeset_twice_gives_the_first_receipt", "what_was_committed_survives_a_restart"],
    ),
    (Defect::SecondReceiptDiffers, &["the_same_changeset_twice_gives_the_first_receipt"]),
    (
        Defect::ChecksReceiptsTooEarly,
        &[
            "of_many_who_send_one_changeset_each_gets_the_same_receipt",
            "a_changeset_sent_through_two_handles_has_one_effect",
        ],
    ),
    (Defect::RefusalsLookLikeFaults, &["every_refusal_says_that_nothing_was_applied"]),
    (Defect::ConflictsLookLikeNotFound, &["an_app_is_changed_only_at_its_revision"]),
    (Defect::LosesTheLastCommit, &["what_is_acknowledged_at_the_last_moment_survives_a_restart"]),
    (Defect::ChangesTheLogId, &["what_was_committed_survives_a_restart"]),
    (Defect::IdsStartAgain, &["no_id_is_given_again_after_a_restart"]),
    (Defect::HandlesCountIds, &["no_two_handles_give_the_same_id"]),
    (Defect::ReadsTheNextIdTooEarly, &["no_id_is_given_twice"]),
    (Defect::HandleSeesItsOwn, &["a_commit_is_seen_through_every_handle"]),
    (Defect::CutsTimes, &["an_event_stands_in_the_log_as_it_was_committed", "an_app_reads_back_as_it_was_committed"]),
    (Defect::PagesOverlap, &["pages_of_the_log_give_each_event_once", "versions_are_listed_by_id_in_pages"]),
    (Defect::PagesByOffset, &["pages_give_what_stays_exactly_once_whatever_comes_and_goes"]),
    (Defect::LastPageLosesAnItem, &["pages_of_the_log_give_each_event_once", "apps_are_listed_by_id_in_pages"]),
    (Defect::ReplacesLiveAnswers, &["a_live_key_stops_the_whole_changeset", "of_many_who_use_one_key_one_is_let"]),
    (Defect::KeepsExpiredAnswers, &["an_expired_key_makes_room"]),
    (Defect::ForgetsPrincipals, &["a_key_is_one_principals_for_one_action"]),
    (Defect::CutsTexts, &["the_longest_and_strangest_app_comes_back"]),
    (Defect::DropsNul, &["audit_entries_read_back_as_they_were_recorded"]),
    (Defect::IgnoresCase, &["app_names_that_look_alike_are_different"]),
    (Defect::FiltersByOneMember, &["deployments_are_found_by_every_filter"]),
    (Defect::AnyLabelWillDo, &["apps_are_found_by_every_filter"]),
    (Defect::HighestIdRuns, &["what_finished_last_runs_and_the_higher_id_of_two_at_once"]),
    (
        Defect::AuditIndexHasAGap,
        &["audit_indexes_are_gapless_in_the_order_of_the_commits", "racing_commits_leave_no_gap_in_the_audit_log"],
    ),
    (Defect::RewritesTheAuditLog, &["an_audit_entry_never_changes"]),
];
