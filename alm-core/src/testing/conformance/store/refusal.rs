//! Commits that must be refused, and rivals of which one wins.

use futures_util::future::BoxFuture;

use crate::{
    changeset::{Changeset, ConsumerName},
    domain::{LogId, Position, Subject as About},
    ports::{Contention, Store, StoreError, Unique},
    testing::conformance::must::Must,
};

use super::{
    given::{Handle, at_once, ended, send, start},
    subject::Subject,
};

/// How a commit must be refused.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    /// This is taken.
    Taken(Unique),
    /// This is not there.
    Missing(About),
    /// This is at another revision.
    Stale(About),
    /// This consumer stands elsewhere.
    Moved(ConsumerName),
    /// This consumer has no letter about the event at this place.
    Settled(ConsumerName, LogId, Position),
}

impl Refusal {
    fn is(&self, error: &StoreError) -> bool {
        match (self, error) {
            (Self::Taken(expected), StoreError::AlreadyExists(taken)) => taken == expected,
            (Self::Missing(expected), StoreError::NotFound(missing)) => missing == expected,
            (Self::Stale(expected), StoreError::Conflict(Contention::Revision(stale))) => stale == expected,
            (Self::Moved(expected), StoreError::Conflict(Contention::Checkpoint(moved))) => moved == expected,
            (
                Self::Settled(whose, of, at),
                StoreError::Conflict(Contention::DeadLetter { consumer, log, position }),
            ) => (whose, of, at) == (consumer, log, position),
            _ => false,
        }
    }

    fn must_be(&self, error: &StoreError, what: &str) {
        assert!(self.is(error), "to {what} must be refused as {self:?}, and is refused as {error:?}");
    }
}

/// Checks that `changeset` is refused, and as it should be.
pub(super) async fn is_refused(store: &dyn Store, what: &str, changeset: Changeset, refusal: Refusal) {
    let error = store.commit(changeset).await.must_fail(what);
    refusal.must_be(&error, what);
}

/// Commits all of `rivals` at the same time and checks that one is committed and the others are refused as they should be. Gives
/// the place of the winner.
pub(super) async fn one_wins(subject: &Subject, what: &str, rivals: Vec<Changeset>, refusal: Refusal) -> usize {
    let handles = subject.rivals().await;
    let sent = rivals.into_iter().zip(handles.iter().cycle());
    let answers = at_once(sent.map(|(changeset, handle)| send(handle.clone(), changeset))).await;
    let winners: Vec<_> = (0..answers.len()).filter(|place| answers[*place].is_ok()).collect();
    for error in answers.into_iter().filter_map(Result::err) {
        refusal.must_be(&error, what);
    }
    assert_eq!(winners.len(), 1, "of those who {what} at the same time one must be let, and {winners:?} were");
    winners[0]
}

/// How many changes [`change_together`] makes.
pub(super) const CHANGES: u64 = 50;

/// Changes something [`CHANGES`] times from five tasks; `change` gives one more change to what it reads.
pub(super) async fn change_together(
    subject: &Subject,
    about: &About,
    change: fn(Handle) -> BoxFuture<'static, Changeset>,
) {
    let work = |store: Handle, about: About| async move {
        let mut done = 0;
        while done < CHANGES / 5 {
            match store.commit(change(store.clone()).await).await {
                Ok(_) => done += 1,
                Err(error) => {
                    Refusal::Stale(about.clone()).must_be(&error, "change what another has changed meanwhile");
                }
            }
        }
    };
    let handles = subject.rivals().await;
    let workers: Vec<_> =
        handles.iter().cycle().take(5).map(|handle| start(work(handle.clone(), about.clone()))).collect();
    for worker in workers {
        ended(worker).await;
    }
}
