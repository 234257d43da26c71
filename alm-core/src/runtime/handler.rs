//! What a consumer is for: from events to effects.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    changeset::{Change, Changeset, ConsumerName, Guard, Stamp},
    domain::{
        AppId, CredentialId, DeploymentId, Event, EventData, EventType, NewAuditEntry, ParentId, SourceService,
        Timestamp,
    },
    policy::Principal,
    ports::{BackendError, Reader, StoreError},
    services::{Alm, Context},
};

/// What follows from events. A [`Consumer`](super::Consumer) calls it and commits what it says.
///
/// # Contract
/// The same events may be handed over again, after a crash or when a commit met a conflict: decide from the events and the
/// state alone, and have no effect but those that you return.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Under which name the checkpoint is kept. It must never change.
    fn name(&self) -> ConsumerName;

    /// What follows from the first of `events`, or from several of them from the front on. `events` is not empty.
    ///
    /// # Errors
    /// [`HandleError::Store`] and [`HandleError::Backend`] for faults that pass, [`HandleError::Unprocessable`] for an event that can't be handled.
    async fn handle(&self, events: &[Arc<Event>], cx: &HandlerContext<'_>) -> Result<Handled, HandleError>;
}

/// What a handler says of the events it was given.
#[derive(Debug, Default)]
#[must_use]
pub struct Handled {
    /// How many events, from the front on, are done once the effects are committed. When it is 0 the handler is called again
    /// with the same events after the effects are committed: so a large effect can be made in steps.
    pub count: usize,
    /// What follows from them.
    pub effects: Effects,
}

impl Handled {
    /// Nothing follows from the first `count` events.
    pub fn nothing(count: usize) -> Self {
        Self { count, effects: Effects::default() }
    }
}

/// Why a handler could not handle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandleError {
    /// The store failed. The consumer tries again until it does not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something else behind a port failed. The consumer tries again until it does not.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The event at place `at` of those given can't be handled; nothing follows from those before it. It goes to the dead
    /// letters, and the consumer moves on.
    #[error("the event cannot be handled: {reason}")]
    Unprocessable {
        /// Which event.
        at: usize,
        /// Why.
        reason: String,
    },
}

/// Changes, guards and audit entries that a consumer commits with its checkpoint.
#[derive(Debug, Default)]
pub struct Effects {
    cause: Option<Arc<Event>>,
    changes: Vec<Change>,
    guards: Vec<Guard>,
    entries: Vec<NewAuditEntry>,
    known: Vec<(ParentId, AppId)>,
    gone: Vec<ParentId>,
    revoked: Vec<(CredentialId, Timestamp)>,
}

impl Effects {
    /// Effects that follow from `cause`: their events carry its actor and its trace.
    pub fn of(cause: Arc<Event>) -> Self {
        Self { cause: Some(cause), ..Self::default() }
    }

    /// Adds a change, with its event.
    pub fn change(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Adds what must still hold at the commit; if it does not, the handler is called again.
    pub fn guard(&mut self, guard: Guard) {
        self.guards.push(guard);
    }

    /// Adds an entry of the audit log.
    pub fn record(&mut self, entry: NewAuditEntry) {
        self.entries.push(entry);
    }

    /// Adds that a parent that lives elsewhere is live; `app_id` is the app that it is, or is of.
    pub fn know(&mut self, parent: ParentId, app_id: AppId) {
        self.known.push((parent, app_id));
    }

    /// Adds that a parent that lives elsewhere is gone for ever.
    pub fn part(&mut self, parent: ParentId) {
        self.gone.push(parent);
    }

    /// Adds that a session or API key that another service holds is gone; the last token that was issued for it expires at `until`.
    pub fn revoke(&mut self, id: CredentialId, until: Timestamp) {
        self.revoked.push((id, until));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
            && self.entries.is_empty()
            && self.known.is_empty()
            && self.gone.is_empty()
            && self.revoked.is_empty()
    }

    /// They, added to what `base` makes of their stamp.
    pub(super) fn into_changeset(self, alm: &Alm, base: impl FnOnce(Stamp) -> Changeset) -> Changeset {
        let mut stamp = alm.stamp(&Context::new(Principal::system()));
        if let Some(cause) = self.cause {
            stamp = Stamp { actor: cause.actor.clone(), trace: cause.trace.clone(), ..stamp };
        }
        let mut changeset = base(stamp);
        for guard in self.guards {
            changeset = changeset.guarded(guard);
        }
        for change in self.changes {
            changeset = changeset.and(change, alm.event_id());
        }
        for entry in self.entries {
            changeset = changeset.recording(entry);
        }
        for (parent, app_id) in self.known {
            changeset = changeset.knowing(parent, app_id);
        }
        for parent in self.gone {
            changeset = changeset.parting(parent);
        }
        for (id, until) in self.revoked {
            changeset = changeset.revoking(id, until);
        }
        changeset
    }
}

/// What a handler may use.
#[derive(Debug)]
pub struct HandlerContext<'a>(pub(super) &'a Alm);

impl HandlerContext<'_> {
    /// The state.
    pub fn reader(&self) -> &dyn Reader {
        self.0.inner.store.as_ref()
    }

    /// The time now, later than any event of this process.
    pub fn now(&self) -> Timestamp {
        self.0.later()
    }

    /// When the last of the tokens that are out by now expires.
    pub(super) fn tokens_until(&self) -> Timestamp {
        self.0.tokens_until()
    }

    /// Whether `event` is of another service, which has a store of its own.
    pub fn is_elsewhere(&self, event: &Event) -> bool {
        event.log != self.0.inner.store.log_id()
    }

    /// Whether this process runs `service`.
    pub fn has(&self, service: SourceService) -> bool {
        self.0.inner.services.has(service)
    }

    /// An id for a new deployment.
    ///
    /// # Errors
    /// The store failed.
    pub async fn new_deployment_id(&self) -> Result<DeploymentId, StoreError> {
        self.0.new_deployment_id().await
    }
}

/// Why `event` is broken: it can't be read although its type is one that this version knows, or no one knows what it is.
pub(super) fn broken(event: &Event) -> Option<&str> {
    match &event.data {
        EventData::Unread(unread)
            if unread.event_type == UNREADABLE || EventType::parse(&unread.event_type).is_some() =>
        {
            Some(&unread.reason)
        }
        _ => None,
    }
}

/// What stands for the type of a message that does not say what it is.
pub(super) const UNREADABLE: &str = "Unreadable";
