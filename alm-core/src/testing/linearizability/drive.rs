//! Clients that work on a store at once, and a look at whether their answers are linearizable.
//!
//! # Panics
//! All of them, with the [`Violation`](super::Violation) when the answers are not linearizable, and when a store can't be used.
#![expect(clippy::missing_panics_doc, reason = "said once, for the whole module")]

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use tokio::task::JoinSet;

use crate::{
    changeset::{Change, Changeset},
    domain::{App, AppId, Deployment, DeploymentStatus, Description, Revision},
    ports::{Contention, Outcome, Sequence, Store, StoreError},
    runtime::yield_now,
    testing::fixtures::{app, at, deployment, deployment_id, of, successful, version},
};

use super::{
    RegisterAnswer, RegisterOperation, RevisionRegister, WhatRuns, WhatRunsAnswer, WhatRunsOperation, check,
    history::Recorder,
};

type RegisterRecorder = Recorder<RegisterOperation<String>, RegisterAnswer<String>>;
type RunsRecorder = Recorder<WhatRunsOperation, WhatRunsAnswer>;

/// Lets `clients` tasks read an app and replace its description under compare-and-set, `operations` times each, and checks that it
/// is a [`RevisionRegister`]. The clients take turns in the handles `stores`, which are all of one store; it need not be empty.
pub async fn commits(stores: Vec<Arc<dyn Store>>, clients: usize, operations: usize) {
    let first = stores.first().expect("at least one handle");
    let app = an_app(first.as_ref()).await;
    let recorder = Arc::new(RegisterRecorder::default());
    let mut tasks = JoinSet::new();
    for (client, store) in (0..clients).zip(stores.iter().cycle()) {
        let writer = Writer { client, store: store.clone(), app: app.clone(), recorder: recorder.clone() };
        tasks.spawn(writer.work(operations));
    }
    tasks.join_all().await;
    let history = recorder.history();
    let written = history.calls().iter().filter(|call| matches!(call.answered, Some((_, RegisterAnswer::Done))));
    assert!(written.count() > 0, "no write was done, so nothing was checked");
    let register = RevisionRegister { revision: app.revision, value: String::new() };
    check(&register, &history).unwrap_or_else(|violation| panic!("{violation}"));
}

struct Writer {
    client: usize,
    store: Arc<dyn Store>,
    app: App,
    recorder: Arc<RegisterRecorder>,
}

impl Writer {
    async fn work(self, operations: usize) {
        let mut known = None;
        for round in 0..operations {
            // Now and then someone writes to a revision that is long gone.
            let stale = dice(self.client, round).is_multiple_of(16);
            known = match known {
                _ if stale => self.write(self.app.revision, round).await,
                Some(revision) if !dice(self.client, round).is_multiple_of(3) => self.write(revision, round).await,
                _ => self.read().await,
            };
            yield_now().await;
        }
    }

    /// The revision that was read.
    async fn read(&self) -> Option<Revision> {
        let invocation = self.recorder.invoke(self.client, RegisterOperation::Read);
        let Ok(app) = self.store.app(self.app.id).await else {
            self.recorder.forget(invocation);
            return None;
        };
        let App { revision, description, .. } = app.expect("the app that was created is there");
        let value = description.as_str().to_owned();
        self.recorder.answer(invocation, RegisterAnswer::Value { revision, value });
        Some(revision)
    }

    /// The revision that was written, if it is known.
    async fn write(&self, expected: Revision, round: usize) -> Option<Revision> {
        let value = format!("{} of client {}", round, self.client);
        let description = Description::try_from(value.clone()).expect("a description");
        let revision = expected.next();
        let app = App { description, revision, ..self.app.clone() };
        let invocation = self.recorder.invoke(self.client, RegisterOperation::Write { expected, value });
        match self.store.commit(of(Change::app_updated(&app, expected))).await {
            Ok(_) => {
                self.recorder.answer(invocation, RegisterAnswer::Done);
                return Some(revision);
            }
            Err(StoreError::Conflict(Contention::Revision(_))) => {
                self.recorder.answer(invocation, RegisterAnswer::Conflict);
            }
            Err(error) => match fault(&error) {
                Outcome::NotApplied => self.recorder.forget(invocation),
                Outcome::Unknown => drop(invocation),
            },
        }
        None
    }
}

/// Lets `clients` tasks finish deployments, delete them and ask what runs, `operations` times each, all in one environment of one
/// app, and checks that it is as [`WhatRuns`] says. The clients take turns in the handles `stores`, which are all of one store; it
/// need not be empty.
pub async fn what_runs(stores: Vec<Arc<dyn Store>>, clients: usize, operations: usize) {
    let first = stores.first().expect("at least one handle");
    let app = an_app(first.as_ref()).await.id;
    let version_id = allocate(first.as_ref(), Sequence::Versions).await;
    commit(first.as_ref(), of(Change::version_created(&version(version_id, app.get(), "v1")))).await;
    let recorder = Arc::new(RunsRecorder::default());
    let mut tasks = JoinSet::new();
    for (client, store) in (0..clients).zip(stores.iter().cycle()) {
        let deployer = Deployer { client, store: store.clone(), app, version: version_id, recorder: recorder.clone() };
        tasks.spawn(deployer.work(operations));
    }
    tasks.join_all().await;
    let history = recorder.history();
    let finished = history.calls().iter().filter(|call| matches!(call.answered, Some((_, WhatRunsAnswer::Done))));
    assert!(finished.count() > 0, "no deployment was finished, so nothing was checked");
    check(&WhatRuns, &history).unwrap_or_else(|violation| panic!("{violation}"));
}

struct Deployer {
    client: usize,
    store: Arc<dyn Store>,
    app: AppId,
    version: i64,
    recorder: Arc<RunsRecorder>,
}

impl Deployer {
    async fn work(self, operations: usize) {
        let mut mine = Vec::new();
        for round in 0..operations {
            match dice(self.client, round) % 10 {
                0..4 => mine.extend(self.finish(round).await),
                // The newest, because it is the likeliest to run.
                4..6 if !mine.is_empty() => {
                    let newest = mine.pop().expect("there is one");
                    self.delete(&newest).await;
                }
                _ => self.read().await,
            }
            yield_now().await;
        }
    }

    /// The deployment that is successful, if it is known to be.
    async fn finish(&self, round: usize) -> Option<Deployment> {
        let id = allocate(self.store.as_ref(), Sequence::Deployments).await;
        // Several clients finish at the same time.
        let time = i64::try_from(round / 4).expect("few rounds");
        let (mut done, app) = (successful(id, self.version, self.app.get(), time), self.app.get());
        let changeset = if round.is_multiple_of(2) {
            of(Change::deployment_created(&done))
        } else {
            let pending = deployment(id, self.version, app);
            commit(self.store.as_ref(), of(Change::deployment_created(&pending))).await;
            done.revision = pending.revision.next();
            of(Change::deployment_updated(&done, pending.revision, DeploymentStatus::Pending))
        };
        let operation = WhatRunsOperation::Finish { deployment: deployment_id(id), at: at(time) };
        let invocation = self.recorder.invoke(self.client, operation);
        match self.store.commit(changeset).await {
            Ok(_) => {
                self.recorder.answer(invocation, WhatRunsAnswer::Done);
                return Some(done);
            }
            Err(error) => match fault(&error) {
                Outcome::NotApplied => self.recorder.forget(invocation),
                Outcome::Unknown => drop(invocation),
            },
        }
        None
    }

    async fn delete(&self, deployment: &Deployment) {
        let operation = WhatRunsOperation::Delete { deployment: deployment.id };
        let invocation = self.recorder.invoke(self.client, operation);
        match self.store.commit(of(Change::deployment_deleted(deployment))).await {
            Ok(_) => self.recorder.answer(invocation, WhatRunsAnswer::Done),
            Err(StoreError::NotFound(_)) => self.recorder.answer(invocation, WhatRunsAnswer::Absent),
            Err(error) => match fault(&error) {
                Outcome::NotApplied => self.recorder.forget(invocation),
                Outcome::Unknown => drop(invocation),
            },
        }
    }

    async fn read(&self) {
        let invocation = self.recorder.invoke(self.client, WhatRunsOperation::Read);
        match self.store.running(self.app, None, 2).await {
            Ok(running) => {
                assert!(running.len() < 2, "one environment was deployed to: {running:?}");
                let runs = running.first().map(|running| running.deployment.id);
                self.recorder.answer(invocation, WhatRunsAnswer::Runs(runs));
            }
            Err(_) => self.recorder.forget(invocation),
        }
    }
}

/// An app of its own, with no description.
async fn an_app(store: &dyn Store) -> App {
    let id = allocate(store, Sequence::Apps).await;
    let app = app(id, &format!("linearizability {id}"));
    commit(store, of(Change::app_created(&app))).await;
    app
}

async fn allocate(store: &dyn Store, sequence: Sequence) -> i64 {
    store.allocate(sequence, 1).await.expect("the store gives ids").first
}

async fn commit(store: &dyn Store, changeset: Changeset) {
    store.commit(changeset).await.expect("the store commits what it takes to begin");
}

/// Whether what failed had an effect; it must be a fault, for nothing else stands against it.
fn fault(error: &StoreError) -> Outcome {
    assert!(matches!(error, StoreError::Backend(_)), "a commit was refused for no reason: {error:?}");
    error.outcome()
}

/// What a client does in a round: as good as random, and the same in every run.
fn dice(client: usize, round: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    (client, round).hash(&mut hasher);
    hasher.finish()
}
