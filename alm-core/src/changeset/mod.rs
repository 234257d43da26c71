//! The one way to change anything: a [`Changeset`] holds new state, the events that tell of it and how far a consumer has
//! read, and a store commits all of it or nothing.
//!
//! A changeset is made from [`Change`]s, and a change brings its event with it: state can't be written without the event
//! that tells of it. What is no change of the domain (an audit entry, a checkpoint, a remembered answer) has no event.

mod change;
mod checkpoint;
mod dead_letter;
mod idempotency;
mod write;

use serde::{Deserialize, Serialize};

use crate::domain::{
    Actor, AppId, ChangesetId, CredentialId, EventId, LogId, NewAuditEntry, NewEvent, ParentId, PasswordHash, Position,
    Timestamp, TraceParent, Username,
};

pub use change::Change;
pub use checkpoint::{Checkpoint, ConsumerName};
pub use dead_letter::DeadLetter;
pub use idempotency::{Fingerprint, IdempotencyKey, IdempotencyRecord, IdempotencyScope};
pub use write::{Guard, Write};

/// What is the same for everything in one changeset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Names the changeset.
    pub changeset: ChangesetId,
    /// When it was decided.
    pub at: Timestamp,
    /// Who asked for it.
    pub actor: Actor,
    /// The trace that it belongs to.
    pub trace: Option<TraceParent>,
}

impl Stamp {
    /// What the first commit of the changeset is answered with.
    pub const fn receipt(&self) -> Receipt {
        Receipt { changeset: self.changeset, at: self.at }
    }
}

/// What a store commits in one transaction: writes, the events that tell of them, the guards under which they may be made,
/// and how far the consumer that made them has read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a changeset has no effect until a store commits it"]
pub struct Changeset {
    stamp: Stamp,
    writes: Vec<Write>,
    guards: Vec<Guard>,
    events: Vec<NewEvent>,
    checkpoint: Option<Checkpoint>,
}

impl Changeset {
    /// A changeset of one change; `event` names its event.
    pub fn of(stamp: Stamp, change: Change, event: EventId) -> Self {
        Self::empty(stamp).and(change, event)
    }

    /// What a consumer has done: it has read as far as `checkpoint` says. Its effects are added with [`and`](Self::and) and
    /// [`recording`](Self::recording).
    pub fn progress(stamp: Stamp, checkpoint: Checkpoint) -> Self {
        Self { checkpoint: Some(checkpoint), ..Self::empty(stamp) }
    }

    /// A parent that lives elsewhere is live, as was heard other than by its events: by asking the service that holds it, say.
    /// `app_id` is the app that it is, or is of.
    pub fn learning(stamp: Stamp, parent: ParentId, app_id: AppId) -> Self {
        Self::empty(stamp).knowing(parent, app_id)
    }

    /// What a consumer has done with an event that it had [given up on](Self::burying): the letter goes, and no checkpoint moves.
    /// The effects are added as to [`progress`](Self::progress). Of several that settle one letter one is committed.
    pub fn settling(stamp: Stamp, consumer: ConsumerName, log: LogId, position: Position) -> Self {
        let writes = vec![Write::SettleLetter { consumer, log, position }];
        Self { writes, ..Self::empty(stamp) }
    }

    pub(crate) fn empty(stamp: Stamp) -> Self {
        Self { stamp, writes: Vec::new(), guards: Vec::new(), events: Vec::new(), checkpoint: None }
    }

    /// Adds another change; `event` names its event.
    pub fn and(mut self, change: Change, event: EventId) -> Self {
        let (write, event) = change.into_parts(event, &self.stamp);
        self.writes.extend(write);
        self.events.push(event);
        self
    }

    /// Adds what must still hold when it is committed.
    pub fn guarded(mut self, guard: Guard) -> Self {
        self.guards.push(guard);
        self
    }

    /// Adds an answer to remember for an idempotency key.
    pub fn remembering(mut self, record: impl Into<Option<IdempotencyRecord>>) -> Self {
        self.writes.extend(record.into().map(Write::RememberOutcome));
        self
    }

    /// Adds an entry of the audit log.
    pub fn recording(mut self, entry: NewAuditEntry) -> Self {
        self.writes.push(Write::RecordAudit(entry));
        self
    }

    /// Adds an event that a consumer could not handle.
    pub fn burying(mut self, letter: DeadLetter) -> Self {
        self.writes.push(Write::BuryEvent(letter));
        self
    }

    /// Adds that a password, which stays what it is, is hashed anew.
    pub fn rehashing(mut self, username: &Username, old: PasswordHash, new: PasswordHash) -> Self {
        self.writes.push(Write::RehashPassword { username: username.clone(), old, new });
        self
    }

    /// Adds that a session or API key that another service holds is gone; the last token that was issued for it expires at `until`.
    pub fn revoking(mut self, id: CredentialId, until: Timestamp) -> Self {
        self.writes.push(Write::CredentialGone { id, until });
        self
    }

    /// Adds that a parent that lives elsewhere is live; `app_id` is the app that it is, or is of. It stays gone once it is
    /// [gone](Self::parting).
    pub fn knowing(mut self, parent: ParentId, app_id: AppId) -> Self {
        self.writes.push(Write::ParentLearned { parent, app_id });
        self
    }

    /// Adds that a parent that lives elsewhere is gone for ever.
    pub fn parting(mut self, parent: ParentId) -> Self {
        self.writes.push(Write::ParentGone { parent });
        self
    }

    /// Names the changeset: the same id twice is committed once.
    pub fn id(&self) -> ChangesetId {
        self.stamp.changeset
    }

    /// When it was decided.
    pub fn at(&self) -> Timestamp {
        self.stamp.at
    }

    /// Who asked for it.
    pub fn actor(&self) -> &Actor {
        &self.stamp.actor
    }

    /// What the first commit of this is answered with.
    pub const fn receipt(&self) -> Receipt {
        self.stamp.receipt()
    }

    /// The writes, to be made in this order.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// What must hold before the first write.
    pub fn guards(&self) -> &[Guard] {
        &self.guards
    }

    /// The events, to stand in the log in this order.
    pub fn events(&self) -> &[NewEvent] {
        &self.events
    }

    /// How far the consumer that made this has read.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    /// Everything, for a store that keeps what it is given.
    pub fn into_parts(self) -> (Stamp, Vec<Write>, Vec<Guard>, Vec<NewEvent>, Option<Checkpoint>) {
        (self.stamp, self.writes, self.guards, self.events, self.checkpoint)
    }
}

/// What a store answers to a commit: the same for the same changeset, however often it is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The changeset.
    pub changeset: ChangesetId,
    /// When it was decided: [`Changeset::at`] of the first commit.
    pub at: Timestamp,
}
