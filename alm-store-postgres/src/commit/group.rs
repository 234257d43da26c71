//! Commits that come at the same time share a transaction, because what a transaction costs is mostly the same for one and for
//! many: round trips, and the wait until it is on the disk.
//!
//! What comes while a group is committed makes up the next one, so nobody waits for company. A group is tried in the hope that
//! nothing in it is refused. When something is, the transaction is undone and each half is tried by itself, down to whoever was
//! refused, who then commits alone and gets the answer. So one's refusal is never another's.

use std::{sync::Arc, time::Duration};

use alm_core::{
    changeset::{Changeset, Receipt, Write},
    domain::Position,
};
use sqlx::{Connection, PgConnection, Postgres, pool::PoolConnection};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    error::{Fault, is_about_a_row},
    pool::Pool,
    seal::Publish,
};

use super::{Decided, check, decided, events, events::Sealing, make};

/// How many changesets share a transaction at most.
const MOST: usize = 64;

/// How long a group waits for a connection. After that each waits for itself.
const PATIENCE: Duration = Duration::from_millis(250);

/// A group must not wait for a row that someone holds: only one in it has to.
const BEGIN: &str = "BEGIN; SET LOCAL lock_timeout = '25ms'";

/// Round trips of a group: one for each kind of guard and of write, the events.
const STATEMENTS: usize = 2 + KINDS + 1;

/// Commits in groups.
pub(crate) struct Groups {
    queue: mpsc::UnboundedSender<Waiting>,
}

/// A changeset and whoever waits for it, who is told whether it was committed.
struct Waiting {
    changeset: Arc<Changeset>,
    committed: oneshot::Sender<bool>,
}

impl Groups {
    pub(crate) fn start(pool: Pool, publish: Publish) -> Self {
        // What is in the queue is bounded by those who wait for it.
        let (queue, waiting) = mpsc::unbounded_channel();
        // It ends when no one can ask any more.
        tokio::spawn(work(pool, waiting, publish));
        Self { queue }
    }

    /// Commits with others; `None` when it was not, or may not have been: it must be committed alone.
    pub(crate) async fn commit(&self, changeset: &Arc<Changeset>) -> Option<Receipt> {
        if !may_join(changeset) {
            return None;
        }
        let (committed, answer) = oneshot::channel();
        self.queue.send(Waiting { changeset: changeset.clone(), committed }).ok()?;
        // The task may end with the runtime that it was started on.
        answer.await.unwrap_or(false).then(|| changeset.receipt())
    }
}

/// Kinds of writes that can be made for many changesets by one statement, in the order in which they are made.
const KINDS: usize = 5;

fn kind(write: &Write) -> Option<usize> {
    match write {
        Write::InsertApp(_) => Some(0),
        Write::InsertVersion(_) => Some(1),
        Write::InsertDeployment(_) => Some(2),
        Write::UpdateDeployment { .. } => Some(3),
        Write::RememberOutcome(_) => Some(4),
        _ => None,
    }
}

/// Whether the order of its writes may be given up, and whether it can be found by its id when the end of the transaction is not
/// known: then it is committed alone, and that gives the first receipt if it was committed before.
fn may_join(changeset: &Changeset) -> bool {
    let (answers, others): (Vec<_>, Vec<_>) =
        changeset.writes().iter().partition(|write| matches!(write, Write::RememberOutcome(_)));
    answers.len() <= 1
        && others.len() <= 1
        && others.iter().all(|write| kind(write).is_some())
        && !changeset.events().is_empty()
        && changeset.checkpoint().is_none()
}

async fn work(pool: Pool, mut waiting: mpsc::UnboundedReceiver<Waiting>, publish: Publish) {
    let mut group = Vec::with_capacity(MOST);
    while waiting.recv_many(&mut group, MOST).await > 0 {
        // Whoever has given up in the queue gets what they wanted.
        group.retain(|waiting| !waiting.committed.is_closed());
        commit(&pool, std::mem::take(&mut group), &publish).await;
    }
}

async fn commit(pool: &Pool, group: Vec<Waiting>, publish: &Publish) {
    let Ok(Ok(mut connection)) = timeout(PATIENCE, pool.take()).await else {
        // They are told why when they try alone.
        return leave_alone(group);
    };
    let mut parts = vec![group];
    while let Some(mut part) = parts.pop() {
        match try_together(pool, &mut connection, &part).await {
            Ok(head) => {
                publish.reached(head);
                for waiting in part {
                    // Whoever has given up meanwhile does not hear of it.
                    let _ = waiting.committed.send(true);
                }
            }
            Err(NotTogether::Refused) if part.len() > 1 => {
                parts.push(part.split_off(part.len() / 2));
                parts.push(part);
            }
            Err(NotTogether::Refused) => leave_alone(part),
            Err(NotTogether::Hindered(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "a group is committed one by one");
                if error.as_database_error().is_none() {
                    connection.close_on_drop();
                }
                leave_alone(part);
                return leave_alone(parts.into_iter().flatten());
            }
        }
    }
}

fn leave_alone(group: impl IntoIterator<Item = Waiting>) {
    for waiting in group {
        let _ = waiting.committed.send(false);
    }
}

/// Why a group was not committed.
enum NotTogether {
    /// Someone in it can't be committed, and nothing is.
    Refused,
    /// It would hinder those in the group who could do without; and what became of the transaction may not be known.
    Hindered(sqlx::Error),
}

impl From<sqlx::Error> for NotTogether {
    fn from(error: sqlx::Error) -> Self {
        Self::Hindered(error)
    }
}

async fn try_together(
    pool: &Pool,
    connection: &mut PoolConnection<Postgres>,
    group: &[Waiting],
) -> Result<Option<Position>, NotTogether> {
    let changesets: Vec<&Changeset> = group.iter().map(|waiting| waiting.changeset.as_ref()).collect();
    let mut transaction = pool.answer(1, connection.begin_with(BEGIN)).await?;
    match pool.answer(STATEMENTS, apply_together(&mut transaction, &changesets)).await {
        Ok(head) => {
            tracing::trace!(name: "commit_begun", "a transaction is to be committed");
            pool.answer(1, transaction.commit()).await?;
            tracing::trace!(name: "commit_done", "a transaction is committed");
            Ok(head)
        }
        Err(fault) => {
            pool.answer(1, transaction.rollback()).await?;
            match fault {
                Fault::Sql(error) if !is_about_a_row(&error) => Err(NotTogether::Hindered(error)),
                Fault::Sql(_) | Fault::Refused(_) => Err(NotTogether::Refused),
            }
        }
    }
}

/// Makes all of the changesets true in the transaction of `connection`, or fails: which of them is at fault is not known then.
async fn apply_together(connection: &mut PgConnection, changesets: &[&Changeset]) -> Result<Option<Position>, Fault> {
    let guards: Vec<_> = changesets.iter().flat_map(|changeset| changeset.guards()).copied().collect();
    check(connection, &guards).await?;
    let mut writes: Vec<Decided<'_>> = changesets.iter().flat_map(|changeset| decided(changeset)).collect();
    writes.sort_by_key(|decided| kind(decided.write));
    make(connection, &writes, |a, b| kind(a.write) == kind(b.write)).await?;
    events::append(connection, changesets, Sealing::Now).await
}
