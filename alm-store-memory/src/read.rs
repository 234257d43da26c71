//! Reads of one state.

use std::{
    ops::Bound::{Excluded, Included, Unbounded},
    sync::Arc,
};

use alm_core::{
    changeset::{ConsumerName, DeadLetter},
    domain::{
        App, AppId, AuditEntry, AuditIndex, Deployment, DeploymentId, EnvironmentName, Event, Known, LogId, ParentId,
        Position, RunningVersion, Timestamp, User, Username, Version, VersionId,
    },
    ports::{AppFilter, AuditFilter, DeploymentFilter, StoreError, VersionFilter},
};

use crate::state::{Ordered, State};

impl State {
    pub(crate) fn list_apps(&self, filter: &AppFilter, after: Option<AppId>, limit: usize) -> Vec<App> {
        if let Some(name) = &filter.name {
            let named = self.app_names.get(name).and_then(|id| self.apps.get(id));
            return take(named.into_iter().filter(|app| after.is_none_or(|after| app.id > after)), limit, |app| {
                filter.matches(app)
            });
        }
        take(values_after(&self.apps, after), limit, |app| filter.matches(app))
    }

    pub(crate) fn list_versions(&self, filter: &VersionFilter, after: Option<VersionId>, limit: usize) -> Vec<Version> {
        let Some(app) = filter.app_id else {
            return take(values_after(&self.versions, after), limit, |version| filter.matches(version));
        };
        let first = after.map_or_else(|| Included((app, FIRST_VERSION)), |after| Excluded((app, after)));
        let of_app = self.versions_by_app.range((first, Unbounded)).take_while(|(owner, _)| *owner == app);
        take(of_app.filter_map(|(_, id)| self.versions.get(id)), limit, |version| filter.matches(version))
    }

    pub(crate) fn list_deployments(
        &self,
        filter: &DeploymentFilter,
        after: Option<DeploymentId>,
        limit: usize,
    ) -> Vec<Deployment> {
        let passes = |deployment: &Deployment| filter.matches(deployment);
        if let Some(version) = filter.version_id {
            let first = after.map_or_else(|| Included((version, FIRST_DEPLOYMENT)), |after| Excluded((version, after)));
            let of_version =
                self.deployments_by_version.range((first, Unbounded)).take_while(|(owner, _)| *owner == version);
            return take(of_version.filter_map(|(_, id)| self.deployments.get(id)), limit, passes);
        }
        if let Some(app) = filter.app_id {
            let first = after.map_or_else(|| Included((app, FIRST_DEPLOYMENT)), |after| Excluded((app, after)));
            let of_app = self.deployments_by_app.range((first, Unbounded)).take_while(|(owner, _)| *owner == app);
            return take(of_app.filter_map(|(_, id)| self.deployments.get(id)), limit, passes);
        }
        take(values_after(&self.deployments, after), limit, passes)
    }

    pub(crate) fn list_running(
        &self,
        app: AppId,
        after: Option<&EnvironmentName>,
        limit: usize,
    ) -> Vec<RunningVersion> {
        let Some(environments) = self.successes.get(&app) else { return Vec::new() };
        let first = after.map_or(Unbounded, Excluded);
        environments
            .range::<EnvironmentName, _>((first, Unbounded))
            .filter_map(|(environment, successes)| {
                // The cascade deletes a version before its deployments; in between, it does not run any more.
                successes.iter().rev().find_map(|(since, id)| {
                    let deployment = self.deployments.get(id)?;
                    let version = self.versions.get(&deployment.version_id);
                    (version.is_some() || self.lives_elsewhere(deployment.version_id)).then(|| RunningVersion {
                        environment: environment.clone(),
                        version: version.map(|version| version.as_ref().clone()),
                        deployment: deployment.as_ref().clone(),
                        since: *since,
                    })
                })
            })
            .take(limit)
            .collect()
    }

    /// Whether another service holds the version, as far as was heard.
    fn lives_elsewhere(&self, version: VersionId) -> bool {
        matches!(self.parents.get(&ParentId::Version(version)), Some(Known::Live { .. }))
    }

    pub(crate) fn list_audit(&self, filter: &AuditFilter, after: Option<AuditIndex>, limit: usize) -> Vec<AuditEntry> {
        // The entry at index n stands at place n - 1, so what comes after n begins at place n.
        let first = after.map_or(0, AuditIndex::get);
        let entries = (first..self.audit.len() as u64).filter_map(|place| at(&self.audit, place));
        take(entries, limit, |entry| filter.matches(entry))
    }

    pub(crate) fn list_users(&self, after: Option<&(Timestamp, Username)>, limit: usize) -> Vec<User> {
        self.users_by_age
            .range((after.map_or(Unbounded, Excluded), Unbounded))
            .filter_map(|(_, username)| self.users.get(username))
            .map(|record| record.user.clone())
            .take(limit)
            .collect()
    }

    pub(crate) fn list_dead_letters(
        &self,
        consumer: &ConsumerName,
        after: Option<(LogId, Position)>,
        limit: usize,
    ) -> Vec<DeadLetter> {
        self.dead_letters
            .iter()
            .filter(|((owner, log, position), _)| {
                owner == consumer && after.is_none_or(|after| (*log, *position) > after)
            })
            .map(|(_, letter)| letter.as_ref().clone())
            .take(limit)
            .collect()
    }

    /// Where the log begins.
    pub(crate) fn oldest(&self) -> Position {
        self.log.first().map_or(self.head.next(), |(position, _)| *position)
    }

    pub(crate) fn events(&self, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        let oldest = self.oldest();
        if after < oldest.previous() {
            return Err(StoreError::Gone { oldest });
        }
        Ok(values_after(&self.log, Some(after)).take(limit).cloned().collect())
    }

    pub(crate) fn entry(&self, index: AuditIndex) -> Option<&Arc<AuditEntry>> {
        at(&self.audit, index.get().checked_sub(1)?)
    }
}

const FIRST_VERSION: VersionId = match VersionId::new(1) {
    Some(id) => id,
    None => unreachable!(),
};
const FIRST_DEPLOYMENT: DeploymentId = match DeploymentId::new(1) {
    Some(id) => id,
    None => unreachable!(),
};

fn at<T>(vector: &rpds::VectorSync<Arc<T>>, place: u64) -> Option<&Arc<T>> {
    vector.get(usize::try_from(place).ok()?)
}

fn values_after<K: Ord, V>(map: &Ordered<K, Arc<V>>, after: Option<K>) -> impl Iterator<Item = &Arc<V>> {
    map.range((after.map_or(Unbounded, Excluded), Unbounded)).map(|(_, value)| value)
}

fn take<'a, T: Clone + 'a>(
    candidates: impl Iterator<Item = &'a Arc<T>>,
    limit: usize,
    passes: impl Fn(&T) -> bool,
) -> Vec<T> {
    candidates.filter(|candidate| passes(candidate)).take(limit).map(|item| item.as_ref().clone()).collect()
}
