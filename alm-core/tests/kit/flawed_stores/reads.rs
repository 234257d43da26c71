//! Reads, and what goes wrong in them.

use std::sync::{Arc, PoisonError};

use alm_core::{
    changeset::{ConsumerName, DeadLetter, IdempotencyRecord, IdempotencyScope, Receipt},
    domain::{
        App, AppId, AuditEntry, AuditIndex, ChangesetId, Credential, CredentialId, Deployment, DeploymentId,
        DeploymentStatus, EnvironmentName, Event, Known, LogId, ParentId, Position, RunningVersion, Timestamp, User,
        UserRecord, Username, Version, VersionId,
    },
    ports::{
        AppFilter, AuditFilter, CredentialFilter, DeploymentFilter, EventLog, HeldCredential, Reader, StoreError,
        VersionFilter,
    },
};
use async_trait::async_trait;

use super::{commit::Flawed, defect::Defect, parts::as_an_app, races::others_go_first, toy::State};

/// More than any case makes.
const ALL: usize = 1_000_000;

impl Flawed {
    fn state(&self) -> Arc<State> {
        if self.defect == Defect::HandleSeesItsOwn {
            return self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        }
        self.disk.state()
    }

    /// A page of a list that is `all` when it is read from its beginning.
    fn page<T>(&self, all: Vec<T>, id: impl Fn(&T) -> u128, after: Option<u128>, limit: usize) -> Vec<T> {
        if self.defect == Defect::PagesByOffset {
            let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
            let offset = after.map_or(0, |after| offsets.get(&after).copied().unwrap_or_default());
            let page: Vec<_> = all.into_iter().skip(offset).take(limit).collect();
            offsets.extend(page.last().map(|last| (id(last), offset + page.len())));
            return page;
        }
        let begins = |item: &T| match after {
            Some(after) if self.defect == Defect::PagesOverlap => id(item) >= after,
            Some(after) => id(item) > after,
            None => true,
        };
        let mut page: Vec<_> = all.into_iter().filter(begins).take(limit).collect();
        if self.defect == Defect::LastPageLosesAnItem && after.is_some() && page.len() < limit {
            page.pop();
        }
        page
    }

    /// The log as it can be read.
    fn shown(&self) -> Vec<Arc<Event>> {
        let kept = self.disk.lock();
        let mut log = whole(&kept.state);
        let moved = |event: &Arc<Event>, by: usize| {
            let position = Position::new(event.position.get() + by as u64);
            Arc::new(Event { position, ..Event::clone(event) })
        };
        match self.defect {
            Defect::LeavesAGap => log.iter_mut().skip(2).for_each(|event| *event = moved(event, 1)),
            Defect::ShowsTheLaterCommitFirst => log.retain(|event| !kept.hidden.contains(&event.position.get())),
            Defect::HeadAheadOfTheLog => {
                let end = kept.hidden.first().copied().unwrap_or(u64::MAX);
                log.retain(|event| event.position.get() < end);
            }
            Defect::PositionsGivenAtTheBeginning => {
                if let Some((first, events)) = kept.reserved {
                    log.iter_mut().skip(first).for_each(|event| *event = moved(event, events));
                }
            }
            Defect::HandleSeesItsOwn => log = whole(&self.state()),
            _ => {}
        }
        log
    }
}

/// An id of a resource as the key of a page.
fn key(id: i64) -> u128 {
    id.unsigned_abs().into()
}

fn whole(state: &State) -> Vec<Arc<Event>> {
    state.events(state.oldest().previous(), ALL).expect("nothing of it is gone")
}

#[async_trait]
impl EventLog for Flawed {
    fn log_id(&self) -> LogId {
        self.log
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        let position = |event: &Arc<Event>| event.position.get().into();
        let seen = self.state().oldest();
        if self.defect == Defect::LooksWhereTheLogBeginsTooEarly {
            others_go_first().await;
        }
        let log = self.shown();
        // After the events: what is not trimmed now was not when they were read.
        let oldest = if self.defect == Defect::LooksWhereTheLogBeginsTooEarly { seen } else { self.state().oldest() };
        if after < oldest.previous() && self.defect != Defect::SkipsWhatIsGone {
            return Err(StoreError::Gone { oldest });
        }
        let after = Some(after.get().into()).filter(|after| *after > 0);
        Ok(self.page(log, position, after, limit))
    }

    async fn head(&self) -> Result<Position, StoreError> {
        if self.defect == Defect::HeadAheadOfTheLog {
            return Ok(self.state().head());
        }
        Ok(self.shown().last().map_or(self.state().oldest().previous(), |event| event.position))
    }

    async fn oldest(&self) -> Result<Position, StoreError> {
        Ok(self.state().oldest())
    }

    async fn changed(&self, after: Position) -> Result<(), StoreError> {
        let mut committed = self.disk.committed.subscribe();
        while self.head().await? <= after {
            if self.defect == Defect::WakesNoOne {
                std::future::pending::<()>().await;
            }
            // The sender lives as long as `self`, so the wait can't end in an error.
            let _ = committed.changed().await;
        }
        Ok(())
    }
}

#[async_trait]
impl Reader for Flawed {
    async fn app(&self, id: AppId) -> Result<Option<App>, StoreError> {
        Ok(self.state().apps.get(&id).cloned())
    }

    async fn apps(&self, filter: &AppFilter, after: Option<AppId>, limit: usize) -> Result<Vec<App>, StoreError> {
        let mut all = self.state().list_apps(filter, None, ALL);
        if self.defect == Defect::AnyLabelWillDo && !filter.labels.is_empty() {
            let named = AppFilter { name: filter.name.clone(), ..AppFilter::default() };
            all = self.state().list_apps(&named, None, ALL);
            let any = |app: &App| filter.labels.iter().any(|label| app.labels.get(&label.key) == Some(&label.value));
            all.retain(any);
        }
        Ok(self.page(all, |app| key(app.id.get()), after.map(|after| key(after.get())), limit))
    }

    async fn version(&self, id: VersionId) -> Result<Option<Version>, StoreError> {
        Ok(self.state().versions.get(&id).cloned())
    }

    async fn versions(
        &self,
        filter: &VersionFilter,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<Version>, StoreError> {
        let all = self.state().list_versions(filter, None, ALL);
        Ok(self.page(all, |version| key(version.id.get()), after.map(|after| key(after.get())), limit))
    }

    async fn deployment(&self, id: DeploymentId) -> Result<Option<Deployment>, StoreError> {
        Ok(self.state().deployments.get(&id).cloned())
    }

    async fn deployments(
        &self,
        filter: &DeploymentFilter,
        after: Option<DeploymentId>,
        limit: usize,
    ) -> Result<Vec<Deployment>, StoreError> {
        let mut filter = filter.clone();
        if self.defect == Defect::FiltersByOneMember && (filter.app_id.is_some() || filter.version_id.is_some()) {
            (filter.environment, filter.status) = (None, None);
        }
        let all = self.state().list_deployments(&filter, None, ALL);
        Ok(self.page(all, |deployment| key(deployment.id.get()), after.map(|after| key(after.get())), limit))
    }

    async fn running(
        &self,
        app: AppId,
        after: Option<&EnvironmentName>,
        limit: usize,
    ) -> Result<Vec<RunningVersion>, StoreError> {
        let mut state = self.state();
        match self.defect {
            Defect::RunsOnlyWhatIsHere => Arc::make_mut(&mut state).known_versions.clear(),
            // As if it was live.
            Defect::RunsWhatIsGoneElsewhere => {
                Arc::make_mut(&mut state).known_versions.values_mut().for_each(|known| *known = Some(app));
            }
            _ => {}
        }
        let mut running = state.list_running(app, after, limit);
        if self.defect == Defect::HighestIdRuns {
            for running in &mut running {
                let there = DeploymentFilter {
                    app_id: Some(app),
                    environment: Some(running.environment.clone()),
                    status: Some(DeploymentStatus::Successful),
                    ..DeploymentFilter::default()
                };
                running.deployment = state.list_deployments(&there, None, ALL).pop().expect("one is there");
            }
        }
        Ok(running)
    }

    async fn audit_entry(&self, index: AuditIndex) -> Result<Option<AuditEntry>, StoreError> {
        Ok(self.state().entry(index))
    }

    async fn audit_entries(
        &self,
        filter: &AuditFilter,
        after: Option<AuditIndex>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let all = self.state().list_audit(filter, None, ALL);
        Ok(self.page(all, |entry| entry.index.get().into(), after.map(|after| after.get().into()), limit))
    }

    async fn user(&self, username: &Username) -> Result<Option<UserRecord>, StoreError> {
        Ok(self.state().users.get(username).cloned())
    }

    async fn users(&self, after: Option<&(Timestamp, Username)>, limit: usize) -> Result<Vec<User>, StoreError> {
        Ok(self.state().list_users(after, limit))
    }

    async fn credential(&self, id: CredentialId) -> Result<Option<HeldCredential>, StoreError> {
        Ok(self.state().held_credential(id).map(|held| self.show(held)))
    }

    async fn credentials(
        &self,
        filter: &CredentialFilter,
        after: Option<CredentialId>,
        limit: usize,
    ) -> Result<Vec<Credential>, StoreError> {
        let mut all = self.state().list_credentials(filter, None, ALL);
        if self.defect == Defect::ListsSessionsOfAll && matches!(filter, CredentialFilter::SessionsOf(_)) {
            all = self.state().credentials.values().filter(|it| it.username().is_some()).cloned().collect();
        }
        let key = |id: CredentialId| id.get().as_u128();
        Ok(self.page(all, |credential| key(credential.id), after.map(key), limit))
    }

    async fn is_revoked(&self, id: CredentialId) -> Result<bool, StoreError> {
        Ok(self.state().revoked.contains_key(&id))
    }

    async fn remembered(&self, scope: &IdempotencyScope) -> Result<Option<IdempotencyRecord>, StoreError> {
        Ok(self.state().remembered(scope))
    }

    async fn checkpoint(&self, consumer: &ConsumerName, log: LogId) -> Result<Option<Position>, StoreError> {
        Ok(self.state().checkpoint(consumer, log))
    }

    async fn dead_letters(
        &self,
        consumer: &ConsumerName,
        after: Option<(LogId, Position)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        Ok(self.state().list_dead_letters(consumer, after, limit))
    }

    async fn known(&self, parent: ParentId) -> Result<Option<Known>, StoreError> {
        let state = self.state();
        Ok(match (self.defect, parent) {
            (Defect::TakesItsOwnForKnown, ParentId::App(id)) if state.apps.contains_key(&id) => {
                Some(Known::Live { app_id: id })
            }
            (Defect::MixesParents, parent) => state.known(as_an_app(parent)),
            (_, parent) => state.known(parent),
        })
    }

    async fn receipt(&self, changeset: ChangesetId) -> Result<Option<Receipt>, StoreError> {
        Ok(self.state().receipts.get(&changeset).copied())
    }
}
