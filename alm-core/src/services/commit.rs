//! From a decision to a commit.

use std::sync::atomic::Ordering;

use uuid::Uuid;

use crate::{
    changeset::{Change, Changeset, Receipt, Stamp},
    domain::{AppId, ChangesetId, CloudEvent, DeploymentId, Event, EventId, Position, Subject, Timestamp, VersionId},
    measured::Told,
    policy::Action,
    ports::{BackendError, Contention, Sequence, StoreError},
};

use super::{Alm, Context, Error};

// With n writers on one resource one of them wins each round, so this is how many it takes to lose every time.
const MAX_ATTEMPTS: usize = 32;

/// How far what was stamped last may be ahead of the clock, in microseconds.
const MOST_AHEAD: i64 = 2_000_000;

impl Alm {
    /// The stamp for a changeset that is decided now.
    pub(crate) fn stamp(&self, cx: &Context) -> Stamp {
        Stamp {
            changeset: ChangesetId::new(self.uuid()),
            at: self.later(),
            actor: cx.actor(),
            trace: cx.trace().cloned(),
        }
    }

    /// The time now, but later than any that was given before: what is decided later in a process also says so. Only a clock that
    /// was set back by more than it may be behind in the course of things is believed, or one wrong reading would count for ever.
    pub(crate) fn later(&self) -> Timestamp {
        let now = self.now().micros();
        let after = |last: i64| {
            if last.saturating_sub(now) < MOST_AHEAD { now.max(last.saturating_add(1)) } else { now }
        };
        let last = &self.inner.last_stamp;
        let previous = last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(after(last)));
        Timestamp::from_micros(previous.map_or(now, after)).unwrap_or_else(|| self.now())
    }

    pub(crate) fn uuid(&self) -> Uuid {
        self.inner.ids.uuid_v7()
    }

    /// A random number: the last 32 bits of such an id are one.
    pub(crate) fn random(&self) -> u32 {
        self.uuid().as_fields().3[4..].iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
    }

    pub(crate) fn event_id(&self) -> EventId {
        EventId::new(self.uuid())
    }

    pub(super) async fn new_app_id(&self) -> Result<AppId, StoreError> {
        self.new_id(Sequence::Apps, AppId::new).await
    }

    pub(super) async fn new_version_id(&self) -> Result<VersionId, StoreError> {
        self.new_id(Sequence::Versions, VersionId::new).await
    }

    pub(crate) async fn new_deployment_id(&self) -> Result<DeploymentId, StoreError> {
        self.new_id(Sequence::Deployments, DeploymentId::new).await
    }

    async fn new_id<T>(&self, sequence: Sequence, id: impl Fn(i64) -> Option<T> + Send) -> Result<T, StoreError> {
        let number = self.inner.id_pool.take(self.inner.store.as_ref(), sequence).await;
        self.inner.seen.changed(&number, self.now());
        id(number?).ok_or_else(|| BackendError::corrupt("alm-core", "take an id").into())
    }

    pub(super) async fn commit(&self, cx: &Context, changeset: Changeset) -> Result<Receipt, Error> {
        let id = changeset.id();
        self.check_size(&changeset)?;
        let result = self.commit_changeset(changeset).await;
        match &result {
            Ok(_) => tracing::debug!(changeset = %id, request_id = cx.request_id(), "committed"),
            Err(error) => {
                tracing::debug!(changeset = %id, request_id = cx.request_id(), error = error.code(), "not committed");
            }
        }
        Ok(result?)
    }

    /// What the bus would never take must not come to be: it would be here and nowhere else.
    fn check_size(&self, changeset: &Changeset) -> Result<(), Error> {
        let limit = self.inner.bus.as_ref().and_then(|bus| bus.max_event_bytes());
        let Some(limit) = limit.filter(|limit| *limit < CloudEvent::MAX_BYTES) else { return Ok(()) };
        let log = self.inner.store.log_id();
        for event in changeset.events() {
            let event =
                Event { log, position: Position::new(u64::MAX), changeset: changeset.id(), event: event.clone() };
            if CloudEvent::encode(&event).len() > limit {
                return Err(Error::EventTooLarge { limit });
            }
        }
        Ok(())
    }

    /// Every commit of this process comes by here, so that it is counted, and known when the store takes none.
    pub(crate) async fn commit_changeset(&self, changeset: Changeset) -> Result<Receipt, StoreError> {
        let (told, begun) = (Told::of(&changeset), self.now());
        let result = self.inner.store.commit(changeset).await;
        let now = self.now();
        self.inner.seen.changed(&result, now);
        self.inner.measured.committed(told, &result, now.micros() - begun.micros());
        result
    }

    /// Loads and decides again as long as someone else is faster.
    pub(super) async fn with_retries<T, F>(
        &self,
        subject: impl Fn() -> Subject + Send,
        attempt: impl Fn() -> F + Send,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        for _ in 0..MAX_ATTEMPTS {
            match attempt().await {
                Err(Error::Store(StoreError::Conflict(Contention::Revision(_)))) => {}
                done => return done,
            }
        }
        Err(Error::Contended(subject()))
    }

    pub(super) async fn record_denial(&self, cx: &Context, action: Action, subject: &Subject) -> Result<(), Error> {
        let stamp = self.stamp(cx);
        let change = Change::access_denied(&stamp.actor, action, subject.clone());
        self.commit(cx, Changeset::of(stamp, change, self.event_id())).await?;
        Ok(())
    }
}
