//! What is read from the state: lists in ascending order of their key, what comes after one key, at most so many.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use alm_core::{
    changeset::{ConsumerName, DeadLetter, IdempotencyRecord, IdempotencyScope},
    domain::{
        App, AppId, AuditEntry, AuditIndex, Deployment, DeploymentId, DeploymentStatus, EnvironmentName, Event, Known,
        LogId, ParentId, Position, RunningVersion, Timestamp, User, Username, Version, VersionId,
    },
    ports::{AppFilter, AuditFilter, DeploymentFilter, StoreError, VersionFilter},
};

use super::state::State;

impl State {
    pub(crate) fn list_apps(&self, filter: &AppFilter, after: Option<AppId>, limit: usize) -> Vec<App> {
        let apps = self.apps.values().filter(|app| after.is_none_or(|after| app.id > after));
        apps.filter(|app| filter.matches(app)).take(limit).cloned().collect()
    }

    pub(crate) fn list_versions(&self, filter: &VersionFilter, after: Option<VersionId>, limit: usize) -> Vec<Version> {
        let versions = self.versions.values().filter(|version| after.is_none_or(|after| version.id > after));
        versions.filter(|version| filter.matches(version)).take(limit).cloned().collect()
    }

    pub(crate) fn list_deployments(
        &self,
        filter: &DeploymentFilter,
        after: Option<DeploymentId>,
        limit: usize,
    ) -> Vec<Deployment> {
        let deployments =
            self.deployments.values().filter(|deployment| after.is_none_or(|after| deployment.id > after));
        deployments.filter(|deployment| filter.matches(deployment)).take(limit).cloned().collect()
    }

    /// Of the successful deployments to an environment the one that finished last, of several at once the newest.
    pub(crate) fn list_running(
        &self,
        app: AppId,
        after: Option<&EnvironmentName>,
        limit: usize,
    ) -> Vec<RunningVersion> {
        let mut running: BTreeMap<&EnvironmentName, RunningVersion> = BTreeMap::new();
        for deployment in self.deployments.values() {
            // A version is deleted before its deployments are; in between it does not run any more, wherever it lives.
            let version = self.versions.get(&deployment.version_id);
            let elsewhere = self.known(ParentId::Version(deployment.version_id));
            let is_there = version.is_some() || matches!(elsewhere, Some(Known::Live { .. }));
            if deployment.app_id != app || deployment.status != DeploymentStatus::Successful || !is_there {
                continue;
            }
            let candidate = RunningVersion {
                environment: deployment.environment.clone(),
                version: version.cloned(),
                deployment: deployment.clone(),
                since: deployment.finished_at.unwrap_or(deployment.updated_at),
            };
            match running.entry(&deployment.environment) {
                // Deployments come by id, so of two at the same time the second is the newer.
                Entry::Occupied(mut best) if candidate.since >= best.get().since => drop(best.insert(candidate)),
                Entry::Occupied(_) => {}
                Entry::Vacant(place) => drop(place.insert(candidate)),
            }
        }
        let running = running.into_values().filter(|running| after.is_none_or(|after| running.environment > *after));
        running.take(limit).collect()
    }

    pub(crate) fn list_audit(&self, filter: &AuditFilter, after: Option<AuditIndex>, limit: usize) -> Vec<AuditEntry> {
        let entries = self.audit.iter().filter(|entry| after.is_none_or(|after| entry.index > after));
        entries.filter(|entry| filter.matches(entry)).take(limit).cloned().collect()
    }

    /// Accounts by time of creation, then by name.
    pub(crate) fn list_users(&self, after: Option<&(Timestamp, Username)>, limit: usize) -> Vec<User> {
        let key = |user: &User| (user.created_at, user.username.clone());
        let mut users: Vec<_> = self.users.values().map(|record| record.user.clone()).collect();
        users.retain(|user| after.is_none_or(|after| key(user) > *after));
        users.sort_by_key(key);
        users.truncate(limit);
        users
    }

    pub(crate) fn remembered(&self, scope: &IdempotencyScope) -> Option<IdempotencyRecord> {
        self.remembered.iter().find(|record| record.scope == *scope).cloned()
    }

    pub(crate) fn checkpoint(&self, consumer: &ConsumerName, log: LogId) -> Option<Position> {
        let stand = self.checkpoints.iter().find(|stand| stand.consumer == *consumer && stand.log == log);
        stand.map(|stand| stand.position)
    }

    /// What a consumer gave up on, by log and position.
    pub(crate) fn list_dead_letters(
        &self,
        consumer: &ConsumerName,
        after: Option<(LogId, Position)>,
        limit: usize,
    ) -> Vec<DeadLetter> {
        let key = |letter: &DeadLetter| (letter.log, letter.position);
        let mut letters = self.dead_letters.clone();
        letters.retain(|letter| letter.consumer == *consumer && after.is_none_or(|after| key(letter) > after));
        letters.sort_by_key(key);
        letters.truncate(limit);
        letters
    }

    /// What is known of a parent that lives elsewhere.
    pub(crate) fn known(&self, parent: ParentId) -> Option<Known> {
        let app_id = match parent {
            ParentId::App(id) => self.known_apps.get(&id),
            ParentId::Version(id) => self.known_versions.get(&id),
        };
        app_id.map(|app_id| app_id.map_or(Known::Gone, |app_id| Known::Live { app_id }))
    }

    /// Whoever asks for what was trimmed must be told, or takes it that nothing was there.
    pub(crate) fn events(&self, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        if after < self.oldest().previous() {
            return Err(StoreError::Gone { oldest: self.oldest() });
        }
        let events = self.log.iter().map(|logged| &logged.0);
        Ok(events.filter(|event| event.position > after).take(limit).cloned().collect())
    }

    pub(crate) fn oldest(&self) -> Position {
        Position::new(self.trimmed).next()
    }

    pub(crate) fn head(&self) -> Position {
        Position::new(self.trimmed + self.log.len() as u64)
    }

    pub(crate) fn entry(&self, index: AuditIndex) -> Option<AuditEntry> {
        self.audit.iter().find(|entry| entry.index == index).cloned()
    }
}
