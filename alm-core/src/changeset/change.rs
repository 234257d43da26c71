//! Changes: a write and its event, made together from the entity so that they can't disagree.

use crate::{
    domain::{
        AccessDenied, Actor, App, AppData, Deployment, DeploymentData, DeploymentStatus, DeploymentUpdate, EventData,
        EventId, LoginFailed, NewEvent, PasswordHash, Revision, Subject, UserCreated, UserData, UserRecord, Username,
        Version, VersionData,
    },
    policy::Action,
};

use super::{Stamp, Write};

/// One change of the domain: what is written, and the event that tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a change has no effect until it is committed in a changeset"]
pub struct Change {
    write: Option<Write>,
    subject: Subject,
    data: EventData,
}

impl Change {
    /// `app` is new.
    pub fn app_created(app: &App) -> Self {
        Self::with(Write::InsertApp(app.clone()), Subject::App(app.id), EventData::AppCreated(app.into()))
    }

    /// `app` was at revision `expected` and is now as given.
    pub fn app_updated(app: &App, expected: Revision) -> Self {
        let write = Write::UpdateApp { app: app.clone(), expected };
        Self::with(write, Subject::App(app.id), EventData::AppUpdated(AppData::from(app)))
    }

    /// `app`, as given, goes.
    pub fn app_deleted(app: &App) -> Self {
        let write = Write::DeleteApp { id: app.id, expected: app.revision };
        Self::with(write, Subject::App(app.id), EventData::AppDeleted(AppData::from(app)))
    }

    /// `version` is new.
    pub fn version_created(version: &Version) -> Self {
        let write = Write::InsertVersion(version.clone());
        Self::with(write, Subject::Version(version.id), EventData::VersionCreated(version.into()))
    }

    /// `version` was at revision `expected` and is now as given.
    pub fn version_updated(version: &Version, expected: Revision) -> Self {
        let write = Write::UpdateVersion { version: version.clone(), expected };
        Self::with(write, Subject::Version(version.id), EventData::VersionUpdated(VersionData::from(version)))
    }

    /// `version`, as given, goes.
    pub fn version_deleted(version: &Version) -> Self {
        let write = Write::DeleteVersion { id: version.id, expected: version.revision };
        Self::with(write, Subject::Version(version.id), EventData::VersionDeleted(VersionData::from(version)))
    }

    /// `deployment` is new.
    pub fn deployment_created(deployment: &Deployment) -> Self {
        let write = Write::InsertDeployment(deployment.clone());
        Self::with(write, Subject::Deployment(deployment.id), EventData::DeploymentCreated(deployment.into()))
    }

    /// `deployment` was at revision `expected` with status `previous` and is now as given.
    pub fn deployment_updated(deployment: &Deployment, expected: Revision, previous: DeploymentStatus) -> Self {
        let write = Write::UpdateDeployment { deployment: deployment.clone(), expected };
        let data = DeploymentUpdate { deployment: deployment.into(), previous_status: previous };
        Self::with(write, Subject::Deployment(deployment.id), EventData::DeploymentUpdated(data))
    }

    /// `deployment`, as given, goes.
    pub fn deployment_deleted(deployment: &Deployment) -> Self {
        let write = Write::DeleteDeployment { id: deployment.id, expected: deployment.revision };
        let data = EventData::DeploymentDeleted(DeploymentData::from(deployment));
        Self::with(write, Subject::Deployment(deployment.id), data)
    }

    /// The account is new.
    pub fn user_created(record: &UserRecord) -> Self {
        let username = &record.user.username;
        let data = EventData::UserCreated(UserCreated { user: username.clone(), role: record.user.role });
        Self::with(Write::InsertUser(record.clone()), Subject::User(username.clone()), data)
    }

    /// The account goes.
    pub fn user_deleted(username: &Username) -> Self {
        let data = EventData::UserDeleted(UserData { user: username.clone() });
        Self::with(Write::DeleteUser { username: username.clone() }, Subject::User(username.clone()), data)
    }

    /// The account has another password.
    pub fn password_changed(username: &Username, password_hash: PasswordHash) -> Self {
        let data = EventData::PasswordChanged(UserData { user: username.clone() });
        let write = Write::SetPassword { username: username.clone(), password_hash };
        Self::with(write, Subject::User(username.clone()), data)
    }

    /// Someone logged in. Nothing is written but the event.
    pub fn login_succeeded(username: &Username) -> Self {
        let data = EventData::LoginSucceeded(UserData { user: username.clone() });
        Self { write: None, subject: Subject::User(username.clone()), data }
    }

    /// Someone could not log in as `username`, whether there is such an account or not. Nothing is written but the event.
    pub fn login_failed(username: &Username) -> Self {
        let data = EventData::LoginFailed(LoginFailed { user: username.clone() });
        Self { write: None, subject: Subject::User(username.clone()), data }
    }

    /// `actor` was refused `action` on `subject`. Nothing is written but the event.
    pub fn access_denied(actor: &Actor, action: Action, subject: Subject) -> Self {
        let data = EventData::AccessDenied(AccessDenied { user: actor.clone(), action: action.as_str().to_owned() });
        Self { write: None, subject, data }
    }

    fn with(write: Write, subject: Subject, data: EventData) -> Self {
        Self { write: Some(write), subject, data }
    }

    pub(super) fn into_parts(self, id: EventId, stamp: &Stamp) -> (Option<Write>, NewEvent) {
        let Self { write, subject, data } = self;
        let event =
            NewEvent { id, subject, data, time: stamp.at, actor: stamp.actor.clone(), trace: stamp.trace.clone() };
        (write, event)
    }
}
