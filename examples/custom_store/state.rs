//! Everything that the store keeps: plain data, which serde writes to the file and reads from it.

use std::{collections::BTreeMap, sync::Arc};

use alm_core::{
    changeset::{ConsumerName, DeadLetter, IdempotencyRecord, Receipt},
    domain::{
        App, AppId, AuditEntry, ChangesetId, CloudEvent, Deployment, DeploymentId, Event, LogId, Position, Rejected,
        UserRecord, Username, Version, VersionId,
    },
    ports::{IdBlock, Sequence},
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) log_id: LogId,
    pub(crate) next_ids: NextIds,
    pub(crate) apps: BTreeMap<AppId, App>,
    pub(crate) versions: BTreeMap<VersionId, Version>,
    pub(crate) deployments: BTreeMap<DeploymentId, Deployment>,
    pub(crate) users: BTreeMap<Username, UserRecord>,
    pub(crate) audit: Vec<AuditEntry>,
    pub(crate) log: Vec<Logged>,
    pub(crate) receipts: BTreeMap<ChangesetId, Receipt>,
    pub(crate) remembered: Vec<IdempotencyRecord>,
    pub(crate) checkpoints: Vec<Stand>,
    pub(crate) dead_letters: Vec<DeadLetter>,
}

impl State {
    /// Of a store that was never used.
    pub(crate) fn empty(log_id: LogId) -> Self {
        Self {
            log_id,
            next_ids: NextIds { apps: 1, versions: 1, deployments: 1 },
            apps: BTreeMap::new(),
            versions: BTreeMap::new(),
            deployments: BTreeMap::new(),
            users: BTreeMap::new(),
            audit: Vec::new(),
            log: Vec::new(),
            receipts: BTreeMap::new(),
            remembered: Vec::new(),
            checkpoints: Vec::new(),
            dead_letters: Vec::new(),
        }
    }

    /// Gives `count` ids away.
    pub(crate) fn allocate(&mut self, sequence: Sequence, count: u32) -> IdBlock {
        let next = match sequence {
            Sequence::Apps => &mut self.next_ids.apps,
            Sequence::Versions => &mut self.next_ids.versions,
            Sequence::Deployments => &mut self.next_ids.deployments,
        };
        let first = *next;
        *next += i64::from(count);
        IdBlock { first, count }
    }
}

/// The ids that no one has yet.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct NextIds {
    apps: i64,
    versions: i64,
    deployments: i64,
}

/// Where a consumer stands in a log.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Stand {
    pub(crate) consumer: ConsumerName,
    pub(crate) log: LogId,
    pub(crate) position: Position,
}

/// An event of the log. In the file it is a `CloudEvents` document, the form in which events leave a process.
#[derive(Clone, Serialize, Deserialize)]
#[serde(into = "CloudEvent", try_from = "CloudEvent")]
pub(crate) struct Logged(pub(crate) Arc<Event>);

impl From<Logged> for CloudEvent {
    fn from(Logged(event): Logged) -> Self {
        Self::from(event.as_ref())
    }
}

impl TryFrom<CloudEvent> for Logged {
    type Error = Rejected;

    fn try_from(document: CloudEvent) -> Result<Self, Rejected> {
        Ok(Self(Arc::new(Event::try_from(document)?)))
    }
}
