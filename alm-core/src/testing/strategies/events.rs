//! Events, in the log and outside of it, and audit entries.

use proptest::{option, prelude::*, sample::select};

use crate::{
    domain::{
        AccessDenied, AppData, AuditEntry, CloudEvent, DeploymentData, DeploymentStatus, DeploymentUpdate, Event,
        EventData, EventType, LoginFailed, NewAuditEntry, NewEvent, SourceService, Subject, UserCreated, UserData,
        VersionData,
    },
    policy::Action,
};

use super::{
    action, actor, app, audit_index, changeset_id, deployment, event_id, json, log_id, numbers::placed, role, subject,
    texts::unparsed, timestamp, traceparent, username, version,
};

arbitrary! {
    SourceService => source_service();
    EventType => event_type();
    AppData => app_data();
    VersionData => version_data();
    DeploymentData => deployment_data();
    DeploymentUpdate => deployment_update();
    UserData => user_data();
    UserCreated => user_created();
    LoginFailed => login_failed();
    AccessDenied => access_denied();
    EventData => event_data();
    NewEvent => new_event();
    Event => event();
    CloudEvent => cloud_event();
    NewAuditEntry => new_audit_entry();
    AuditEntry => audit_entry();
}

/// A service.
pub fn source_service() -> impl Strategy<Value = SourceService> {
    select(&SourceService::ALL[..])
}

/// A type of events.
pub fn event_type() -> impl Strategy<Value = EventType> {
    select(EventType::ALL)
}

/// An app in an event.
pub fn app_data() -> impl Strategy<Value = AppData> {
    app().prop_map(|app| AppData::from(&app))
}

/// A version in an event.
pub fn version_data() -> impl Strategy<Value = VersionData> {
    version().prop_map(|version| VersionData::from(&version))
}

/// A deployment in an event.
pub fn deployment_data() -> impl Strategy<Value = DeploymentData> {
    deployment().prop_map(|deployment| DeploymentData::from(&deployment))
}

/// A deployment whose status moved, by a transition that there is.
pub fn deployment_update() -> impl Strategy<Value = DeploymentUpdate> {
    let legal: Vec<_> =
        DeploymentStatus::ALL.into_iter().flat_map(|from| from.allowed().iter().map(move |to| (from, *to))).collect();
    (deployment_data(), select(legal)).prop_map(|(data, (previous_status, status))| DeploymentUpdate {
        deployment: DeploymentData { status, ..data },
        previous_status,
    })
}

/// An account in an event.
pub fn user_data() -> impl Strategy<Value = UserData> {
    username().prop_map(|user| UserData { user })
}

/// A new account in an event.
pub fn user_created() -> impl Strategy<Value = UserCreated> {
    (username(), role()).prop_map(|(user, role)| UserCreated { user, role })
}

/// A login that failed.
pub fn login_failed() -> impl Strategy<Value = LoginFailed> {
    username().prop_map(|user| LoginFailed { user })
}

/// Something that was refused.
pub fn access_denied() -> impl Strategy<Value = AccessDenied> {
    (actor(), action())
        .prop_map(|(user, action): (_, Action)| AccessDenied { user, action: action.as_str().to_owned() })
}

/// The data of an event with what it is about.
fn told() -> impl Strategy<Value = (Subject, EventData)> {
    prop_oneof![
        app_data().prop_map(|data| (Subject::App(data.id), EventData::AppCreated(data))),
        app_data().prop_map(|data| (Subject::App(data.id), EventData::AppUpdated(data))),
        app_data().prop_map(|data| (Subject::App(data.id), EventData::AppDeleted(data))),
        version_data().prop_map(|data| (Subject::Version(data.version_id), EventData::VersionCreated(data))),
        version_data().prop_map(|data| (Subject::Version(data.version_id), EventData::VersionUpdated(data))),
        version_data().prop_map(|data| (Subject::Version(data.version_id), EventData::VersionDeleted(data))),
        deployment_data()
            .prop_map(|data| (Subject::Deployment(data.deployment_id), EventData::DeploymentCreated(data))),
        deployment_update()
            .prop_map(|data| (Subject::Deployment(data.deployment.deployment_id), EventData::DeploymentUpdated(data))),
        deployment_data()
            .prop_map(|data| (Subject::Deployment(data.deployment_id), EventData::DeploymentDeleted(data))),
        user_created().prop_map(|data| (Subject::User(data.user.clone()), EventData::UserCreated(data))),
        user_data().prop_map(|data| (Subject::User(data.user.clone()), EventData::UserDeleted(data))),
        user_data().prop_map(|data| (Subject::User(data.user.clone()), EventData::PasswordChanged(data))),
        user_data().prop_map(|data| (Subject::User(data.user.clone()), EventData::LoginSucceeded(data))),
        login_failed().prop_map(|data| (Subject::User(data.user.clone()), EventData::LoginFailed(data))),
        (subject(), access_denied()).prop_map(|(subject, data)| (subject, EventData::AccessDenied(data))),
    ]
}

/// What an event tells.
pub fn event_data() -> impl Strategy<Value = EventData> {
    told().prop_map(|(_, data)| data)
}

/// An event that is about to be committed; its subject is what its data tell of.
pub fn new_event() -> impl Strategy<Value = NewEvent> {
    (event_id(), told(), timestamp(), actor(), option::of(traceparent()))
        .prop_map(|(id, (subject, data), time, actor, trace)| NewEvent { id, subject, data, time, actor, trace })
}

/// An event in a log.
pub fn event() -> impl Strategy<Value = Event> {
    (log_id(), placed(), changeset_id(), new_event()).prop_map(|(log, position, changeset, event)| Event {
        log,
        position,
        changeset,
        event,
    })
}

/// An event as a document, which is read back as that event.
pub fn cloud_event() -> impl Strategy<Value = CloudEvent> {
    event().prop_map(|event| CloudEvent::from(&event))
}

/// An audit entry that is about to be recorded: of an event, or of what this version of ALM can't read.
pub fn new_audit_entry() -> impl Strategy<Value = NewAuditEntry> {
    let known = (event(), timestamp()).prop_map(|(event, at)| NewAuditEntry::of(&event, at));
    (known, unparsed(), unparsed(), json(), unparsed(), any::<bool>()).prop_map(
        |(known, event_type, source_service, payload, subject, is_known)| {
            if is_known { known } else { NewAuditEntry { event_type, source_service, payload, subject, ..known } }
        },
    )
}

/// An entry of the audit log.
pub fn audit_entry() -> impl Strategy<Value = AuditEntry> {
    (audit_index(), new_audit_entry()).prop_map(|(index, entry)| AuditEntry { index, entry })
}
