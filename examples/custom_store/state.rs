//! Everything that the store keeps: plain data, which serde writes to the file and reads from it.

use std::{collections::BTreeMap, sync::Arc};

use alm_core::{
    changeset::{ConsumerName, DeadLetter, IdempotencyRecord, Receipt},
    domain::{
        App, AppId, AuditEntry, ChangesetId, CloudEvent, Credential, CredentialId, Deployment, DeploymentId, Event,
        LogId, ParentId, Position, Rejected, Timestamp, UserRecord, Username, Version, VersionId,
    },
    ports::{Bucket, IdBlock, Rate, Sequence, Trimmed},
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
    /// Sessions and API keys.
    #[serde(default)]
    pub(crate) credentials: BTreeMap<CredentialId, Credential>,
    /// Those of another service that are gone, each with the time until which that must be known.
    #[serde(default)]
    pub(crate) revoked: BTreeMap<CredentialId, Timestamp>,
    /// Until when each bucket of attempts is filled.
    #[serde(default)]
    pub(crate) buckets: BTreeMap<String, Timestamp>,
    pub(crate) audit: Vec<AuditEntry>,
    /// How many events were taken from the front of the log.
    #[serde(default)]
    pub(crate) trimmed: u64,
    pub(crate) log: Vec<Logged>,
    pub(crate) receipts: BTreeMap<ChangesetId, Receipt>,
    pub(crate) remembered: Vec<IdempotencyRecord>,
    pub(crate) checkpoints: Vec<Stand>,
    pub(crate) dead_letters: Vec<DeadLetter>,
    /// Apps that live elsewhere, each as its own app while it is live.
    #[serde(default)]
    pub(crate) known_apps: BTreeMap<AppId, Option<AppId>>,
    /// Versions that live elsewhere, each with its app while it is live.
    #[serde(default)]
    pub(crate) known_versions: BTreeMap<VersionId, Option<AppId>>,
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
            credentials: BTreeMap::new(),
            revoked: BTreeMap::new(),
            buckets: BTreeMap::new(),
            audit: Vec::new(),
            trimmed: 0,
            log: Vec::new(),
            receipts: BTreeMap::new(),
            remembered: Vec::new(),
            checkpoints: Vec::new(),
            dead_letters: Vec::new(),
            known_apps: BTreeMap::new(),
            known_versions: BTreeMap::new(),
        }
    }

    /// Takes the oldest events from the log, as long as they stand at `up_to` or below and happened before `before`. With them
    /// goes what is known of their changesets.
    pub(crate) fn trim(&mut self, up_to: Position, before: Timestamp, limit: usize) -> Trimmed {
        let goes = |logged: &&Logged| logged.0.position <= up_to && logged.0.time < before;
        let events = self.log.iter().take(limit).take_while(goes).count();
        for logged in self.log.drain(..events) {
            self.receipts.remove(&logged.0.changeset);
        }
        self.trimmed += events as u64;
        Trimmed { events: events as u64, oldest: self.oldest() }
    }

    /// Counts an attempt, unless it is one too many.
    pub(crate) fn admit(&mut self, bucket: &Bucket, rate: Rate, now: Timestamp) -> Result<(), Timestamp> {
        let next = rate.admit(self.buckets.get(bucket.as_str()).copied(), now)?;
        self.buckets.retain(|_, full_at| *full_at > now);
        self.buckets.insert(bucket.as_str().to_owned(), next);
        Ok(())
    }

    /// Forgets answers that have expired; says how many.
    pub(crate) fn forget_answers(&mut self, now: Timestamp, limit: usize) -> u64 {
        let mut forgotten = 0;
        self.remembered.retain(|record| {
            let goes = forgotten < limit as u64 && !record.is_live(now);
            forgotten += u64::from(goes);
            !goes
        });
        forgotten
    }

    /// Keeps that a parent that lives elsewhere is live and of that app, or gone.
    pub(crate) fn know(&mut self, parent: ParentId, app_id: Option<AppId>) {
        match parent {
            ParentId::App(id) => self.known_apps.insert(id, app_id),
            ParentId::Version(id) => self.known_versions.insert(id, app_id),
        };
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
