//! Commits that come at the same time share a transaction, because what a transaction costs is mostly the same for one and for
//! many: a round trip, and the wait until it is on the disk.
//!
//! What comes while a group is committed makes up the next one, so nobody waits for company. A group is one statement, tried in the
//! hope that nothing in it is refused. When something is, nothing was done, and each half is tried by itself, down to whoever was
//! refused, who then commits alone and gets the answer. So one's refusal is never another's.

use std::{sync::Arc, time::Duration};

use alm_core::{
    changeset::{Changeset, Write},
    domain::Position,
};
use sqlx::PgConnection;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    error::{Fault, is_about_a_row, is_connection_lost},
    pool::Pool,
    seal::Publish,
};

use super::together::apply_together;

/// How many changesets share a transaction at most.
const MOST: usize = 64;

/// How long a group waits for a connection. After that each waits for itself.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long a group waits for a row that someone holds.
pub(crate) const GROUP_WAITS: Duration = Duration::from_millis(25);

/// Commits in groups.
pub(crate) struct Groups {
    pool: Pool,
    queue: mpsc::UnboundedSender<Waiting>,
}

/// A changeset and whoever waits for it.
struct Waiting {
    changeset: Arc<Changeset>,
    told: oneshot::Sender<Joined>,
}

/// What became of a changeset that was to be committed with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// It is committed.
    Committed,
    /// It is not: it must be committed alone.
    Not,
    /// It must be committed alone as well, which gives the first receipt if it was committed before; but if that fails, it is not
    /// known what has become of it.
    InDoubt,
}

impl Groups {
    /// They are committed on the connection of a pool that has one, on which no statement waits for longer than [`GROUP_WAITS`]: only
    /// one in the group has to.
    pub(crate) fn start(pool: Pool, publish: Publish) -> Self {
        // What is in the queue is bounded by those who wait for it.
        let (queue, waiting) = mpsc::unbounded_channel();
        // It ends when no one can ask any more.
        tokio::spawn(work(pool.clone(), waiting, publish));
        Self { pool, queue }
    }

    /// Closes their connection, once it is not used any more.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// Commits with others.
    pub(crate) async fn commit(&self, changeset: &Arc<Changeset>) -> Joined {
        if !may_join(changeset) {
            return Joined::Not;
        }
        let (told, answer) = oneshot::channel();
        if self.queue.send(Waiting { changeset: changeset.clone(), told }).is_err() {
            return Joined::Not;
        }
        // The task may end with the runtime that it was started on.
        answer.await.unwrap_or(Joined::InDoubt)
    }
}

/// Whether the order of its writes may be given up, and whether it can be found by its id when the end of the transaction is not
/// known.
fn may_join(changeset: &Changeset) -> bool {
    let (answers, others): (Vec<_>, Vec<_>) =
        changeset.writes().iter().partition(|write| matches!(write, Write::RememberOutcome(_)));
    let in_groups = |write: &&Write| {
        matches!(
            write,
            Write::InsertApp(_) | Write::InsertVersion(_) | Write::InsertDeployment(_) | Write::UpdateDeployment { .. }
        )
    };
    answers.len() <= 1
        && others.len() <= 1
        && others.iter().all(in_groups)
        && !changeset.events().is_empty()
        && changeset.checkpoint().is_none()
}

async fn work(pool: Pool, mut waiting: mpsc::UnboundedReceiver<Waiting>, publish: Publish) {
    let mut group = Vec::with_capacity(MOST);
    while waiting.recv_many(&mut group, MOST).await > 0 {
        // Whoever has given up in the queue gets what they wanted.
        group.retain(|waiting| !waiting.told.is_closed());
        commit(&pool, std::mem::take(&mut group), &publish).await;
    }
}

async fn commit(pool: &Pool, group: Vec<Waiting>, publish: &Publish) {
    let Ok(Ok(mut connection)) = timeout(PATIENCE, pool.take()).await else {
        // They are told why when they try alone.
        return tell(group, Joined::Not);
    };
    let mut parts = vec![group];
    while let Some(mut part) = parts.pop() {
        match try_together(pool, &mut connection, &part).await {
            Ok(head) => {
                publish.reached(head);
                tell(part, Joined::Committed);
            }
            Err(NotTogether::Refused) if part.len() > 1 => {
                parts.push(part.split_off(part.len() / 2));
                parts.push(part);
            }
            Err(NotTogether::Refused) => tell(part, Joined::Not),
            Err(NotTogether::Hindered(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "a group is committed one by one");
                if error.as_database_error().is_none() || is_connection_lost(&error) {
                    drop(connection);
                    tell(part, Joined::InDoubt);
                } else {
                    connection.give_back();
                    tell(part, Joined::Not);
                }
                return tell(parts.into_iter().flatten(), Joined::Not);
            }
        }
    }
    connection.give_back();
}

fn tell(group: impl IntoIterator<Item = Waiting>, joined: Joined) {
    for waiting in group {
        // Whoever has given up meanwhile does not hear of it.
        let _ = waiting.told.send(joined);
    }
}

/// Why a group was not committed.
enum NotTogether {
    /// Someone in it can't be committed, and nothing is.
    Refused,
    /// It would hinder those in the group who could do without.
    Hindered(sqlx::Error),
}

async fn try_together(
    pool: &Pool,
    connection: &mut PgConnection,
    group: &[Waiting],
) -> Result<Option<Position>, NotTogether> {
    let changesets: Vec<&Changeset> = group.iter().map(|waiting| waiting.changeset.as_ref()).collect();
    tracing::trace!(name: "commit_begun", "a transaction is to be committed");
    match pool.answer(1, apply_together(connection, &changesets)).await {
        Ok(head) => {
            tracing::trace!(name: "commit_done", "a transaction is committed");
            Ok(head)
        }
        Err(Fault::Sql(error)) if !is_about_a_row(&error) => Err(NotTogether::Hindered(error)),
        Err(Fault::Sql(_) | Fault::Refused(_)) => Err(NotTogether::Refused),
    }
}
