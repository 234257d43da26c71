//! Requests that are sent again get the first answer again.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    changeset::{Changeset, Fingerprint, IdempotencyRecord, IdempotencyScope},
    domain::Timestamp,
    policy::Action,
    ports::{BackendError, Contention, StoreError, Unique},
};

use super::{Alm, Context, Error, Idempotency};

const KEPT_SECONDS: i64 = 24 * 60 * 60;

/// A new resource, or the one that an earlier request with the same idempotency key created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created<T> {
    /// The resource as it was created.
    pub value: T,
    /// Whether an earlier request created it.
    pub replayed: bool,
}

/// The idempotency keys of the requests that are running in this process.
#[derive(Default)]
pub(super) struct Running(Mutex<HashSet<IdempotencyScope>>);

impl Running {
    fn enter(&self, scope: &IdempotencyScope) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(scope.clone())
    }

    fn leave(&self, scope: &IdempotencyScope) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(scope);
    }
}

/// The right to do a request: others in this process with its key are refused until it is dropped.
struct Ticket<'a> {
    running: &'a Running,
    scope: IdempotencyScope,
    fingerprint: Fingerprint,
}

impl<'a> Ticket<'a> {
    fn take(running: &'a Running, scope: IdempotencyScope, fingerprint: Fingerprint) -> Result<Self, Error> {
        if running.enter(&scope) { Ok(Self { running, scope, fingerprint }) } else { Err(Error::IdempotencyInProgress) }
    }

    fn record(&self, outcome: &impl Serialize, at: Timestamp, kept_for: i64) -> Result<IdempotencyRecord, Error> {
        Ok(IdempotencyRecord {
            scope: self.scope.clone(),
            fingerprint: self.fingerprint,
            outcome: serde_json::to_value(outcome).map_err(|error| corrupt("remember an answer", error))?,
            created_at: at,
            expires_at: at.plus_seconds(kept_for),
        })
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.running.leave(&self.scope);
    }
}

impl Alm {
    /// Does `work` and commits what comes of it, unless the request of `cx` was done before: then nothing is done and the
    /// answer is what came of it then. Answers are remembered for 24 hours.
    pub(super) async fn once<T: Serialize + DeserializeOwned + Send + Sync>(
        &self,
        cx: &Context,
        principal: &str,
        action: Action,
        work: impl Future<Output = Result<(T, Changeset), Error>> + Send,
    ) -> Result<Created<T>, Error> {
        self.once_for(KEPT_SECONDS, cx, principal, action, work).await
    }

    /// As [`once`](Self::once), but the answer is remembered for `kept_for` seconds.
    pub(super) async fn once_for<T: Serialize + DeserializeOwned + Send + Sync>(
        &self,
        kept_for: i64,
        cx: &Context,
        principal: &str,
        action: Action,
        work: impl Future<Output = Result<(T, Changeset), Error>> + Send,
    ) -> Result<Created<T>, Error> {
        let Some(Idempotency { key, fingerprint }) = cx.idempotency() else {
            let (value, changeset) = work.await?;
            self.commit(cx, changeset).await?;
            return Ok(Created { value, replayed: false });
        };
        let scope = IdempotencyScope { principal: principal.to_owned(), action, key: key.clone() };
        let ticket = Ticket::take(&self.inner.running, scope, *fingerprint)?;
        if let Some(value) = self.replay(&ticket).await? {
            return Ok(Created { value, replayed: true });
        }
        let (value, changeset) = work.await?;
        let record = ticket.record(&value, changeset.at(), kept_for)?;
        match self.commit(cx, changeset.remembering(record)).await {
            Ok(_) => Ok(Created { value, replayed: false }),
            // Perhaps another process was faster with the same key: then its record stands in the way, or what it created
            // with it, and its answer is there.
            Err(
                error @ (Error::AlreadyExists(_)
                | Error::Store(StoreError::GuardFailed(_) | StoreError::Conflict(Contention::Revision(_)))),
            ) => match self.replay(&ticket).await? {
                Some(value) => Ok(Created { value, replayed: true }),
                None if matches!(error, Error::AlreadyExists(Unique::IdempotencyKey)) => {
                    Err(Error::IdempotencyInProgress)
                }
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    async fn replay<T: DeserializeOwned>(&self, ticket: &Ticket<'_>) -> Result<Option<T>, Error> {
        match self.inner.store.remembered(&ticket.scope).await? {
            Some(record) if record.is_live(self.now()) => {
                if record.fingerprint != ticket.fingerprint {
                    return Err(Error::IdempotencyMismatch);
                }
                let outcome = serde_json::from_value(record.outcome);
                Ok(Some(outcome.map_err(|error| corrupt("read a remembered answer", error))?))
            }
            _ => Ok(None),
        }
    }
}

fn corrupt(operation: &'static str, source: serde_json::Error) -> Error {
    Error::Store(BackendError::corrupt("alm-core", operation).with_source(source).into())
}
