//! The one task that writes. It takes what waits, makes it true in one transaction, and answers once that is committed.

use std::{
    collections::VecDeque,
    iter,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use alm_core::{
    changeset::{Changeset, Receipt},
    domain::{Position, Timestamp},
    ports::{Bucket, Growth, IdBlock, Outcome, Rate, Sequence, StoreError, Trimmed},
};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    commit::{self, Applied, Refused},
    error::{fault, fault_with, is_busy, is_full, said},
};

/// At most so many jobs share a transaction: the first of them waits for the last.
const GROUP: usize = 256;

/// Whom an answer is for.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What there is to do.
pub(crate) enum Job {
    Commit(Changeset, Reply<Receipt>),
    Allocate(Sequence, u32, Reply<IdBlock>),
    Trim(Position, Timestamp, usize, Reply<Trimmed>),
    ForgetAnswers(Timestamp, usize, Reply<u64>),
    Admit(Bucket, Rate, Timestamp, Reply<Result<(), Timestamp>>),
    Grow(Growth, Reply<()>),
}

impl Job {
    /// Whether it can be done by the same statements as others.
    fn is_joinable(&self) -> bool {
        self.changeset().is_some_and(commit::is_joinable)
    }

    fn changeset(&self) -> Option<&Changeset> {
        match self {
            Self::Commit(changeset, _) => Some(changeset),
            Self::Allocate(..) | Self::Trim(..) | Self::ForgetAnswers(..) | Self::Admit(..) | Self::Grow(..) => None,
        }
    }

    /// Whether no one waits for the answer any more.
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Commit(_, reply) => reply.is_closed(),
            Self::Allocate(_, _, reply) => reply.is_closed(),
            Self::Trim(_, _, _, reply) => reply.is_closed(),
            Self::ForgetAnswers(_, _, reply) => reply.is_closed(),
            Self::Admit(_, _, _, reply) => reply.is_closed(),
            Self::Grow(_, reply) => reply.is_closed(),
        }
    }

    fn fail(self, error: StoreError) {
        match self {
            Self::Commit(_, reply) => drop(reply.send(Err(error))),
            Self::Allocate(_, _, reply) => drop(reply.send(Err(error))),
            Self::Trim(_, _, _, reply) => drop(reply.send(Err(error))),
            Self::ForgetAnswers(_, _, reply) => drop(reply.send(Err(error))),
            Self::Admit(_, _, _, reply) => drop(reply.send(Err(error))),
            Self::Grow(_, reply) => drop(reply.send(Err(error))),
        }
    }
}

/// What came of a job, to be told once it is committed. A refusal too: what it was refused for may not be committed yet.
enum Done {
    Committed(Reply<Receipt>, Result<Receipt, StoreError>),
    Allocated(Reply<IdBlock>, Result<IdBlock, StoreError>),
    Trimmed(Reply<Trimmed>, Result<Trimmed, StoreError>),
    Forgotten(Reply<u64>, Result<u64, StoreError>),
    Admitted(Reply<Result<(), Timestamp>>, Result<Result<(), Timestamp>, StoreError>),
    Grown(Reply<()>, Result<(), StoreError>),
}

impl Done {
    // Whoever has gone does not hear it.
    fn tell(self) {
        match self {
            Self::Committed(reply, answer) => drop(reply.send(answer)),
            Self::Allocated(reply, answer) => drop(reply.send(answer)),
            Self::Trimmed(reply, answer) => drop(reply.send(answer)),
            Self::Forgotten(reply, answer) => drop(reply.send(answer)),
            Self::Admitted(reply, answer) => drop(reply.send(answer)),
            Self::Grown(reply, answer) => drop(reply.send(answer)),
        }
    }

    fn fail(self, outcome: Outcome, error: &Arc<sqlx::Error>) {
        match self {
            Self::Committed(reply, answer) => drop(reply.send(lost(&answer, outcome, error))),
            Self::Allocated(reply, answer) => drop(reply.send(lost(&answer, outcome, error))),
            Self::Trimmed(reply, answer) => drop(reply.send(lost(&answer, outcome, error))),
            Self::Forgotten(reply, answer) => drop(reply.send(lost(&answer, outcome, error))),
            Self::Admitted(reply, answer) => drop(reply.send(lost(&answer, outcome, error))),
            Self::Grown(reply, answer) => drop(reply.send(lost(&answer, outcome, error))),
        }
    }
}

/// The answer when the transaction is lost: what was refused has certainly had no effect.
fn lost<T>(answer: &Result<T, StoreError>, outcome: Outcome, error: &Arc<sqlx::Error>) -> Result<T, StoreError> {
    let outcome = if answer.is_ok() { outcome } else { Outcome::NotApplied };
    Err(fault_with("commit", outcome, error.clone()))
}

/// Whether a job is done; if not, with what the database has said.
fn done<T>(answer: &Result<T, StoreError>) -> Result<(), Option<Arc<sqlx::Error>>> {
    answer.as_ref().map(drop).map_err(said)
}

pub(crate) struct Writer {
    pub(crate) options: SqliteConnectOptions,
    // None after a fault: what state the connection is in, no one knows.
    pub(crate) connection: Option<SqliteConnection>,
    pub(crate) jobs: mpsc::Receiver<Job>,
    pub(crate) head: watch::Sender<Position>,
    pub(crate) transactions: Arc<AtomicU64>,
}

impl Writer {
    /// Works until the store is closed or its last handle is dropped, and what waits by then is done.
    pub(crate) async fn run(mut self) {
        while let Some(job) = self.jobs.recv().await {
            if !job.is_abandoned() {
                self.group(job).await;
            }
        }
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the SQLite file of ALM was not closed cleanly");
        }
    }

    /// Commits `first`, and with it what else waits.
    async fn group(&mut self, first: Job) {
        let mut connection = match self.begin().await {
            Ok(connection) => connection,
            Err(error) => {
                // What waits has waited for the same lock; it must not wait for it one after the other.
                let error = Arc::new(error);
                let waiting = iter::from_fn(|| self.jobs.try_recv().ok());
                return iter::once(first).chain(waiting).for_each(|job| job.fail(fault("begin", error.clone())));
            }
        };
        let mut group = Group::default();
        group.jobs.push_back(first);
        loop {
            // What came while the lock was waited for is taken along, and then what came meanwhile.
            group.take(&mut self.jobs);
            if group.jobs.is_empty() {
                break;
            }
            if let Err(error) = group.perform(&mut connection).await {
                // The connection goes, and with it the transaction.
                return group.fail(Outcome::NotApplied, error);
            }
        }
        tracing::trace!(name: "commit_begun", "a transaction is to be committed");
        if let Err(error) = sqlx::query("COMMIT").execute(&mut connection).await {
            // Its last page in the write-ahead log makes it count, and when the disk is full there was no space for that. After
            // another fault what the disk has may be found whole when the file is opened again.
            let outcome = if is_full(&error) { Outcome::NotApplied } else { Outcome::Unknown };
            return group.fail(outcome, error);
        }
        tracing::trace!(name: "commit_done", "a transaction is committed");
        self.connection = Some(connection);
        self.transactions.fetch_add(1, Ordering::Relaxed);
        let commits = group.done.iter().filter(|done| matches!(done, Done::Committed(_, Ok(_)))).count();
        if let Some(commits) = u32::try_from(commits).ok().filter(|commits| *commits > 0) {
            metrics::histogram!("alm_commit_batch_size", "store" => "sqlite").record(commits);
        }
        if let Some(head) = group.head {
            self.head.send_replace(head);
        }
        group.done.into_iter().for_each(Done::tell);
    }

    /// The connection, in a transaction that has the lock to write, at the savepoint of the first job.
    async fn begin(&mut self) -> Result<SqliteConnection, sqlx::Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        match sqlx::query("BEGIN IMMEDIATE; SAVEPOINT job").execute(&mut connection).await {
            Ok(_) => Ok(connection),
            Err(error) => {
                if is_busy(&error) {
                    self.connection = Some(connection);
                }
                Err(error)
            }
        }
    }
}

/// What shares a transaction.
#[derive(Default)]
struct Group {
    /// What is still to be done.
    jobs: VecDeque<Job>,
    done: Vec<Done>,
    head: Option<Position>,
    /// Whether something was done since the savepoint that must stay.
    is_past_savepoint: bool,
}

impl Group {
    /// Takes what waits and still has a place.
    fn take(&mut self, jobs: &mut mpsc::Receiver<Job>) {
        let places = GROUP.saturating_sub(self.jobs.len() + self.done.len());
        self.jobs.extend(iter::from_fn(|| jobs.try_recv().ok()).filter(|job| !job.is_abandoned()).take(places));
    }

    /// Does what is to be done.
    ///
    /// # Errors
    /// The transaction is lost.
    async fn perform(&mut self, connection: &mut SqliteConnection) -> Result<(), Arc<sqlx::Error>> {
        // They all wait at the same time, so any of them may come first.
        self.jobs.make_contiguous().sort_by_key(|job| !job.is_joinable());
        let mut parts = vec![self.jobs.partition_point(Job::is_joinable)];
        while let Some(size) = parts.pop() {
            match size {
                0 => {}
                _ if self.join(connection, size).await? => {}
                1 => self.next(connection).await?,
                // Whoever is refused is found by halves, so that the others stay together.
                _ => parts.extend([size - size / 2, size / 2]),
            }
        }
        while !self.jobs.is_empty() {
            self.next(connection).await?;
        }
        Ok(())
    }

    /// Does the first `size` jobs together, unless that is refused; says whether it did.
    async fn join(&mut self, connection: &mut SqliteConnection, size: usize) -> Result<bool, Arc<sqlx::Error>> {
        self.savepoint(connection).await?;
        let changesets: Vec<&Changeset> = self.jobs.iter().take(size).filter_map(Job::changeset).collect();
        let head = match commit::apply_together(connection, &changesets).await {
            Ok(head) => head,
            Err(Refused(error)) => {
                self.roll_back(connection, error.as_ref().and_then(said)).await?;
                return Ok(false);
            }
        };
        self.head = head.or(self.head);
        self.is_past_savepoint = true;
        for job in self.jobs.drain(..size) {
            if let Job::Commit(changeset, reply) = job {
                self.done.push(Done::Committed(reply, Ok(changeset.receipt())));
            }
        }
        Ok(true)
    }

    /// Does the first job by itself: when it is refused, nothing of it stays.
    async fn next(&mut self, connection: &mut SqliteConnection) -> Result<(), Arc<sqlx::Error>> {
        self.savepoint(connection).await?;
        let done = match self.jobs.pop_front() {
            None => Ok(()),
            Some(Job::Commit(changeset, reply)) => {
                let applied = commit::apply(connection, &changeset).await;
                if let Ok(Applied { head: Some(head), .. }) = &applied {
                    self.head = Some(*head);
                }
                let receipt = applied.map(|applied| applied.receipt);
                let done = done(&receipt);
                self.done.push(Done::Committed(reply, receipt));
                done
            }
            Some(Job::Allocate(sequence, count, reply)) => {
                let block = commit::allocate(connection, sequence, count).await;
                let done = done(&block);
                self.done.push(Done::Allocated(reply, block));
                done
            }
            Some(Job::Trim(up_to, before, limit, reply)) => {
                let trimmed = commit::trim(connection, up_to, before, limit).await;
                let done = done(&trimmed);
                self.done.push(Done::Trimmed(reply, trimmed));
                done
            }
            Some(Job::ForgetAnswers(now, limit, reply)) => {
                let forgotten = commit::forget_answers(connection, now, limit).await;
                let done = done(&forgotten);
                self.done.push(Done::Forgotten(reply, forgotten));
                done
            }
            Some(Job::Admit(bucket, rate, now, reply)) => {
                let admitted = commit::admit(connection, &bucket, rate, now).await;
                let done = done(&admitted);
                self.done.push(Done::Admitted(reply, admitted));
                done
            }
            Some(Job::Grow(growth, reply)) => {
                let grown = commit::grow(connection, growth).await;
                let done = done(&grown);
                self.done.push(Done::Grown(reply, grown));
                done
            }
        };
        self.is_past_savepoint = true;
        match done {
            Ok(()) => Ok(()),
            Err(cause) => self.roll_back(connection, cause).await,
        }
    }

    /// Sets the savepoint to here.
    async fn savepoint(&mut self, connection: &mut SqliteConnection) -> Result<(), Arc<sqlx::Error>> {
        if self.is_past_savepoint {
            sqlx::query("RELEASE job; SAVEPOINT job").execute(connection).await?;
            self.is_past_savepoint = false;
        }
        Ok(())
    }

    /// Undoes what was done since the savepoint, because of `cause` if the database has said something.
    async fn roll_back(
        &mut self,
        connection: &mut SqliteConnection,
        cause: Option<Arc<sqlx::Error>>,
    ) -> Result<(), Arc<sqlx::Error>> {
        // After some faults, as when the disk is full, SQLite undoes the whole transaction by itself. Then there is no savepoint any
        // more, and what counts is the fault.
        let undone = sqlx::query("ROLLBACK TO job").execute(connection).await;
        undone.map_err(|error| cause.unwrap_or_else(|| error.into()))?;
        self.is_past_savepoint = false;
        Ok(())
    }

    /// The transaction came to nothing, or no one knows.
    fn fail(self, outcome: Outcome, error: impl Into<Arc<sqlx::Error>>) {
        let error = error.into();
        for done in self.done {
            done.fail(outcome, &error);
        }
        for job in self.jobs {
            job.fail(fault("commit", error.clone()));
        }
    }
}
