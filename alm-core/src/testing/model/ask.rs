//! Commands as calls of the services.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    domain::{
        Actor, AppId, AppName, AppUpdate, AuditEntry, DeploymentId, EnvironmentName, NewApp, NewDeployment, NewVersion,
        Revision, Role, VersionId, VersionUpdate,
    },
    policy::Principal,
    ports::{AppFilter, AuditFilter, DeploymentFilter, LabelFilter, VersionFilter},
    services::{Alm, Context, Error, Limit, Page, Precondition},
    testing::{ManualClock, inspect::settle_at},
};

use super::{
    command::{Agreed, Command, DeploymentsOf, Label, Number, Who},
    system::{Ids, id_of},
    told::actor,
};

fn context(who: Who) -> Context {
    match who {
        Who::Admin => by(who, Role::Admin),
        Who::User => by(who, Role::User),
        Who::Nobody => Context::anonymous(),
    }
}

fn by(who: Who, role: Role) -> Context {
    Context::new(Principal::new(Actor::parse(actor(who)).expect("the name of an actor"), role))
}

fn admin() -> Context {
    context(Who::Admin)
}

fn labels(team: Label) -> BTreeMap<String, String> {
    team.map(|team| ("team".to_owned(), team.to_owned())).into_iter().collect()
}

fn label_filter(team: Label) -> Vec<LabelFilter> {
    labels(team).into_iter().map(|(key, value)| LabelFilter { key, value }).collect()
}

fn precondition(agreed: &Agreed) -> Precondition {
    agreed.as_ref().map_or_else(Precondition::none, |agreed| {
        Precondition::one_of(agreed.iter().copied().map(Revision::new).collect::<Vec<_>>())
    })
}

fn json(value: impl Serialize) -> Value {
    serde_json::to_value(value).expect("what is answered can be written as JSON")
}

/// Reads a list to its end; every page but the last is full, and the last has something unless the list is empty.
async fn pages<T, K>(
    limit: usize,
    read: impl AsyncFn(Option<K>, Limit) -> Result<Page<T, K>, Error>,
) -> Result<Vec<T>, Error> {
    let (mut items, mut after) = (Vec::new(), None);
    loop {
        let page = read(after, Limit::new(limit).expect("a limit that is allowed")).await?;
        assert!(page.items.len() == limit || page.next.is_none() && page.items.len() < limit, "a page is not full");
        assert!(items.is_empty() || !page.items.is_empty(), "a page was promised and has nothing");
        items.extend(page.items);
        assert!(items.len() < 1000, "the list has no end");
        after = page.next;
        if after.is_none() {
            return Ok(items);
        }
    }
}

/// Asks ALM, where the resources have these ids.
pub(super) struct Asker<'a> {
    pub(super) alm: &'a Alm,
    pub(super) clock: &'a ManualClock,
    pub(super) ids: &'a Ids,
    /// How many events there are in the log when it has done what it is asked for.
    pub(super) events: u64,
}

impl Asker<'_> {
    pub(super) async fn ask(&self, command: &Command) -> Result<Value, Error> {
        match command.clone() {
            Command::CreateApp { .. }
            | Command::GetApp { .. }
            | Command::UpdateApp { .. }
            | Command::DeleteApp { .. }
            | Command::ListApps { .. }
            | Command::Environments { .. } => self.ask_of_apps(command.clone()).await,
            Command::CreateVersion { .. }
            | Command::GetVersion { .. }
            | Command::UpdateVersion { .. }
            | Command::DeleteVersion { .. }
            | Command::ListVersions { .. } => self.ask_of_versions(command.clone()).await,
            Command::CreateDeployment { .. }
            | Command::GetDeployment { .. }
            | Command::SetStatus { .. }
            | Command::DeleteDeployment { .. }
            | Command::ListDeployments { .. } => self.ask_of_deployments(command.clone()).await,
            Command::Audit { event_type, actor, limit } => {
                let event_type = event_type.map(str::to_owned);
                let actor = actor.map(|actor| Actor::parse(actor).expect("the name of an actor"));
                let filter = AuditFilter { event_type, actor, ..AuditFilter::default() };
                let read = async |after, limit| self.alm.audit().list(&admin(), &filter, after, limit).await;
                let entries = pages(limit, read).await?.into_iter();
                let told = |entry: AuditEntry| json!({"index": entry.index, "event_type": entry.event_type, "actor": entry.actor});
                Ok(entries.map(told).collect())
            }
            Command::CatchUp => {
                settle_at(self.alm, &[], self.events).await;
                Ok(Value::Null)
            }
            Command::Wait(micros) => {
                self.clock.move_by(micros);
                Ok(Value::Null)
            }
        }
    }

    async fn ask_of_apps(&self, command: Command) -> Result<Value, Error> {
        let apps = self.alm.apps();
        match command {
            Command::CreateApp { who, name, description, team } => {
                let new = NewApp::parse(name.to_owned(), description.to_owned(), labels(team))?;
                Ok(json(apps.create(&context(who), new).await?.value))
            }
            Command::GetApp { who, app } => Ok(json(apps.get(&context(who), self.app(app)).await?)),
            Command::UpdateApp { who, app, name, description, team, agreed } => {
                let update = AppUpdate::parse(name.to_owned(), description.to_owned(), labels(team))?;
                Ok(json(apps.update(&context(who), self.app(app), update, &precondition(&agreed)).await?))
            }
            Command::DeleteApp { who, app, agreed } => {
                Ok(json(apps.delete(&context(who), self.app(app), &precondition(&agreed)).await?))
            }
            Command::ListApps { name, team, limit } => {
                let name = name.map(|name| AppName::parse(name).expect("the name of an app"));
                let filter = AppFilter { name, labels: label_filter(team) };
                Ok(json(pages(limit, async |after, limit| apps.list(&admin(), &filter, after, limit).await).await?))
            }
            Command::Environments { app, limit } => {
                let read = async |after: Option<EnvironmentName>, limit| {
                    apps.environments(&admin(), self.app(app), after.as_ref(), limit).await
                };
                Ok(json(pages(limit, read).await?))
            }
            _ => unreachable!("not about apps"),
        }
    }

    async fn ask_of_versions(&self, command: Command) -> Result<Value, Error> {
        let versions = self.alm.versions();
        match command {
            Command::CreateVersion { who, app, tag, changelog, team } => {
                let new = NewVersion::parse(self.app(app), tag.to_owned(), changelog.to_owned(), labels(team))?;
                Ok(json(versions.create(&context(who), new).await?.value))
            }
            Command::GetVersion { who, version } => Ok(json(versions.get(&context(who), self.version(version)).await?)),
            Command::UpdateVersion { who, version, changelog, team, agreed } => {
                let update = VersionUpdate::parse(changelog.to_owned(), labels(team))?;
                let precondition = precondition(&agreed);
                Ok(json(versions.update(&context(who), self.version(version), update, &precondition).await?))
            }
            Command::DeleteVersion { who, version, agreed } => {
                Ok(json(versions.delete(&context(who), self.version(version), &precondition(&agreed)).await?))
            }
            Command::ListVersions { app, team, limit } => {
                let filter = VersionFilter { app_id: app.map(|app| self.app(app)), labels: label_filter(team) };
                Ok(json(pages(limit, async |after, limit| versions.list(&admin(), &filter, after, limit).await).await?))
            }
            _ => unreachable!("not about versions"),
        }
    }

    async fn ask_of_deployments(&self, command: Command) -> Result<Value, Error> {
        let deployments = self.alm.deployments();
        match command {
            Command::CreateDeployment { who, version, app, environment } => {
                let app = app.map(|app| self.app(app));
                let new = NewDeployment::parse(self.version(version), app, environment.to_owned())?;
                Ok(json(deployments.create(&context(who), new).await?.value))
            }
            Command::GetDeployment { who, deployment } => {
                Ok(json(deployments.get(&context(who), self.deployment(deployment)).await?))
            }
            Command::SetStatus { who, deployment, status, agreed } => {
                let (cx, id, precondition) = (context(who), self.deployment(deployment), precondition(&agreed));
                Ok(json(deployments.set_status(&cx, id, status, &precondition).await?))
            }
            Command::DeleteDeployment { who, deployment, agreed } => {
                let precondition = precondition(&agreed);
                Ok(json(deployments.delete(&context(who), self.deployment(deployment), &precondition).await?))
            }
            Command::ListDeployments { filter, limit } => {
                let DeploymentsOf { app, version, environment, status } = filter;
                let filter = DeploymentFilter {
                    app_id: app.map(|app| self.app(app)),
                    version_id: version.map(|version| self.version(version)),
                    environment: environment
                        .map(|environment| EnvironmentName::parse(environment).expect("the name of an environment")),
                    status,
                };
                let read = async |after, limit| deployments.list(&admin(), &filter, after, limit).await;
                Ok(json(pages(limit, read).await?))
            }
            _ => unreachable!("not about deployments"),
        }
    }

    fn app(&self, number: Number) -> AppId {
        AppId::new(id_of(&self.ids.apps, number)).expect("a positive id")
    }

    fn version(&self, number: Number) -> VersionId {
        VersionId::new(id_of(&self.ids.versions, number)).expect("a positive id")
    }

    fn deployment(&self, number: Number) -> DeploymentId {
        DeploymentId::new(id_of(&self.ids.deployments, number)).expect("a positive id")
    }
}
