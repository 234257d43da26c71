//! What ALM talks about: pure, synchronous values that are parsed once and valid ever after.

mod app;
mod audit;
mod cloud_event;
mod credential;
mod deployment;
mod event;
mod grant;
mod ids;
mod invalid;
mod labels;
mod parent;
mod service;
mod status;
mod subject;
mod text;
mod timestamp;
mod trace;
mod unread;
mod user;
mod version;

pub use app::{App, AppUpdate, NewApp};
pub use audit::{AuditEntry, NewAuditEntry};
pub use cloud_event::CloudEvent;
pub use credential::{ApiKey, Credential, Holder, NewApiKey, Retired, SecretHash, Session};
pub(crate) use credential::{from_hex, to_hex};
pub use deployment::{Deployment, NewDeployment, RunningVersion};
pub use event::{
    AccessDenied, ApiKeyData, ApiKeyRevoked, AppData, DeploymentData, DeploymentUpdate, Event, EventData, EventType,
    LoginFailed, NewEvent, SessionData, SessionEnd, SessionEnded, UserCreated, UserData, VersionData,
};
pub use grant::Grant;
pub use ids::{
    AppId, AuditIndex, ChangesetId, CredentialId, DeploymentId, EventId, LogId, Position, Revision, VersionId,
};
pub use invalid::{FieldError, Invalid, Rejected};
pub use labels::Labels;
pub use parent::{Known, ParentId};
pub use service::{Services, SourceService};
pub use status::{DeploymentStatus, IllegalTransition, TRANSITIONS};
pub use subject::{Actor, Subject};
pub(crate) use text::length;
pub use text::{ApiKeyName, AppName, Changelog, Description, EnvironmentName, Tag, Username};
pub use timestamp::Timestamp;
pub use trace::TraceParent;
pub use unread::Unread;
pub use user::{NewUser, Password, PasswordHash, Role, User, UserRecord, UserUpdate};
pub use version::{NewVersion, Version, VersionUpdate};
