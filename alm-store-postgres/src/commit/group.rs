//! Commits that come at the same time share a transaction, because what a transaction costs is mostly the same for one and for
//! many: a round trip, and the wait until it is on the disk.
//!
//! What comes while a group is committed makes up the next one, so nobody waits for company. A group is one statement, tried in the
//! hope that nothing in it is refused. When something is, nothing was done, and each half is tried by itself, down to whoever was
//! refused, who then commits alone and gets the answer. So one's refusal is never another's.

use std::sync::Arc;

use alm_core::{
    changeset::{Changeset, Write},
    domain::Position,
};
use sqlx::PgConnection;
use tokio::sync::{mpsc, oneshot};

use crate::{
    error::{Fault, is_about_a_row, is_connection_lost},
    pool::Pool,
    seal::Publish,
};

use super::{line::Line, together::apply_together};

/// How many changesets share a transaction at most.
const MOST: usize = 64;

/// Commits in groups.
pub(crate) struct Groups {
    queue: mpsc::UnboundedSender<Asked>,
}

enum Asked {
    Commit(Waiting),
    /// Nothing more: whoever asks is told when the connection is closed.
    Close(oneshot::Sender<()>),
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
    pub(crate) fn start(line: Line, publish: Publish) -> Self {
        // What is in the queue is bounded by those who wait for it.
        let (queue, asked) = mpsc::unbounded_channel();
        // It ends when no one can ask any more.
        tokio::spawn(work(line, asked, publish));
        Self { queue }
    }

    /// Closes their connection, once what has come before is committed.
    pub(crate) async fn close(&self) {
        let (closed, closing) = oneshot::channel();
        if self.queue.send(Asked::Close(closed)).is_ok() {
            let _ = closing.await;
        }
    }

    /// Commits with others.
    pub(crate) async fn commit(&self, changeset: &Arc<Changeset>) -> Joined {
        if !may_join(changeset) {
            return Joined::Not;
        }
        let (told, answer) = oneshot::channel();
        if self.queue.send(Asked::Commit(Waiting { changeset: changeset.clone(), told })).is_err() {
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

async fn work(mut line: Line, mut queue: mpsc::UnboundedReceiver<Asked>, publish: Publish) {
    let mut asked = Vec::with_capacity(MOST);
    let mut closing = Vec::new();
    while closing.is_empty() && queue.recv_many(&mut asked, MOST).await > 0 {
        let mut group = Vec::with_capacity(asked.len());
        for asked in asked.drain(..) {
            match asked {
                // Whoever has given up in the queue gets what they wanted.
                Asked::Commit(waiting) if waiting.told.is_closed() => {}
                Asked::Commit(waiting) => group.push(waiting),
                Asked::Close(closed) => closing.push(closed),
            }
        }
        if !group.is_empty() {
            commit(&mut line, group, &publish).await;
        }
    }
    line.close().await;
    for closed in closing {
        let _ = closed.send(());
    }
}

async fn commit(line: &mut Line, group: Vec<Waiting>, publish: &Publish) {
    let pool = line.pool().clone();
    let Some(connection) = line.ready().await else {
        // They are told why when they try alone.
        return tell(group, Joined::Not);
    };
    let mut parts = vec![group];
    while let Some(mut part) = parts.pop() {
        match try_together(&pool, connection, &part).await {
            Ok(head) => {
                publish.reached(head);
                report(part.len());
                tell(part, Joined::Committed);
            }
            Err(NotTogether::Refused) if part.len() > 1 => {
                parts.push(part.split_off(part.len() / 2));
                parts.push(part);
            }
            Err(NotTogether::Refused) => tell(part, Joined::Not),
            Err(NotTogether::Hindered(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "a group is committed one by one");
                let is_lost = error.as_database_error().is_none() || is_connection_lost(&error);
                if is_lost {
                    line.lose();
                }
                tell(part, if is_lost { Joined::InDoubt } else { Joined::Not });
                return tell(parts.into_iter().flatten(), Joined::Not);
            }
        }
    }
}

fn tell(group: impl IntoIterator<Item = Waiting>, joined: Joined) {
    for waiting in group {
        // Whoever has given up meanwhile does not hear of it.
        let _ = waiting.told.send(joined);
    }
}

/// So many were committed together.
fn report(commits: usize) {
    if let Ok(commits) = u32::try_from(commits) {
        metrics::histogram!("alm_commit_batch_size", "store" => "postgres").record(commits);
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
