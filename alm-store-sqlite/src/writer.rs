//! The one task that writes. It takes what waits, makes it true in one transaction, and answers once that is committed.

use std::{
    iter,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use alm_core::{
    changeset::{Changeset, Receipt},
    domain::{Position, Timestamp},
    ports::{IdBlock, Outcome, Sequence, StoreError, Trimmed},
};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    commit::{self, Applied},
    error::{fault, fault_with, is_busy},
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
}

impl Job {
    /// Whether no one waits for the answer any more.
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Commit(_, reply) => reply.is_closed(),
            Self::Allocate(_, _, reply) => reply.is_closed(),
            Self::Trim(_, _, _, reply) => reply.is_closed(),
            Self::ForgetAnswers(_, _, reply) => reply.is_closed(),
        }
    }

    fn fail(self, error: StoreError) {
        match self {
            Self::Commit(_, reply) => drop(reply.send(Err(error))),
            Self::Allocate(_, _, reply) => drop(reply.send(Err(error))),
            Self::Trim(_, _, _, reply) => drop(reply.send(Err(error))),
            Self::ForgetAnswers(_, _, reply) => drop(reply.send(Err(error))),
        }
    }
}

/// What came of a job, to be told once it is committed. A refusal too: what it was refused for may not be committed yet.
enum Done {
    Committed(Reply<Receipt>, Result<Receipt, StoreError>),
    Allocated(Reply<IdBlock>, Result<IdBlock, StoreError>),
    Trimmed(Reply<Trimmed>, Result<Trimmed, StoreError>),
    Forgotten(Reply<u64>, Result<u64, StoreError>),
}

impl Done {
    // Whoever has gone does not hear it.
    fn tell(self) {
        match self {
            Self::Committed(reply, answer) => drop(reply.send(answer)),
            Self::Allocated(reply, answer) => drop(reply.send(answer)),
            Self::Trimmed(reply, answer) => drop(reply.send(answer)),
            Self::Forgotten(reply, answer) => drop(reply.send(answer)),
        }
    }

    fn fail(self, outcome: Outcome, error: &Arc<sqlx::Error>) {
        match self {
            Self::Committed(reply, answer) => drop(reply.send(lost(&answer, outcome, error))),
            Self::Allocated(reply, answer) => drop(reply.send(lost(&answer, outcome, error))),
            Self::Trimmed(reply, answer) => drop(reply.send(lost(&answer, outcome, error))),
            Self::Forgotten(reply, answer) => drop(reply.send(lost(&answer, outcome, error))),
        }
    }
}

/// The answer when the transaction is lost: what was refused has certainly had no effect.
fn lost<T>(answer: &Result<T, StoreError>, outcome: Outcome, error: &Arc<sqlx::Error>) -> Result<T, StoreError> {
    let outcome = if answer.is_ok() { outcome } else { Outcome::NotApplied };
    Err(fault_with("commit", outcome, error.clone()))
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
        let mut next = Some(first);
        while let Some(job) = next {
            if let Err(error) = group.perform(&mut connection, job).await {
                // The connection goes, and with it the transaction.
                return group.fail(Outcome::NotApplied, error);
            }
            next = group.next(&mut self.jobs);
        }
        if let Err(error) = sqlx::query("COMMIT").execute(&mut connection).await {
            // What the disk has of it may be found whole when the file is opened again.
            return group.fail(Outcome::Unknown, error);
        }
        self.connection = Some(connection);
        self.transactions.fetch_add(1, Ordering::Relaxed);
        if let Some(head) = group.head {
            self.head.send_replace(head);
        }
        group.done.into_iter().for_each(Done::tell);
    }

    /// The connection, in a transaction that has the lock to write.
    async fn begin(&mut self) -> Result<SqliteConnection, sqlx::Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        match sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await {
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
    done: Vec<Done>,
    head: Option<Position>,
}

impl Group {
    /// What waits and still has a place. What came while the lock was waited for is taken along.
    fn next(&self, jobs: &mut mpsc::Receiver<Job>) -> Option<Job> {
        if self.done.len() == GROUP {
            return None;
        }
        iter::from_fn(|| jobs.try_recv().ok()).find(|job| !job.is_abandoned())
    }

    /// Does a job under a savepoint: when it is refused, nothing of it stays.
    ///
    /// # Errors
    /// The transaction is lost.
    async fn perform(&mut self, connection: &mut SqliteConnection, job: Job) -> Result<(), sqlx::Error> {
        let begun = sqlx::query("SAVEPOINT job").execute(&mut *connection).await;
        let begun = begun.map(drop).map_err(|error| fault("begin", error));
        let is_done = match job {
            Job::Commit(changeset, reply) => {
                let applied = match begun {
                    Ok(()) => commit::apply(connection, &changeset).await,
                    Err(error) => Err(error),
                };
                if let Ok(Applied { head: Some(head), .. }) = &applied {
                    self.head = Some(*head);
                }
                let receipt = applied.map(|applied| applied.receipt);
                let is_done = receipt.is_ok();
                self.done.push(Done::Committed(reply, receipt));
                is_done
            }
            Job::Allocate(sequence, count, reply) => {
                let block = match begun {
                    Ok(()) => commit::allocate(connection, sequence, count).await,
                    Err(error) => Err(error),
                };
                let is_done = block.is_ok();
                self.done.push(Done::Allocated(reply, block));
                is_done
            }
            Job::Trim(up_to, before, limit, reply) => {
                let trimmed = match begun {
                    Ok(()) => commit::trim(connection, up_to, before, limit).await,
                    Err(error) => Err(error),
                };
                let is_done = trimmed.is_ok();
                self.done.push(Done::Trimmed(reply, trimmed));
                is_done
            }
            Job::ForgetAnswers(now, limit, reply) => {
                let forgotten = match begun {
                    Ok(()) => commit::forget_answers(connection, now, limit).await,
                    Err(error) => Err(error),
                };
                let is_done = forgotten.is_ok();
                self.done.push(Done::Forgotten(reply, forgotten));
                is_done
            }
        };
        if !is_done {
            sqlx::query("ROLLBACK TO job").execute(&mut *connection).await?;
        }
        sqlx::query("RELEASE job").execute(&mut *connection).await.map(drop)
    }

    /// The transaction came to nothing, or no one knows.
    fn fail(self, outcome: Outcome, error: sqlx::Error) {
        let error = Arc::new(error);
        for done in self.done {
            done.fail(outcome, &error);
        }
    }
}
