//! Events, in the log and outside of it, and audit entries.

use proptest::{option, prelude::*, sample::select};

use crate::{
    domain::{
        AccessDenied, ApiKeyData, ApiKeyRevoked, AppData, AuditEntry, CloudEvent, DeploymentData, DeploymentStatus,
        DeploymentUpdate, Event, EventData, EventType, LoginFailed, NewAuditEntry, NewEvent, SessionData, SessionEnded,
        SourceService, Subject, UserCreated, UserData, VersionData,
    },
    policy::Action,
};

use super::{
    action, actor, api_key_name, app, audit_index, changeset_id, credential_id, deployment, event_id, grants, json,
    log_id, numbers::placed, role, session_end, subject, texts::unparsed, timestamp, traceparent, username, version,
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
    SessionData => session_data();
    SessionEnded => session_ended();
    ApiKeyData => api_key_data();
    ApiKeyRevoked => api_key_revoked();
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
    (username(), role(), grants()).prop_map(|(user, role, scopes)| UserCreated { user, role, scopes })
}

/// A session in an event.
pub fn session_data() -> impl Strategy<Value = SessionData> {
    (username(), option::of(credential_id())).prop_map(|(user, session)| SessionData { user, session })
}

/// A session that is over.
pub fn session_ended() -> impl Strategy<Value = SessionEnded> {
    (username(), credential_id(), session_end(), timestamp())
        .prop_map(|(user, session, reason, tokens_until)| SessionEnded { user, session, reason, tokens_until })
}

/// An API key in an event.
pub fn api_key_data() -> impl Strategy<Value = ApiKeyData> {
    let key = (credential_id(), api_key_name(), role(), grants(), timestamp(), option::of(timestamp()));
    key.prop_map(|(api_key, name, role, scopes, expires_at, previous_until)| ApiKeyData {
        api_key,
        name,
        role,
        scopes,
        expires_at,
        previous_until,
    })
}

/// An API key that is gone.
pub fn api_key_revoked() -> impl Strategy<Value = ApiKeyRevoked> {
    (credential_id(), api_key_name(), timestamp()).prop_map(|(api_key, name, tokens_until)| ApiKeyRevoked {
        api_key,
        name,
        tokens_until,
    })
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
        user_created().prop_map(|data| (Subject::User(data.user.clone()), EventData::UserUpdated(data))),
        session_data().prop_map(|data| (Subject::User(data.user.clone()), EventData::LoginSucceeded(data))),
        session_data().prop_map(|data| (Subject::User(data.user.clone()), EventData::TokenRefreshed(data))),
        session_ended().prop_map(|data| (Subject::User(data.user.clone()), EventData::SessionEnded(data))),
        api_key_data().prop_map(|data| (Subject::ApiKey(data.api_key), EventData::ApiKeyCreated(data))),
        api_key_data().prop_map(|data| (Subject::ApiKey(data.api_key), EventData::ApiKeyRotated(data))),
        api_key_revoked().prop_map(|data| (Subject::ApiKey(data.api_key), EventData::ApiKeyRevoked(data))),
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
    let event = (log_id(), placed(), changeset_id(), new_event()).prop_map(|(log, position, changeset, event)| Event {
        log,
        position,
        changeset,
        event,
    });
    // Several stand beside each other in what is made of events: too much for the stack of a test.
    event.boxed()
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
