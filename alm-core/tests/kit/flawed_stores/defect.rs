//! What a store can do wrong.

/// What the store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Defect {
    /// Nothing.
    None,

    // The log.
    /// Of a commit of several events, the last is lost.
    DropsAnEvent,
    /// There is no position 3.
    LeavesAGap,
    /// Whoever has given positions first does not show them first.
    ShowsTheLaterCommitFirst,
    /// The head counts events that can't be read yet.
    HeadAheadOfTheLog,
    /// Positions are given when a transaction begins, not when it ends.
    PositionsGivenAtTheBeginning,
    /// Events of other commits come between those of one.
    MixesCommits,
    /// Two events in a row about the same thing change places.
    SwapsEventsOfOneSubject,
    /// The log is sorted by time.
    SortsTheLogByTime,
    /// No one who waits is woken.
    WakesNoOne,

    // What is old goes.
    /// Whoever asks for what was trimmed gets what comes after it.
    SkipsWhatIsGone,
    /// Where the log begins is looked up before the events are read.
    LooksWhereTheLogBeginsTooEarly,
    /// What may go is counted before the lock is taken.
    CountsWhatGoesTooEarly,
    /// Events go that are above the bound.
    TrimsAboveTheBound,
    /// Events go that are too young.
    TrimsTheYoung,
    /// More events go than may.
    TrimsWithoutLimit,
    /// Whatever is old goes, wherever it stands.
    TrimsInTheMiddle,
    /// Once nothing is left, positions start again.
    PositionsStartAgain,
    /// Once nothing is left, positions start again after a restart.
    ForgetsWhereTheLogBegins,
    /// With its event goes the audit entry.
    TrimsTheAuditLog,
    /// With an event goes what is known of every changeset.
    TrimsAllReceipts,
    /// Of a changeset that is cut in two, it is neither known that it was committed, nor can it be again.
    TripsOverHalfAChangeset,
    /// Live answers are forgotten, too.
    ForgetsLiveAnswers,
    /// More answers are forgotten than may be.
    ForgetsWithoutLimit,
    /// No answer is ever forgotten.
    ForgetsNoAnswer,

    // All or nothing.
    /// The writes before the one that fails are kept.
    KeepsWritesBeforeAFailure,
    /// The events of a commit that fails are kept.
    KeepsEventsOfAFailure,
    /// The checkpoint of a commit that fails is kept.
    KeepsCheckpointOfAFailure,
    /// The events are committed after the writes.
    CommitsEventsLater,
    /// The first write is committed before the others.
    CommitsWritesInTwoSteps,
    /// A changeset of more than 100 events is refused.
    RefusesLargeChangesets,

    // Conditions.
    /// Any revision will do.
    IgnoresRevisions,
    /// Any checkpoint will do.
    IgnoresCheckpoints,
    /// Guards are not looked at.
    IgnoresGuards,
    /// Guards are looked at before the lock is taken.
    ChecksGuardsTooEarly,
    /// Guards are looked at after the writes.
    ChecksGuardsTooLate,
    /// Deletes are made first.
    ReordersWrites,
    /// What is inserted may be there already.
    InsertReplaces,
    /// What is deleted need not be there.
    DeletesWhatIsNotThere,
    /// Names are compared before the lock is taken.
    ChecksNamesTooEarly,
    /// Who commits last overwrites what was committed since it has read.
    LastWriterWins,

    // Parents that live elsewhere.
    /// Late news bring a parent back.
    LearnsWhatIsGone,
    /// That a parent is gone is not kept when nothing was known of it.
    ForgetsWhatGoesUnknown,
    /// A parent can be learned of once.
    RefusesToLearnTwice,
    /// An app and a version of the same id are the same parent.
    MixesParents,
    /// What is gone is known, and so the guard holds.
    TakesTheGoneForKnown,
    /// What the store itself keeps is known.
    TakesItsOwnForKnown,
    /// What is known of parents is not known after a restart.
    ForgetsParents,

    // Accounts, sessions and API keys.
    /// An account that gets another role has no password any more.
    UpdatesDropThePassword,
    /// An account whose password is another is at the same revision.
    KeepsTheRevisionOfAPassword,
    /// A password replaces any other, also one that its owner has never seen.
    ReplacesAnyPassword,
    /// A password that is hashed anew replaces another that was set meanwhile.
    RehashesAnyPassword,
    /// A password that is another by now can't be hashed anew, and that is an error.
    RefusesALateRehash,
    /// An account whose password is hashed anew is at another revision.
    RehashEndsSessions,
    /// The secret that an API key had before is not kept.
    ForgetsRetiredSecrets,
    /// A credential that has ended is still there.
    KeepsWhatHasEnded,
    /// A session is read with the account as it was when it logged in.
    ShowsTheAccountOfTheLogIn,
    /// A session is of whoever has the name by now.
    TakesTheNameForTheAccount,
    /// With an account go its sessions, and no one is told.
    EndsSessionsWithTheirAccount,
    /// Several API keys may have one name.
    NamesOfKeysMayRepeat,
    /// The sessions of an account are those of all.
    ListsSessionsOfAll,
    /// Sessions and API keys are gone after a restart.
    ForgetsCredentials,
    /// What is revoked is not known after a restart.
    ForgetsRevocations,
    /// Of what is told of a revocation the last counts, also when it is the first to be over.
    RevocationsReplace,
    /// What is revoked is known for ever.
    KeepsRevocationsForEver,

    // Letters.
    /// A letter is settled that is not there.
    SettlesWhatIsNotThere,
    /// The letters of all consumers about an event go.
    SettlesForAllConsumers,
    /// A letter that is settled stays.
    KeepsSettledLetters,
    /// Whether a letter is there is looked at before the lock is taken.
    LooksForLettersTooEarly,

    // Roles.
    /// Whoever wants a role gets it.
    LendsARoleTwice,
    /// Each handle lends roles by itself.
    HandlesLendRoles,
    /// A role is not free when its lease is dropped.
    KeepsRolesForEver,
    /// There is one role, whatever it is called.
    MixesRoles,
    /// A lease is not held when it was asked about before.
    LosesALease,

    // Answers to a commit.
    /// A changeset that was committed is not known.
    ForgetsReceipts,
    /// The second receipt has another time than the first.
    SecondReceiptDiffers,
    /// Receipts are looked up before the lock is taken.
    ChecksReceiptsTooEarly,
    /// A refusal looks like a fault that may have had an effect.
    RefusalsLookLikeFaults,
    /// A conflict looks as if nothing were there.
    ConflictsLookLikeNotFound,

    // Restarts and handles.
    /// The last commit before the end is lost.
    LosesTheLastCommit,
    /// The log has another id after a restart.
    ChangesTheLogId,
    /// Ids start again after a restart.
    IdsStartAgain,
    /// Each handle counts ids by itself.
    HandlesCountIds,
    /// The next id is read before the lock is taken.
    ReadsTheNextIdTooEarly,
    /// A handle does not see what others have committed since its last commit.
    HandleSeesItsOwn,

    // Attempts.
    /// There is one bucket for all.
    MixesBuckets,
    /// How far a bucket is filled is read before the lock is taken.
    ReadsBucketsTooEarly,
    /// An attempt that is refused is counted, too.
    CountsWhatIsRefused,

    // Values and lists.
    /// Texts are cut after 255 bytes.
    CutsTexts,
    /// The NUL character is left out of what an audit entry tells.
    DropsNul,
    /// Times are cut to milliseconds.
    CutsTimes,
    /// Names of apps and of API keys are the same whatever their case.
    IgnoresCase,
    /// The last page of a list lacks its last item.
    LastPageLosesAnItem,
    /// A page begins with the last item of the one before.
    PagesOverlap,
    /// A page begins after as many items as the pages before had.
    PagesByOffset,
    /// Of several members of a filter only the first counts.
    FiltersByOneMember,
    /// One of the labels is enough.
    AnyLabelWillDo,
    /// What has the highest id runs, whenever it finished.
    HighestIdRuns,
    /// What runs is only what has its version here.
    RunsOnlyWhatIsHere,
    /// What has its version elsewhere runs, also when that is gone.
    RunsWhatIsGoneElsewhere,
    /// The third audit entry has the index 4.
    AuditIndexHasAGap,
    /// When an app is renamed, so is it in the audit log.
    RewritesTheAuditLog,
    /// A remembered answer is replaced while it is live.
    ReplacesLiveAnswers,
    /// An idempotency key is the same whoever uses it.
    ForgetsPrincipals,
    /// A remembered answer is in the way for ever.
    KeepsExpiredAnswers,
}
