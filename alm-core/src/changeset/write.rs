//! Writes and guards: what a store has to understand.

use std::fmt;

use crate::domain::{
    App, AppId, Credential, CredentialId, Deployment, DeploymentId, LogId, NewAuditEntry, ParentId, PasswordHash,
    Position, Revision, Timestamp, User, UserRecord, Username, Version, VersionId,
};

use super::{ConsumerName, DeadLetter, IdempotencyRecord};

/// One write to the state. An insert never replaces, an update or delete with an `expected` revision fails unless the store
/// has just that revision.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Write {
    /// A new app. Its name must be free.
    InsertApp(App),
    /// The app as it is from now on. Its name must be its own or free.
    UpdateApp {
        /// The new state.
        app: App,
        /// The revision that it was decided on.
        expected: Revision,
    },
    /// The app goes; its name is free again. Its versions are the cascade's work.
    DeleteApp {
        /// Which.
        id: AppId,
        /// The revision that it was decided on.
        expected: Revision,
    },
    /// A new version. Its tag must be free in its app.
    InsertVersion(Version),
    /// The version as it is from now on; app and tag are what they were.
    UpdateVersion {
        /// The new state.
        version: Version,
        /// The revision that it was decided on.
        expected: Revision,
    },
    /// The version goes; its tag is free again. Its deployments are the cascade's work.
    DeleteVersion {
        /// Which.
        id: VersionId,
        /// The revision that it was decided on.
        expected: Revision,
    },
    /// A new deployment.
    InsertDeployment(Deployment),
    /// The deployment as it is from now on; app, version and environment are what they were.
    UpdateDeployment {
        /// The new state.
        deployment: Deployment,
        /// The revision that it was decided on.
        expected: Revision,
    },
    /// The deployment goes.
    DeleteDeployment {
        /// Which.
        id: DeploymentId,
        /// The revision that it was decided on.
        expected: Revision,
    },
    /// A new account. Its name must be free.
    InsertUser(UserRecord),
    /// The account as it is from now on, with the password that it has; when it was created is what it was.
    UpdateUser {
        /// The new state.
        user: User,
        /// The revision that it was decided on.
        expected: Revision,
    },
    /// Another password for an account, at its next revision. It must be at the revision that this was decided on and have the old
    /// password still: two who set one password do not both do so, and an account that was made anew keeps its own.
    SetPassword {
        /// Whose.
        username: Username,
        /// The revision that it was decided on.
        expected: Revision,
        /// The hash so far.
        old: PasswordHash,
        /// The hash of the new one.
        new: PasswordHash,
    },
    /// The same password of an account, hashed anew; its revision stays. When the password is another by now, or the account is gone,
    /// this changes nothing.
    RehashPassword {
        /// Whose.
        username: Username,
        /// The hash so far.
        old: PasswordHash,
        /// The new hash.
        new: PasswordHash,
    },
    /// The account goes.
    DeleteUser {
        /// Which.
        username: Username,
    },
    /// A new session or API key. The name of a key must be free.
    InsertCredential(Credential),
    /// The credential as it is from now on; its holder is the same.
    UpdateCredential {
        /// The new state.
        credential: Credential,
        /// The revision that it was decided on.
        expected: Revision,
    },
    /// The credential goes, whatever its revision; the name of a key is free again.
    DeleteCredential {
        /// Which.
        id: CredentialId,
    },
    /// A credential that another service holds is gone. It may be forgotten after `until`.
    CredentialGone {
        /// Which.
        id: CredentialId,
        /// When the last token that was issued for it expires.
        until: Timestamp,
    },
    /// An entry of the audit log, at the next index.
    RecordAudit(NewAuditEntry),
    /// An answer to remember. It replaces one of the same scope that has expired at the time of the changeset; one that has
    /// not is [`AlreadyExists`](crate::ports::StoreError::AlreadyExists).
    RememberOutcome(IdempotencyRecord),
    /// An event that a consumer could not handle. It replaces the letter that the same consumer has for the same position of the
    /// same log.
    BuryEvent(DeadLetter),
    /// An event that a consumer could not handle is handled now: its letter goes. When there is none, someone else was faster, or
    /// there never was one: [`Contention::DeadLetter`](crate::ports::Contention::DeadLetter).
    SettleLetter {
        /// Who gave up.
        consumer: ConsumerName,
        /// The log that the event stands in.
        log: LogId,
        /// Its place there.
        position: Position,
    },
    /// A parent that lives elsewhere is live. Of one that is known to be gone this changes nothing: news may come late.
    ParentLearned {
        /// Which.
        parent: ParentId,
        /// The app that it is, or is of.
        app_id: AppId,
    },
    /// A parent that lives elsewhere is gone for ever, whether it was known or not.
    ParentGone {
        /// Which.
        parent: ParentId,
    },
}

/// What was read and must still hold when the changeset is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Guard {
    /// The app exists.
    AppExists(AppId),
    /// The version exists.
    VersionExists(VersionId),
    /// The parent, which lives elsewhere, is known and live.
    ParentKnown(ParentId),
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AppExists(id) => write!(f, "app {id} exists"),
            Self::VersionExists(id) => write!(f, "version {id} exists"),
            Self::ParentKnown(parent) => write!(f, "{parent} is known to exist"),
        }
    }
}
