//! The model: what ALM does, said as simply as it can be, and in the words of the contract rather than with the code's types.

use std::collections::BTreeMap;

use proptest::{
    prelude::Strategy as _,
    strategy::{BoxedStrategy, Just},
};
use proptest_state_machine::ReferenceStateMachine;
use serde_json::{Value, json};

use crate::domain::DeploymentStatus;

use super::{
    command::{Agreed, Command, DeploymentsOf, Label, Number, Who, commands},
    rows::{App, Deployment, Times, Version, may_follow},
    told::{Answer, Told, UNKNOWN, actor, allow_users, has, list, next},
};

/// What ALM has been told and has done, in plain maps. It begins with nothing.
///
/// ```
/// use alm_core::testing::model::{Command, Model, Who};
///
/// let mut model = Model::default();
/// model.obey(&Command::CreateApp { who: Who::User, name: "billing", description: "", team: None });
/// assert_eq!(model.answer().as_ref().unwrap()["name"], "billing");
/// assert_eq!(model.log()[0].event_type, "AppCreated");
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    apps: BTreeMap<Number, App>,
    versions: BTreeMap<Number, Version>,
    deployments: BTreeMap<Number, Deployment>,
    created: [usize; 3],
    log: Vec<Told>,
    cascaded: usize,
    audited: usize,
    answer: Answer,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            apps: BTreeMap::new(),
            versions: BTreeMap::new(),
            deployments: BTreeMap::new(),
            created: [0; 3],
            log: Vec::new(),
            cascaded: 0,
            audited: 0,
            answer: Ok(Value::Null),
        }
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Command;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(model: &Self) -> BoxedStrategy<Command> {
        commands(model.created())
    }

    fn apply(mut model: Self, command: &Command) -> Self {
        model.obey(command);
        model
    }
}

impl Model {
    /// How many apps, versions and deployments there ever were.
    pub fn created(&self) -> [usize; 3] {
        self.created
    }

    /// What came of the last command; `null` before the first.
    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    /// What the log must tell.
    pub fn log(&self) -> &[Told] {
        &self.log
    }

    /// Does what is asked for.
    pub fn obey(&mut self, command: &Command) {
        self.answer = self.answer_to(command);
    }

    fn answer_to(&mut self, command: &Command) -> Answer {
        match command.clone() {
            Command::CreateApp { who, name, description, team } => self.create_app(who, name, description, team),
            Command::GetApp { who, app } => {
                allow_users(who)?;
                Ok(self.app(app)?.json(app))
            }
            Command::UpdateApp { who, app, name, description, team, agreed } => {
                self.update_app(who, app, (name, description, team), &agreed)
            }
            Command::DeleteApp { who, app, agreed } => self.delete_app(who, app, &agreed),
            Command::ListApps { name, team, .. } => {
                let passes = |app: &App| name.is_none_or(|name| name == app.name) && has(team, app.team);
                Ok(list(self.apps.iter().filter(|(_, app)| passes(app)).map(|(number, app)| app.json(*number))))
            }
            Command::Environments { app, .. } => self.environments(app),
            Command::CreateVersion { who, app, tag, changelog, team } => {
                self.create_version(who, app, tag, changelog, team)
            }
            Command::GetVersion { who, version } => {
                allow_users(who)?;
                Ok(self.version(version)?.json(version))
            }
            Command::UpdateVersion { who, version, changelog, team, agreed } => {
                self.update_version(who, version, changelog, team, &agreed)
            }
            Command::DeleteVersion { who, version, agreed } => self.delete_version(who, version, &agreed),
            Command::ListVersions { app, team, .. } => {
                let passes = |version: &Version| app.is_none_or(|app| app == version.app) && has(team, version.team);
                let found = self.versions.iter().filter(|(_, version)| passes(version));
                Ok(list(found.map(|(number, version)| version.json(*number))))
            }
            Command::CreateDeployment { who, version, app, environment } => {
                self.create_deployment(who, version, app, environment)
            }
            Command::GetDeployment { who, deployment } => {
                allow_users(who)?;
                Ok(self.deployment(deployment)?.json(deployment))
            }
            Command::SetStatus { who, deployment, status, agreed } => self.set_status(who, deployment, status, &agreed),
            Command::DeleteDeployment { who, deployment, agreed } => self.delete_deployment(who, deployment, &agreed),
            Command::ListDeployments { filter, .. } => Ok(self.list_deployments(&filter)),
            Command::Audit { event_type, actor, .. } => {
                let seen = self.log[..self.audited].iter().enumerate();
                let passes = |told: &Told| {
                    event_type.is_none_or(|wanted| wanted == told.event_type)
                        && actor.is_none_or(|actor| actor == told.actor)
                };
                Ok(list(seen.filter(|(_, told)| passes(told)).map(
                    |(place, told)| json!({"index": place + 1, "event_type": told.event_type, "actor": told.actor}),
                )))
            }
            Command::CatchUp => {
                self.catch_up();
                Ok(Value::Null)
            }
            Command::Wait(_) => Ok(Value::Null),
        }
    }

    fn app(&mut self, number: Number) -> Result<&mut App, &'static str> {
        self.apps.get_mut(&number).ok_or("not-found")
    }

    fn version(&mut self, number: Number) -> Result<&mut Version, &'static str> {
        self.versions.get_mut(&number).ok_or("not-found")
    }

    fn deployment(&mut self, number: Number) -> Result<&mut Deployment, &'static str> {
        self.deployments.get_mut(&number).ok_or("not-found")
    }

    fn create_app(&mut self, who: Who, name: &'static str, description: &'static str, team: Label) -> Answer {
        allow_users(who)?;
        if self.apps.values().any(|app| app.name == name) {
            return Err("app-name-taken");
        }
        let number = next(&mut self.created[0]);
        self.apps.insert(number, App { name, description, team, times: Times::new(self.log.len()) });
        self.tell_of_app(number, "AppCreated", actor(who));
        Ok(self.apps[&number].json(number))
    }

    fn update_app(
        &mut self,
        who: Who,
        number: Number,
        (name, description, team): (&'static str, &'static str, Label),
        agreed: &Agreed,
    ) -> Answer {
        allow_users(who)?;
        let now = self.log.len();
        let taken = self.apps.iter().any(|(other, app)| *other != number && app.name == name);
        let app = self.app(number)?;
        app.times.check(agreed)?;
        if (app.name, app.description, app.team) != (name, description, team) {
            if taken {
                return Err("app-name-taken");
            }
            (app.name, app.description, app.team) = (name, description, team);
            app.times.touch(now);
            self.tell_of_app(number, "AppUpdated", actor(who));
        }
        Ok(self.apps[&number].json(number))
    }

    fn delete_app(&mut self, who: Who, number: Number, agreed: &Agreed) -> Answer {
        self.allow_admins(who, "delete_app", "apps", number, self.created[0])?;
        self.app(number)?.times.check(agreed)?;
        self.tell_of_app(number, "AppDeleted", actor(who));
        self.apps.remove(&number);
        Ok(Value::Null)
    }

    fn environments(&mut self, number: Number) -> Answer {
        self.app(number)?;
        let mut running = BTreeMap::new();
        for (id, deployment) in &self.deployments {
            let counts = deployment.app == number && self.versions.contains_key(&deployment.version);
            if counts && deployment.status == DeploymentStatus::Successful {
                let newest = running.entry(deployment.environment).or_insert((deployment.finished, *id));
                *newest = (*newest).max((deployment.finished, *id));
            }
        }
        Ok(list(running.into_iter().map(|(environment, (since, id))| {
            let deployment = &self.deployments[&id];
            let version = self.versions[&deployment.version].json(deployment.version);
            json!({"environment": environment, "version": version, "deployment": deployment.json(id), "since": since})
        })))
    }

    fn create_version(
        &mut self,
        who: Who,
        app: Number,
        tag: &'static str,
        changelog: &'static str,
        team: Label,
    ) -> Answer {
        allow_users(who)?;
        if !self.apps.contains_key(&app) {
            return Err("unknown-parent");
        }
        if self.versions.values().any(|version| (version.app, version.tag) == (app, tag)) {
            return Err("version-tag-taken");
        }
        let number = next(&mut self.created[1]);
        self.versions.insert(number, Version { app, tag, changelog, team, times: Times::new(self.log.len()) });
        self.tell_of_version(number, "VersionCreated", actor(who));
        Ok(self.versions[&number].json(number))
    }

    fn update_version(
        &mut self,
        who: Who,
        number: Number,
        changelog: &'static str,
        team: Label,
        agreed: &Agreed,
    ) -> Answer {
        allow_users(who)?;
        let now = self.log.len();
        let version = self.version(number)?;
        version.times.check(agreed)?;
        if (version.changelog, version.team) != (changelog, team) {
            (version.changelog, version.team) = (changelog, team);
            version.times.touch(now);
            self.tell_of_version(number, "VersionUpdated", actor(who));
        }
        Ok(self.versions[&number].json(number))
    }

    fn delete_version(&mut self, who: Who, number: Number, agreed: &Agreed) -> Answer {
        self.allow_admins(who, "delete_version", "versions", number, self.created[1])?;
        self.version(number)?.times.check(agreed)?;
        self.tell_of_version(number, "VersionDeleted", actor(who));
        self.versions.remove(&number);
        Ok(Value::Null)
    }

    fn create_deployment(
        &mut self,
        who: Who,
        version: Number,
        wanted: Option<Number>,
        environment: &'static str,
    ) -> Answer {
        allow_users(who)?;
        let app = self.versions.get(&version).ok_or("unknown-parent")?.app;
        if wanted.is_some_and(|wanted| wanted != app) {
            return Err("invalid-field");
        }
        let number = next(&mut self.created[2]);
        let (status, times) = (DeploymentStatus::Pending, Times::new(self.log.len()));
        self.deployments.insert(number, Deployment { app, version, environment, status, finished: None, times });
        self.tell_of_deployment(number, "DeploymentCreated", actor(who), None);
        Ok(self.deployments[&number].json(number))
    }

    fn set_status(&mut self, who: Who, number: Number, status: DeploymentStatus, agreed: &Agreed) -> Answer {
        allow_users(who)?;
        let now = self.log.len();
        let deployment = self.deployment(number)?;
        deployment.times.check(agreed)?;
        let previous = deployment.status;
        if !may_follow(previous, status) {
            return Err("illegal-transition");
        }
        deployment.status = status;
        deployment.times.touch(now);
        if status != DeploymentStatus::Running {
            deployment.finished = Some(deployment.times.updated);
        }
        self.tell_of_deployment(number, "DeploymentUpdated", actor(who), Some(previous));
        Ok(self.deployments[&number].json(number))
    }

    fn delete_deployment(&mut self, who: Who, number: Number, agreed: &Agreed) -> Answer {
        self.allow_admins(who, "delete_deployment", "deployments", number, self.created[2])?;
        self.deployment(number)?.times.check(agreed)?;
        self.tell_of_deployment(number, "DeploymentDeleted", actor(who), None);
        self.deployments.remove(&number);
        Ok(Value::Null)
    }

    fn list_deployments(&self, filter: &DeploymentsOf) -> Value {
        let passes = |deployment: &Deployment| {
            filter.app.is_none_or(|app| app == deployment.app)
                && filter.version.is_none_or(|version| version == deployment.version)
                && filter.environment.is_none_or(|environment| environment == deployment.environment)
                && filter.status.is_none_or(|status| status == deployment.status)
        };
        let found = self.deployments.iter().filter(|(_, deployment)| passes(deployment));
        list(found.map(|(number, deployment)| deployment.json(*number)))
    }

    /// Children of what was deleted go, in the order of the log; each deletion is told in turn, and then everything is audited.
    fn catch_up(&mut self) {
        while let Some(told) = self.log.get(self.cascaded) {
            let (kind, parent, actor) = (told.event_type.clone(), told.number, told.actor);
            self.cascaded += 1;
            if kind == "AppDeleted" {
                let children: Vec<_> = self.versions.iter().filter(|(_, v)| v.app == parent).map(|(n, _)| *n).collect();
                for child in children {
                    self.tell_of_version(child, "VersionDeleted", actor);
                    self.versions.remove(&child);
                }
            } else if kind == "VersionDeleted" {
                let children: Vec<_> =
                    self.deployments.iter().filter(|(_, d)| d.version == parent).map(|(n, _)| *n).collect();
                for child in children {
                    self.tell_of_deployment(child, "DeploymentDeleted", actor, None);
                    self.deployments.remove(&child);
                }
            }
        }
        self.audited = self.log.len();
    }

    fn allow_admins(
        &mut self,
        who: Who,
        action: &str,
        about: &'static str,
        number: Number,
        created: usize,
    ) -> Result<(), &'static str> {
        allow_users(who)?;
        if who == Who::Admin {
            return Ok(());
        }
        let number = if number < created { number } else { UNKNOWN };
        self.tell("AccessDenied", about, number, json!({"user": actor(who), "action": action}), actor(who));
        Err("forbidden")
    }

    fn tell_of_app(&mut self, number: Number, event_type: &str, actor: &'static str) {
        let data = self.apps[&number].data(number);
        self.tell(event_type, "apps", number, data, actor);
    }

    fn tell_of_version(&mut self, number: Number, event_type: &str, actor: &'static str) {
        let data = self.versions[&number].data(number);
        self.tell(event_type, "versions", number, data, actor);
    }

    fn tell_of_deployment(
        &mut self,
        number: Number,
        event_type: &str,
        actor: &'static str,
        previous: Option<DeploymentStatus>,
    ) {
        let data = self.deployments[&number].data(number, previous);
        self.tell(event_type, "deployments", number, data, actor);
    }

    fn tell(&mut self, event_type: &str, about: &'static str, number: Number, data: Value, actor: &'static str) {
        self.log.push(Told { event_type: event_type.to_owned(), about, number, data, actor });
    }
}
