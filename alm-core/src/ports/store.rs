//! The store: state, log and checkpoints behind one commit.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    changeset::{Changeset, ConsumerName, DeadLetter, IdempotencyRecord, IdempotencyScope, Receipt},
    domain::{
        App, AppId, AuditEntry, AuditIndex, ChangesetId, Credential, CredentialId, Deployment, DeploymentId,
        EnvironmentName, Event, Holder, Known, LogId, ParentId, Position, RunningVersion, Timestamp, User, UserRecord,
        Username, Version, VersionId,
    },
};

use super::{
    AppFilter, AuditFilter, Bucket, CredentialFilter, DeploymentFilter, Rate, Roles, StoreError, VersionFilter,
};

/// Everything that ALM keeps. Implement [`Reader`], [`Committer`], [`EventLog`] and [`Roles`]; this follows.
pub trait Store: Reader + Committer + EventLog + Roles {}

impl<S: Reader + Committer + EventLog + Roles + ?Sized> Store for S {}

/// A session or API key, with the account that it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldCredential {
    /// The credential.
    pub credential: Credential,
    /// The account of a session; none of an API key, and when there is no account of that name any more.
    pub account: Option<User>,
}

impl HeldCredential {
    /// The account of a session, if it is still as it was when its user logged in.
    pub fn current_account(&self) -> Option<&User> {
        match &self.credential.holder {
            Holder::Session(session) => self.account.as_ref().filter(|account| session.is_of(account)),
            Holder::ApiKey(_) => None,
        }
    }
}

/// Reads of the state.
///
/// # Contract
/// - A read sees every commit whose receipt was given before the read began, by whichever handle. Checked by
///   `an_app_reads_back_as_it_was_committed`, `a_version_reads_back_as_it_was_committed`,
///   `a_deployment_reads_back_as_it_was_committed`, `an_account_reads_back_as_it_was_committed`,
///   `a_credential_reads_back_as_it_was_committed`,
///   `audit_entries_read_back_as_they_were_recorded`, `an_answer_reads_back_as_it_was_remembered`,
///   `dead_letters_read_back_as_they_were_buried`, `a_checkpoint_is_kept_by_consumer_and_log`,
///   `a_commit_is_seen_through_every_handle`, `commits_are_linearizable`,
///   `commits_through_several_handles_are_linearizable`.
/// - A read sees each commit whole or not at all. Checked by `a_read_sees_a_commit_whole_or_not_at_all`.
/// - A list is in ascending order of its key, begins after `after` and has at most `limit` items. Checked by
///   `apps_are_listed_by_id_in_pages`, `versions_are_listed_by_id_in_pages`, `deployments_are_listed_by_id_in_pages`,
///   `credentials_are_listed_by_id_in_pages`, `environments_are_told_in_byte_order_in_pages`, `accounts_are_listed_by_creation_and_name_in_pages`,
///   `audit_entries_are_listed_by_index_in_pages`, `dead_letters_are_listed_by_log_and_position_in_pages`.
/// - A list that is read page by page gives each item that exists the whole time exactly once, whatever is inserted and
///   deleted meanwhile. Checked by `pages_give_what_stays_exactly_once_whatever_comes_and_goes`.
/// - A list has what its filter's `matches` lets through, and nothing else. Checked by
///   `apps_are_found_by_every_filter`, `versions_are_found_by_every_filter`, `deployments_are_found_by_every_filter`,
///   `audit_entries_are_found_by_every_filter`.
/// - Values come back as they went: every character, times to the microsecond. Numbers are below 2⁶³. Checked by
///   `the_longest_and_strangest_app_comes_back`, `the_longest_and_strangest_version_comes_back`,
///   `the_longest_and_strangest_deployment_comes_back`, `the_longest_key_and_principal_come_back`.
///
/// # Errors
/// [`StoreError::Unsupported`] for what this store does not keep, else only [`StoreError::Backend`].
#[async_trait]
pub trait Reader: Send + Sync {
    /// The app with this id.
    async fn app(&self, id: AppId) -> Result<Option<App>, StoreError>;

    /// Apps by id.
    async fn apps(&self, filter: &AppFilter, after: Option<AppId>, limit: usize) -> Result<Vec<App>, StoreError>;

    /// The version with this id.
    async fn version(&self, id: VersionId) -> Result<Option<Version>, StoreError>;

    /// Versions by id.
    async fn versions(
        &self,
        filter: &VersionFilter,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<Version>, StoreError>;

    /// The deployment with this id.
    async fn deployment(&self, id: DeploymentId) -> Result<Option<Deployment>, StoreError>;

    /// Deployments by id.
    async fn deployments(
        &self,
        filter: &DeploymentFilter,
        after: Option<DeploymentId>,
        limit: usize,
    ) -> Result<Vec<Deployment>, StoreError>;

    /// What runs in the environments of an app, by environment.
    ///
    /// # Contract
    /// - Of the successful deployments in an environment the one that finished last runs there, of several at the same
    ///   time the one with the highest id. Checked by `what_finished_last_runs_and_the_higher_id_of_two_at_once`,
    ///   `only_what_is_successful_runs`, `what_runs_of_other_apps_does_not_mix_in`,
    ///   `what_runs_in_an_environment_is_linearizable`.
    /// - A deployment that is gone, or whose version is, does not count. Checked by
    ///   `what_ran_before_runs_again_when_what_runs_is_gone`.
    /// - A version that is not here lives elsewhere when it is known and live: its deployment counts, and is told without it. When it is
    ///   known to be gone, or was never heard of, the deployment does not count. Checked by
    ///   `what_runs_of_versions_that_live_elsewhere_is_told_without_them`,
    ///   `what_ran_before_runs_again_when_a_version_elsewhere_is_gone`, `a_version_that_is_here_is_told_whatever_is_known_of_it`.
    ///
    /// # Errors
    /// [`Unsupported`](StoreError::Unsupported) from a store that keeps no deployments, or neither versions nor what is known of
    /// parents; else only [`Backend`](StoreError::Backend).
    async fn running(
        &self,
        app: AppId,
        after: Option<&EnvironmentName>,
        limit: usize,
    ) -> Result<Vec<RunningVersion>, StoreError>;

    /// The audit entry at this index.
    ///
    /// # Contract
    /// - Indexes are gapless from 1, in the order of the commits; there is nothing at others. Checked by
    ///   `audit_indexes_are_gapless_in_the_order_of_the_commits`, `racing_commits_leave_no_gap_in_the_audit_log`,
    ///   `there_is_nothing_at_an_index_that_was_not_given`.
    /// - An entry never changes and never goes. Checked by `an_audit_entry_never_changes`,
    ///   `the_same_event_recorded_again_is_another_entry`.
    async fn audit_entry(&self, index: AuditIndex) -> Result<Option<AuditEntry>, StoreError>;

    /// Audit entries by index.
    async fn audit_entries(
        &self,
        filter: &AuditFilter,
        after: Option<AuditIndex>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError>;

    /// The account of this name, with its password hash.
    async fn user(&self, username: &Username) -> Result<Option<UserRecord>, StoreError>;

    /// Accounts by time of creation, then by name.
    async fn users(&self, after: Option<&(Timestamp, Username)>, limit: usize) -> Result<Vec<User>, StoreError>;

    /// The session or API key with this id, also one that has expired; of a session with the account of its user as it is now.
    ///
    /// # Contract
    /// The credential and the account are of one moment. Checked by `a_session_is_read_with_the_account_as_it_is`.
    async fn credential(&self, id: CredentialId) -> Result<Option<HeldCredential>, StoreError>;

    /// Credentials by id, also those that have expired.
    async fn credentials(
        &self,
        filter: &CredentialFilter,
        after: Option<CredentialId>,
        limit: usize,
    ) -> Result<Vec<Credential>, StoreError>;

    /// Whether a credential that another service holds is known to be gone.
    ///
    /// # Contract
    /// It is at least until the time that was told with it; then it may be forgotten. Checked by
    /// `a_credential_elsewhere_is_gone_as_long_as_was_told`.
    async fn is_revoked(&self, id: CredentialId) -> Result<bool, StoreError>;

    /// The answer that is remembered for `scope`, also when it has expired but is still there.
    async fn remembered(&self, scope: &IdempotencyScope) -> Result<Option<IdempotencyRecord>, StoreError>;

    /// Where `consumer` stands in `log`, or `None` if it has never stood anywhere.
    async fn checkpoint(&self, consumer: &ConsumerName, log: LogId) -> Result<Option<Position>, StoreError>;

    /// What `consumer` gave up on, by log and position.
    async fn dead_letters(
        &self,
        consumer: &ConsumerName,
        after: Option<(LogId, Position)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError>;

    /// What is known of a parent that lives elsewhere: what was learned of it, or that it is gone; `None` of one that was never heard
    /// of.
    ///
    /// # Contract
    /// - It is live since it was first learned of, with the app that was told last, and gone for ever once it is, whatever comes
    ///   later. Checked by `what_is_known_of_a_parent_reads_back`, `a_parent_that_is_gone_stays_gone`,
    ///   `a_parent_is_learned_any_number_of_times`.
    /// - Of apps and versions with the same id each is known by itself, and neither is what the store itself keeps. Checked by
    ///   `apps_and_versions_are_known_apart`, `what_is_known_of_a_parent_is_not_what_is_kept_here`.
    async fn known(&self, parent: ParentId) -> Result<Option<Known>, StoreError>;

    /// Whether a changeset was committed: its receipt if so. It answers for changesets that have at least one event, as long
    /// as all of them stand in the log: with the first that is [trimmed](Committer::trim) the receipt may be forgotten.
    async fn receipt(&self, changeset: ChangesetId) -> Result<Option<Receipt>, StoreError>;
}

/// Changes of the state.
#[async_trait]
pub trait Committer: Send + Sync {
    /// Makes all of a changeset true at once: writes, events, checkpoint.
    ///
    /// # Contract
    /// - All or nothing. After an error whose outcome is `NotApplied`, nothing is there; after one whose outcome is
    ///   `Unknown`, after a panic, and when the future is dropped before it is done, either all of it is there or
    ///   nothing. Checked by `a_changeset_that_fails_anywhere_leaves_no_trace`,
    ///   `a_commit_from_a_checkpoint_that_has_moved_leaves_no_trace`, `a_live_key_stops_the_whole_changeset`,
    ///   `a_checkpoint_and_its_effect_are_one`, `a_commit_that_is_dropped_is_whole_or_nothing`.
    /// - Writes are made in their order, and a changeset may have many. Checked by `writes_are_made_in_their_order`,
    ///   `a_changeset_may_be_large`.
    /// - An insert never replaces: ids, names and tags are taken as long as their owner is there. Checked by
    ///   `an_app_is_never_inserted_over_another`, `an_app_name_is_taken_until_its_owner_is_renamed_or_gone`,
    ///   `app_names_that_look_alike_are_different`, `a_version_is_never_inserted_over_another`,
    ///   `a_tag_is_taken_in_its_app_until_its_version_is_gone`, `tags_that_look_alike_are_different`,
    ///   `a_deployment_is_never_inserted_over_another`, `an_account_is_never_inserted_over_another`,
    ///   `an_account_can_be_made_again_once_it_is_gone`, `a_credential_is_never_inserted_over_another`.
    /// - An update or delete changes what is there at the expected revision, and nothing else. Checked by
    ///   `an_app_that_is_not_there_is_neither_changed_nor_deleted`, `an_app_is_changed_only_at_its_revision`,
    ///   `a_version_that_is_not_there_is_neither_changed_nor_deleted`, `a_version_is_changed_only_at_its_revision`,
    ///   `a_deployment_that_is_not_there_is_neither_changed_nor_deleted`,
    ///   `a_deployment_is_changed_only_at_its_revision`, `an_account_that_is_not_there_is_neither_changed_nor_deleted`,
    ///   `another_password_changes_the_revision_and_nothing_else`,
    ///   `an_account_is_changed_only_at_its_revision`, `a_credential_is_renewed_only_at_its_revision`.
    /// - A password is set only in the place of the one that it was decided on, also at the same revision. Checked by `a_password_is_changed_only_from_what_it_was`.
    /// - A password that is hashed anew is the same one. Checked by `a_password_is_hashed_anew_as_long_as_it_is_the_same`.
    /// - Guards are the only rule about parents: a child may be committed without its parent and may outlive it, until
    ///   the cascade has seen the deletion. So no foreign keys. Checked by `a_version_reads_back_as_it_was_committed`,
    ///   `what_ran_before_runs_again_when_what_runs_is_gone`.
    /// - Guards hold at the moment of the commit, of what was there before it. Checked by
    ///   `a_commit_whose_app_is_not_there_is_stopped`, `a_commit_whose_version_is_not_there_is_stopped`,
    ///   `a_guard_is_about_what_was_there_before`, `no_version_is_committed_once_its_app_is_gone`,
    ///   `a_guard_holds_to_the_end_of_a_slow_commit`, `no_deployment_is_committed_once_its_version_is_gone`.
    /// - So do those about parents that live elsewhere: no child is committed once its parent is known to be gone. Checked by
    ///   `a_commit_whose_parent_is_not_known_or_gone_is_stopped`, `no_child_is_committed_once_its_parent_is_known_to_be_gone`,
    ///   `a_guard_of_a_parent_elsewhere_holds_to_the_end_of_a_slow_commit`.
    /// - Commits behave as if made one after the other, through whichever handles. Checked by
    ///   `no_change_of_an_app_is_lost_among_rivals`, `a_name_is_taken_once_by_slow_commits`,
    ///   `no_change_of_a_version_is_lost_among_rivals`, `no_change_of_a_deployment_is_lost_among_rivals`,
    ///   `of_many_who_want_one_app_name_one_gets_it`, `of_many_who_want_one_tag_one_gets_it`,
    ///   `of_many_who_want_one_username_one_gets_it`, `of_many_who_end_one_deployment_one_does`,
    ///   `of_many_who_renew_one_credential_one_does`, `of_many_who_use_one_key_one_is_let`, `of_many_who_move_one_checkpoint_one_does`,
    ///   `of_two_handles_that_want_one_name_one_gets_it`, `no_change_is_lost_between_handles`,
    ///   `of_two_handles_that_move_one_checkpoint_one_does`.
    /// - A checkpoint moves only from where it stands; each consumer has one for each log. Checked by
    ///   `a_checkpoint_moves_only_from_where_it_stands`, `a_checkpoint_may_stay_and_may_go_anywhere`.
    /// - A remembered answer is kept until it has expired, and then makes room for the next of its scope. Checked by
    ///   `an_expired_key_makes_room`, `what_expires_takes_nothing_live_along`,
    ///   `a_key_is_one_principals_for_one_action`.
    /// - A letter about an event that the consumer has buried before replaces the earlier one. Checked by
    ///   `an_event_buried_again_replaces_its_letter`.
    /// - A letter is settled with all that its changeset holds, by one of those who settle it, and takes no other along. Checked by
    ///   `a_letter_is_settled_together_with_its_effects`, `of_many_who_settle_one_letter_one_does`,
    ///   `a_letter_that_is_not_there_is_not_settled`.
    /// - A changeset with events whose id was committed before has no effect, as long as its events stand in the log; the
    ///   answer is the first receipt. Checked by `the_same_changeset_twice_gives_the_first_receipt`,
    ///   `the_first_receipt_also_answers_when_the_changeset_would_fail_now`,
    ///   `of_many_who_send_one_changeset_each_gets_the_same_receipt`,
    ///   `a_changeset_sent_through_two_handles_has_one_effect`.
    /// - When the receipt is given, the changeset survives whatever the store is made to survive. Checked by
    ///   `what_was_committed_survives_a_restart`, `what_is_acknowledged_at_the_last_moment_survives_a_restart`.
    /// - Its events get positions in the log in the order of the commits, those of one commit together, also when they
    ///   get them later than the receipt. Checked by `positions_are_gapless_in_the_order_of_the_commits`,
    ///   `the_events_of_one_commit_stand_together`, `events_of_one_subject_stand_in_the_order_of_its_changes`,
    ///   `times_may_be_equal_or_go_back`.
    /// - A refusal says why, and that nothing was applied. Checked by `every_refusal_says_that_nothing_was_applied`.
    ///
    /// # Errors
    /// - [`AlreadyExists`](StoreError::AlreadyExists): an id, a name, a tag or a live idempotency key is taken.
    /// - [`NotFound`](StoreError::NotFound): what is updated or deleted is not there.
    /// - [`Conflict`](StoreError::Conflict): a revision or the checkpoint is not the expected one, or the letter that is to be settled is
    ///   not there.
    /// - [`GuardFailed`](StoreError::GuardFailed): a guard does not hold.
    /// - [`Unsupported`](StoreError::Unsupported): a write or guard that this store does not know.
    /// - [`Backend`](StoreError::Backend): a fault; its outcome may be unknown.
    async fn commit(&self, changeset: Changeset) -> Result<Receipt, StoreError>;

    /// Takes `count` ids, to be used for new resources.
    ///
    /// # Contract
    /// - No id is given twice, by whichever handle and also after a restart. Ids that are not used are lost. Checked by
    ///   `no_id_is_given_twice`, `no_two_handles_give_the_same_id`, `no_id_is_given_again_after_a_restart`.
    /// - Ids that one handle takes later are higher, so that lists by id are oldest first. Checked by
    ///   `later_ids_are_higher`.
    ///
    /// # Errors
    /// [`StoreError::Unsupported`] for resources that this store does not keep, else only [`StoreError::Backend`].
    async fn allocate(&self, sequence: Sequence, count: u32) -> Result<IdBlock, StoreError>;

    /// Counts an attempt, unless it is one too many by `rate`: then nothing is counted, and the answer is the time at which the next may
    /// be made. It is no commit: no event tells of it. A bucket that is not filled any more may be forgotten, so that what is kept is
    /// bounded by what was let through lately; a store need not keep it over a restart.
    ///
    /// # Contract
    /// - Each bucket by itself goes by [`Rate::admit`]. Checked by `a_bucket_lets_a_burst_through_and_then_goes_by_the_rate`,
    ///   `buckets_do_not_mix`.
    /// - Attempts behave as if made one after the other, through whichever handles. Checked by
    ///   `of_many_attempts_at_once_no_more_than_the_burst_are_let_through`.
    ///
    /// # Errors
    /// [`StoreError::Unsupported`] from a store that keeps no accounts, else only [`StoreError::Backend`].
    async fn admit(&self, bucket: &Bucket, rate: Rate, now: Timestamp) -> Result<Result<(), Timestamp>, StoreError>;

    /// Removes events from the front of the log: the oldest, and those that follow it, as long as they stand at `up_to` or below
    /// and happened before `before`; at most `limit`.
    ///
    /// # Contract
    /// - What is left is the end of the log as it was, without a gap: no event goes while one below it stays, however old it
    ///   is. Checked by `the_log_is_trimmed_from_the_front`, `no_more_is_trimmed_than_was_asked_for`.
    /// - The head stays where it is, and no position is given again, also when no event is left and after a restart. Checked
    ///   by `a_log_that_was_trimmed_to_its_end_goes_on_behind_it`, `where_the_log_begins_survives_a_restart`.
    /// - It may be called while others commit, read and trim, through whichever handles: each event goes once, and no reader
    ///   sees a gap. Checked by `what_many_trim_at_once_goes_once`, `whoever_reads_while_the_log_is_trimmed_sees_no_gap`,
    ///   `a_trim_is_seen_through_every_handle`.
    /// - It touches nothing but events and, with the first event of a changeset, its receipt. Checked by
    ///   `trimming_the_log_touches_nothing_else`, `a_changeset_is_known_as_long_as_its_events_stand`.
    ///
    /// # Errors
    /// Only [`StoreError::Backend`]. Whatever its outcome, the call may be made again.
    async fn trim(&self, up_to: Position, before: Timestamp, limit: usize) -> Result<Trimmed, StoreError>;

    /// Forgets remembered answers that have expired at `now`, at most `limit`; says how many.
    ///
    /// # Contract
    /// It takes none that is live, and as many as it may: with a limit of 0 none at all. Checked by
    /// `expired_answers_are_forgotten_and_no_live_one`.
    ///
    /// # Errors
    /// Only [`StoreError::Backend`]. Whatever its outcome, the call may be made again. A store that takes no changes, such as one that
    /// is read-only, says so also to a limit of 0: that is how [`Alm::store_state`](crate::Alm::store_state) asks it. One that is out
    /// of space need not notice.
    async fn forget_answers(&self, now: Timestamp, limit: usize) -> Result<u64, StoreError>;
}

/// What [`Committer::trim`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// How many events it has removed.
    pub events: u64,
    /// Where the log begins now, as [`EventLog::oldest`] says it.
    pub oldest: Position,
}

/// Which ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sequence {
    /// Of apps.
    Apps,
    /// Of versions.
    Versions,
    /// Of deployments.
    Deployments,
}

/// Ids `first`, `first + 1`, … that belong to whoever allocated them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdBlock {
    /// The first id; positive.
    pub first: i64,
    /// How many there are.
    pub count: u32,
}

/// The log of everything that happened. What is old may be [trimmed](Committer::trim) from its front.
///
/// # Contract
/// - Positions are gapless from 1 and follow the order of the commits, by whichever handles. Checked by
///   `pages_of_the_log_give_each_event_once`, `what_several_handles_commit_is_one_log`.
/// - An event never moves and never changes. Checked by `an_event_stands_in_the_log_as_it_was_committed`,
///   `a_commit_that_is_held_open_loses_nothing`.
/// - Whoever has seen position *n* sees every position below it. Checked by
///   `no_position_is_revealed_before_those_below_it`, `the_head_is_the_position_of_the_newest_event`.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Which log this is. It stays the same as long as the store is open, and after that, unless the store was restored from a backup and
    /// its log [rotated](super::Rotation).
    fn log_id(&self) -> LogId;

    /// Events after `after`, in order, at most `limit`.
    ///
    /// # Contract
    /// It never passes over what is gone: whoever asks for an event that was trimmed is told so, also by a read that races
    /// the trim. Checked by `the_log_is_trimmed_from_the_front`, `whoever_reads_while_the_log_is_trimmed_sees_no_gap`,
    /// `a_log_that_was_trimmed_to_its_end_goes_on_behind_it`.
    ///
    /// # Errors
    /// - [`Gone`](StoreError::Gone): the event behind `after` was trimmed.
    /// - [`Backend`](StoreError::Backend).
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, StoreError>;

    /// Where the log begins: the position of the oldest event that is there, or that the next one will get when none is.
    ///
    /// # Contract
    /// All that is there is read after the position below it. Checked by `the_log_is_trimmed_from_the_front`,
    /// `a_log_that_was_trimmed_to_its_end_goes_on_behind_it`.
    ///
    /// # Errors
    /// Only [`StoreError::Backend`].
    async fn oldest(&self) -> Result<Position, StoreError>;

    /// The position of the newest event that there ever was, [`Position::START`] when there was none.
    ///
    /// # Errors
    /// Only [`StoreError::Backend`].
    async fn head(&self) -> Result<Position, StoreError>;

    /// Waits until there are events after `after`.
    ///
    /// # Contract
    /// - It is safe to drop. Checked by `a_wait_that_is_dropped_hinders_no_later_one`.
    /// - It wakes when this handle commits something after `after`; it may wake too early, so look again; and a store
    ///   may miss what other processes commit, so do not rely on it alone. Checked by
    ///   `whoever_waits_for_events_is_woken`.
    ///
    /// # Errors
    /// Only [`StoreError::Backend`].
    async fn changed(&self, after: Position) -> Result<(), StoreError>;
}
