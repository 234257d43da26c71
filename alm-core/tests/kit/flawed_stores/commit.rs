//! Commits, and what goes wrong in them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use alm_core::{
    changeset::{Changeset, Guard, Receipt, Write},
    domain::{AuditIndex, Event, Known, LogId, ParentId, Position, Timestamp},
    ports::{BackendError, Bucket, Committer, Contention, IdBlock, Outcome, Rate, Sequence, StoreError, Trimmed},
};
use async_trait::async_trait;

use super::{
    accounts::forget_until_when,
    defect::Defect,
    disk::{Disk, Kept},
    parts::Parts,
    roles::Taken,
    toy::{Logged, State},
};

/// A store in memory that does one thing wrong.
pub(super) struct Flawed {
    pub(super) defect: Defect,
    pub(super) disk: Arc<Disk>,
    pub(super) log: LogId,
    /// What this handle saw at its last commit.
    pub(super) seen: Mutex<Arc<State>>,
    /// How many items the pages before had, by the last key of the page.
    pub(super) offsets: Mutex<BTreeMap<u128, usize>>,
    /// Roles that this handle has lent.
    pub(super) taken: Arc<Taken>,
}

impl Flawed {
    pub(super) fn open(defect: Defect, disk: &Arc<Disk>) -> Arc<Self> {
        let state = disk.state();
        let (log, seen) = (state.log_id, Mutex::new(state));
        Arc::new(Self { defect, disk: disk.clone(), log, seen, offsets: Mutex::default(), taken: Arc::default() })
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    /// One transaction.
    pub(super) fn transact(&self, kept: &mut Kept, mut parts: Parts) -> Result<Receipt, StoreError> {
        let mut next = State::clone(&kept.state);
        if let Some(first) = next.receipts.get(&parts.stamp.changeset) {
            match self.defect {
                Defect::SecondReceiptDiffers => {
                    let at = first.at.plus_seconds(1);
                    return Ok(Receipt { at, ..*first });
                }
                Defect::ChecksReceiptsTooEarly => drop(next.receipts.remove(&parts.stamp.changeset)),
                _ => return Ok(*first),
            }
        }
        let failing = parts.clone();
        let spoiled = parts.spoil(self.defect, &next).and_then(|()| parts.spoil_accounts(self.defect, &next));
        let answer = spoiled.and_then(|()| self.apply(&mut next, parts));
        match &answer {
            Ok(receipt) => {
                if self.is(Defect::ForgetsReceipts) {
                    next.receipts.remove(&receipt.changeset);
                }
                self.distort(&mut next, &failing);
                self.distort_accounts(&mut next, &failing.writes);
                kept.replace(next);
            }
            Err(_) => self.leave_a_trace(kept, next, failing),
        }
        answer
    }

    fn apply(&self, next: &mut State, mut parts: Parts) -> Result<Receipt, StoreError> {
        let guards = parts.guards.clone();
        match self.defect {
            Defect::ChecksGuardsTooLate => parts.guards.clear(),
            Defect::TakesTheGoneForKnown => parts.guards.retain(|guard| !is_known_as_gone(guard, next)),
            Defect::LearnsWhatIsGone => forget_what_went(&parts.writes, next),
            Defect::SettlesForAllConsumers => settle_for_all(&parts.writes, next),
            Defect::InsertReplaces => make_way(&parts.writes, next),
            Defect::RevocationsReplace => forget_until_when(&parts.writes, next),
            Defect::ReplacesLiveAnswers => next.remembered.clear(),
            // Whoever has taken the name since it was compared loses the app, and no one is told.
            Defect::ChecksNamesTooEarly => {
                for app in parts.apps() {
                    next.apps.retain(|_, other| other.name != app.name || other.id == app.id);
                }
            }
            _ => {}
        }
        let receipt = next.apply(&parts.stamp, parts.writes, parts.guards, parts.events, parts.checkpoint)?;
        if self.is(Defect::ChecksGuardsTooLate) {
            check(&guards, next)?;
        }
        Ok(receipt)
    }

    /// What becomes of the state after a commit.
    fn distort(&self, next: &mut State, parts: &Parts) {
        match self.defect {
            Defect::SwapsEventsOfOneSubject => {
                let last = next.log.len().saturating_sub(2);
                let same = next.log[last..].windows(2).any(|pair| pair[0].0.subject == pair[1].0.subject);
                if same && next.log.len().is_multiple_of(5) {
                    next.log[last..].reverse();
                    renumber(next);
                }
            }
            Defect::SortsTheLogByTime => {
                next.log.sort_by_key(|logged| logged.0.time);
                renumber(next);
            }
            Defect::AuditIndexHasAGap => {
                for (entry, index) in next.audit.iter_mut().skip(2).zip(4..) {
                    entry.index = AuditIndex::new(index);
                }
            }
            Defect::RewritesTheAuditLog => {
                for write in &parts.writes {
                    let Write::UpdateApp { app, .. } = write else { continue };
                    let about = format!("apps/{}", app.id);
                    for entry in next.audit.iter_mut().filter(|entry| entry.subject == about) {
                        entry.entry.payload = app.name.as_str().into();
                    }
                }
            }
            _ => {}
        }
    }

    /// What becomes of the state after a commit that has failed, when `next` is as far as it came.
    fn leave_a_trace(&self, kept: &mut Kept, next: State, failed: Parts) {
        let mut trace = failed.nothing();
        match self.defect {
            Defect::KeepsWritesBeforeAFailure => return kept.replace(next),
            Defect::KeepsEventsOfAFailure => trace.events = failed.events,
            Defect::KeepsCheckpointOfAFailure => trace.checkpoint = failed.checkpoint,
            _ => return,
        }
        let mut next = State::clone(&kept.state);
        if next.apply(&trace.stamp, trace.writes, trace.guards, trace.events, trace.checkpoint).is_ok() {
            next.receipts.remove(&trace.stamp.changeset);
            kept.replace(next);
        }
    }

    /// Gives positions to a commit that is not there yet.
    pub(super) fn reserve(&self, events: usize) {
        let mut kept = self.disk.lock();
        kept.reserved = Some((kept.state.log.len(), events));
    }

    /// Puts the events of the last commit to the places that were reserved for them.
    pub(super) fn fill_reserved(&self) {
        let mut kept = self.disk.lock();
        if let Some((first, events)) = kept.reserved.take() {
            let mut next = State::clone(&kept.state);
            next.log[first..].rotate_right(events);
            renumber(&mut next);
            kept.replace(next);
        }
    }

    fn misreport(&self, error: StoreError) -> StoreError {
        match (self.defect, error) {
            (Defect::RefusalsLookLikeFaults, error) => {
                let fault = BackendError::internal("flawed", "commit").with_source(error);
                BackendError { outcome: Outcome::Unknown, ..fault }.into()
            }
            (Defect::ConflictsLookLikeNotFound, StoreError::Conflict(Contention::Revision(subject))) => {
                StoreError::NotFound(subject)
            }
            (_, error) => error,
        }
    }
}

#[async_trait]
impl Committer for Flawed {
    async fn commit(&self, changeset: Changeset) -> Result<Receipt, StoreError> {
        let answer = self.commit_among_others(Parts::of(changeset)).await;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = self.disk.state();
        self.disk.committed.send_replace(());
        answer.map_err(|error| self.misreport(error))
    }

    async fn allocate(&self, sequence: Sequence, count: u32) -> Result<IdBlock, StoreError> {
        if self.is(Defect::ReadsTheNextIdTooEarly) {
            return Ok(self.allocate_among_others(sequence, count).await);
        }
        if self.is(Defect::HandlesCountIds) {
            let mut own = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            return Ok(Arc::make_mut(&mut own).allocate(sequence, count));
        }
        let mut kept = self.disk.lock();
        let mut next = State::clone(&kept.state);
        let block = next.allocate(sequence, count);
        kept.state = Arc::new(next);
        Ok(block)
    }

    async fn admit(&self, bucket: &Bucket, rate: Rate, now: Timestamp) -> Result<Result<(), Timestamp>, StoreError> {
        Ok(self.admit_among_others(bucket, rate, now).await)
    }

    async fn trim(&self, up_to: Position, before: Timestamp, limit: usize) -> Result<Trimmed, StoreError> {
        Ok(self.trim_among_others(up_to, before, limit).await)
    }

    async fn forget_answers(&self, now: Timestamp, limit: usize) -> Result<u64, StoreError> {
        Ok(self.forget(now, limit))
    }
}

pub(super) fn check(guards: &[Guard], state: &State) -> Result<(), StoreError> {
    let holds = |guard: &Guard| match guard {
        Guard::AppExists(id) => state.apps.contains_key(id),
        Guard::VersionExists(id) => state.versions.contains_key(id),
        Guard::ParentKnown(parent) => matches!(state.known(*parent), Some(Known::Live { .. })),
        _ => false,
    };
    guards.iter().find(|guard| !holds(guard)).map_or(Ok(()), |guard| Err(StoreError::GuardFailed(*guard)))
}

fn is_known_as_gone(guard: &Guard, state: &State) -> bool {
    matches!(guard, Guard::ParentKnown(parent) if state.known(*parent) == Some(Known::Gone))
}

/// Forgets that what is learned is gone.
fn forget_what_went(writes: &[Write], state: &mut State) {
    for write in writes {
        match write {
            Write::ParentLearned { parent: ParentId::App(id), .. } => drop(state.known_apps.remove(id)),
            Write::ParentLearned { parent: ParentId::Version(id), .. } => drop(state.known_versions.remove(id)),
            _ => {}
        }
    }
}

/// Takes away the letters of other consumers about what is settled.
fn settle_for_all(writes: &[Write], state: &mut State) {
    for write in writes {
        if let Write::SettleLetter { consumer, log, position } = write {
            state.dead_letters.retain(|it| it.consumer == *consumer || (it.log, it.position) != (*log, *position));
        }
    }
}

/// Takes away what is about to be inserted.
fn make_way(writes: &[Write], state: &mut State) {
    for write in writes {
        match write {
            Write::InsertApp(app) => drop(state.apps.remove(&app.id)),
            Write::InsertVersion(version) => drop(state.versions.remove(&version.id)),
            Write::InsertDeployment(deployment) => drop(state.deployments.remove(&deployment.id)),
            Write::InsertUser(record) => drop(state.users.remove(&record.user.username)),
            Write::InsertCredential(credential) => drop(state.credentials.remove(&credential.id)),
            _ => {}
        }
    }
}

/// Gives the events the positions at which they stand.
pub(super) fn renumber(state: &mut State) {
    for (logged, position) in state.log.iter_mut().zip(state.trimmed + 1..) {
        *logged = Logged(Arc::new(Event { position: Position::new(position), ..Event::clone(&logged.0) }));
    }
}
