//! The real thing, asked for the same and made comparable.

use std::{collections::BTreeMap, sync::Arc};

use alm_core::{
    Alm, Context, Error,
    domain::{
        Actor, AppId, AppName, AppUpdate, AuditEntry, ChangesetId, DeploymentId, EnvironmentName, NewApp,
        NewDeployment, NewVersion, Position, Revision, Timestamp, VersionId, VersionUpdate,
    },
    ports::{AppFilter, AuditFilter, Clock, DeploymentFilter, LabelFilter, VersionFilter},
    services::{Limit, Page, Precondition},
};
use alm_store_memory::MemoryStore;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::given::{ManualClock, admin, assert_each_event_is_audited_once, log_of, settle, user};

use super::{
    command::{Agreed, Command, DeploymentsOf, Label, Number, Who},
    told::{Answer, Told},
};

/// When every story begins, in microseconds since the epoch.
const START: i64 = 1_795_348_800_000_000;

/// An id that no store gives while a test runs.
const NEVER: i64 = i64::MAX;

pub(super) struct System {
    runtime: Runtime,
    alm: Alm,
    clock: Arc<ManualClock>,
    // The id of the resource that the model knows by its place here.
    apps: Vec<i64>,
    versions: Vec<i64>,
    deployments: Vec<i64>,
    // The furthest that the clock ever was.
    furthest: Timestamp,
    // The changeset and the time of each event.
    times: Vec<(ChangesetId, Timestamp)>,
}

fn context(who: Who) -> Context {
    match who {
        Who::Admin => admin(),
        Who::User => user(),
        Who::Nobody => Context::anonymous(),
    }
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
    serde_json::to_value(value).unwrap()
}

/// Reads a list to its end; every page but the last is full, and the last has something unless the list is empty.
async fn pages<T, K>(
    limit: usize,
    read: impl AsyncFn(Option<K>, Limit) -> Result<Page<T, K>, Error>,
) -> Result<Vec<T>, Error> {
    let (mut items, mut after) = (Vec::new(), None);
    loop {
        let page = read(after, Limit::new(limit).unwrap()).await?;
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

/// Takes down the id of a new resource, which is higher than those before.
fn note(ids: &mut Vec<i64>, id: i64) {
    assert!(id > 0 && ids.last().is_none_or(|last| *last < id), "{id} after {ids:?}");
    ids.push(id);
}

impl System {
    pub(super) fn new() -> Self {
        let clock = ManualClock::at(START);
        let alm = Alm::builder(Arc::new(MemoryStore::new())).clock(clock.clone()).build();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (apps, versions, deployments, times) = Default::default();
        Self { runtime, alm, clock, apps, versions, deployments, furthest: Timestamp::MIN, times }
    }

    pub(super) fn obey(&mut self, command: &Command) -> Answer {
        let answer = self.runtime.block_on(self.ask(command));
        self.note_times();
        let value = answer.map_err(|error| error.code())?;
        let id = value["id"].as_i64();
        match command {
            Command::CreateApp { .. } => note(&mut self.apps, id.unwrap()),
            Command::CreateVersion { .. } => note(&mut self.versions, id.unwrap()),
            Command::CreateDeployment { .. } => note(&mut self.deployments, id.unwrap()),
            _ => {}
        }
        Ok(self.in_numbers(self.ids_in_answer(command), value))
    }

    /// Takes down the times of new events. Time goes on from one commit to the next even if the clock stands or is set back,
    /// and follows the clock when that is ahead.
    fn note_times(&mut self) {
        let now = self.clock.now();
        self.furthest = self.furthest.max(now);
        let known = Position::new(self.times.len() as u64);
        for event in self.runtime.block_on(self.alm.store().read(known, usize::MAX)).unwrap() {
            match self.times.last() {
                Some((changeset, last)) if *changeset == event.changeset => assert_eq!(*last, event.time),
                last => {
                    assert!(last.is_none_or(|(_, last)| *last < event.time), "{event:?} is not later than the last");
                    assert!(
                        now <= event.time && event.time < self.furthest.plus_seconds(1),
                        "{event:?} is not of its time"
                    );
                }
            }
            self.times.push((event.changeset, event.time));
        }
    }

    async fn ask(&self, command: &Command) -> Result<Value, Error> {
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
                let actor = actor.map(|actor| Actor::parse(actor).unwrap());
                let filter = AuditFilter { event_type, actor, ..AuditFilter::default() };
                let read = async |after, limit| self.alm.audit().list(&admin(), &filter, after, limit).await;
                let entries = pages(limit, read).await?.into_iter();
                let told = |entry: AuditEntry| json!({"index": entry.index, "event_type": entry.event_type, "actor": entry.actor});
                Ok(entries.map(told).collect())
            }
            Command::CatchUp => {
                settle(&self.alm, &[]).await;
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
                let name = name.map(|name| AppName::parse(name).unwrap());
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
                    environment: environment.map(|environment| EnvironmentName::parse(environment).unwrap()),
                    status,
                };
                let read = async |after, limit| deployments.list(&admin(), &filter, after, limit).await;
                Ok(json(pages(limit, read).await?))
            }
            _ => unreachable!("not about deployments"),
        }
    }

    fn app(&self, number: Number) -> AppId {
        AppId::new(id_of(&self.apps, number)).unwrap()
    }

    fn version(&self, number: Number) -> VersionId {
        VersionId::new(id_of(&self.versions, number)).unwrap()
    }

    fn deployment(&self, number: Number) -> DeploymentId {
        DeploymentId::new(id_of(&self.deployments, number)).unwrap()
    }

    /// Which ids stand in the member `id` of an answer.
    fn ids_in_answer(&self, command: &Command) -> &[i64] {
        match command {
            Command::CreateVersion { .. }
            | Command::GetVersion { .. }
            | Command::UpdateVersion { .. }
            | Command::ListVersions { .. } => &self.versions,
            Command::CreateDeployment { .. }
            | Command::GetDeployment { .. }
            | Command::SetStatus { .. }
            | Command::ListDeployments { .. } => &self.deployments,
            _ => &self.apps,
        }
    }

    /// The place in the log of the event that was told at that time.
    fn place_of(&self, time: &Value) -> Value {
        let Some(time) = time.as_str() else { return Value::Null };
        let place = self.times.iter().position(|(_, known)| known.to_string() == time);
        place.unwrap_or_else(|| panic!("nothing happened at {time}")).into()
    }

    /// `value` with the model's numbers for ids and places in the log for times; `own` are those that stand in the member `id`.
    fn in_numbers(&self, own: &[i64], value: Value) -> Value {
        match value {
            Value::Array(values) => values.into_iter().map(|value| self.in_numbers(own, value)).collect(),
            Value::Object(members) => {
                let translated = members.into_iter().map(|(name, value)| {
                    let value = match name.as_str() {
                        "id" => number_of(own, &value),
                        "app_id" => number_of(&self.apps, &value),
                        "version_id" => number_of(&self.versions, &value),
                        "deployment_id" => number_of(&self.deployments, &value),
                        "created_at" | "updated_at" | "finished_at" | "since" => self.place_of(&value),
                        "version" => self.in_numbers(&self.versions, value),
                        "deployment" => self.in_numbers(&self.deployments, value),
                        _ => value,
                    };
                    (name, value)
                });
                Value::Object(translated.collect())
            }
            other => other,
        }
    }

    /// Checks that the event log tells just what the model does, and the audit log the same.
    pub(super) fn assert_log(&self, expected: &[Told]) {
        let log = self.runtime.block_on(log_of(&self.alm));
        let types = log.iter().map(|event| event.data.event_type().as_str());
        assert!(types.eq(expected.iter().map(|told| told.event_type.as_str())), "{log:#?}");
        for (event, told) in log.iter().zip(expected) {
            let ids = match told.about {
                "apps" => &self.apps,
                "versions" => &self.versions,
                _ => &self.deployments,
            };
            assert_eq!(event.subject.to_string(), format!("{}/{}", told.about, id_of(ids, told.number)));
            assert_eq!(self.in_numbers(ids, event.data.to_json()), told.data);
            assert_eq!(event.actor.as_str(), told.actor);
        }
        self.runtime.block_on(assert_each_event_is_audited_once(&self.alm));
    }
}

fn id_of(ids: &[i64], number: Number) -> i64 {
    ids.get(number).copied().unwrap_or(NEVER)
}

fn number_of(ids: &[i64], id: &Value) -> Value {
    let place = ids.iter().position(|known| Some(*known) == id.as_i64());
    place.unwrap_or_else(|| panic!("no one has created {id}")).into()
}
