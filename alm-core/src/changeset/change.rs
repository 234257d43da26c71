//! Changes: a write and its event, made together from the entity so that they can't disagree.

use crate::{
    domain::{
        AccessDenied, Actor, ApiKey, ApiKeyData, ApiKeyRevoked, App, AppData, Credential, Deployment, DeploymentData,
        DeploymentStatus, DeploymentUpdate, EventData, EventId, Holder, LoginFailed, NewEvent, PasswordHash, Revision,
        Session, SessionData, SessionEnd, SessionEnded, Subject, Timestamp, User, UserCreated, UserData, UserRecord,
        Username, Version, VersionData,
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
        let data = EventData::UserCreated(UserCreated::from(&record.user));
        Self::with(Write::InsertUser(record.clone()), Subject::User(record.user.username.clone()), data)
    }

    /// The account was at revision `expected` and is now as given.
    pub fn user_updated(user: &User, expected: Revision) -> Self {
        let data = EventData::UserUpdated(UserCreated::from(user));
        let write = Write::UpdateUser { user: user.clone(), expected };
        Self::with(write, Subject::User(user.username.clone()), data)
    }

    /// The account goes.
    pub fn user_deleted(username: &Username) -> Self {
        let data = EventData::UserDeleted(UserData { user: username.clone() });
        Self::with(Write::DeleteUser { username: username.clone() }, Subject::User(username.clone()), data)
    }

    /// The account, which was as `record` says, has another password.
    pub fn password_changed(record: &UserRecord, new: PasswordHash) -> Self {
        let username = record.user.username.clone();
        let data = EventData::PasswordChanged(UserData { user: username.clone() });
        let (expected, old) = (record.user.revision, record.password_hash.clone());
        let write = Write::SetPassword { username: username.clone(), expected, old, new };
        Self::with(write, Subject::User(username), data)
    }

    /// Someone logged in by other means than a session of ALM. Nothing is written but the event.
    pub fn login_succeeded(username: &Username) -> Self {
        let data = EventData::LoginSucceeded(SessionData { user: username.clone(), session: None });
        Self { write: None, subject: Subject::User(username.clone()), data }
    }

    /// The credential is new: someone logged in, or a machine got an API key.
    pub fn credential_created(credential: &Credential) -> Self {
        let data = match &credential.holder {
            Holder::Session(session) => EventData::LoginSucceeded(session_data(credential, session)),
            Holder::ApiKey(key) => EventData::ApiKeyCreated(api_key_data(credential, key)),
        };
        Self::with(Write::InsertCredential(credential.clone()), credential.subject(), data)
    }

    /// The credential was at revision `expected` and is now as given, with another secret.
    pub fn credential_renewed(credential: &Credential, expected: Revision) -> Self {
        let data = match &credential.holder {
            Holder::Session(session) => EventData::TokenRefreshed(session_data(credential, session)),
            Holder::ApiKey(key) => EventData::ApiKeyRotated(api_key_data(credential, key)),
        };
        let write = Write::UpdateCredential { credential: credential.clone(), expected };
        Self::with(write, credential.subject(), data)
    }

    /// The credential goes before its time; the last token that was issued for it expires at `tokens_until`. Of a session it is told
    /// why: of an API key there is one reason.
    pub fn credential_ended(credential: &Credential, reason: SessionEnd, tokens_until: Timestamp) -> Self {
        let id = credential.id;
        let data = match &credential.holder {
            Holder::Session(Session { username, .. }) => {
                EventData::SessionEnded(SessionEnded { user: username.clone(), session: id, reason, tokens_until })
            }
            Holder::ApiKey(ApiKey { name, .. }) => {
                EventData::ApiKeyRevoked(ApiKeyRevoked { api_key: id, name: name.clone(), tokens_until })
            }
        };
        Self::with(Write::DeleteCredential { id }, credential.subject(), data)
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

fn session_data(credential: &Credential, session: &Session) -> SessionData {
    SessionData { user: session.username.clone(), session: Some(credential.id) }
}

fn api_key_data(credential: &Credential, key: &ApiKey) -> ApiKeyData {
    ApiKeyData {
        api_key: credential.id,
        name: key.name.clone(),
        role: key.role,
        scopes: key.grants.clone(),
        expires_at: credential.expires_at,
        previous_until: key.retired.as_ref().map(|retired| retired.until),
    }
}
