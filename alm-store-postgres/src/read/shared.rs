//! Reads by id that come at the same time share a statement, because what a statement costs is mostly the same for one row and
//! for many: round trips, and the change from one process to another.
//!
//! What comes while a statement is answered goes with the next one, so nobody waits for company, and each statement is asked after
//! whoever shares it has asked.

use std::time::Duration;

use alm_core::{
    domain::{App, Deployment, Version},
    ports::StoreError,
};
use sqlx::PgConnection;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    error::Fault,
    pool::{Pool, with_connection},
    row::{FromColumns, all, app_columns, deployment_columns, version_columns},
};

/// How many reads share a statement at most.
const MOST: usize = 128;

/// How long they wait for a connection. After that each reads for itself.
const PATIENCE: Duration = Duration::from_millis(250);

/// What is read by its id.
pub(crate) trait ById: FromColumns + Clone + Send + 'static {
    /// Those whose ids are in `$1`, by id.
    const STATEMENT: &'static str;

    fn id(&self) -> i64;
}

macro_rules! by_id {
    ($value:ident, $columns:ident, $table:literal) => {
        impl ById for $value {
            const STATEMENT: &'static str =
                concat!("SELECT ", $columns!(), " FROM ", $table, " WHERE id = ANY($1) ORDER BY id");

            fn id(&self) -> i64 {
                self.id.get()
            }
        }
    };
}
by_id!(App, app_columns, "apps");
by_id!(Version, version_columns, "versions");
by_id!(Deployment, deployment_columns, "deployments");

/// Reads of one kind of thing.
pub(crate) struct Shared<T: ById> {
    pool: Pool,
    queue: mpsc::UnboundedSender<Waiting<T>>,
}

/// Whoever wants to know what has the id, if anything.
struct Waiting<T: ById> {
    id: i64,
    found: oneshot::Sender<Option<T>>,
}

impl<T: ById> Shared<T> {
    pub(crate) fn start(pool: Pool) -> Self {
        // What is in the queue is bounded by those who wait for it.
        let (queue, waiting) = mpsc::unbounded_channel();
        // It ends when no one can ask any more.
        tokio::spawn(work(pool.clone(), waiting));
        Self { pool, queue }
    }

    /// What has the id.
    pub(crate) async fn get(&self, id: i64) -> Result<Option<T>, StoreError> {
        let (found, answer) = oneshot::channel();
        let asked = self.queue.send(Waiting { id, found });
        if asked.is_ok()
            && let Ok(found) = answer.await
        {
            return Ok(found);
        }
        // The statement failed, for which another who shared it may be the reason; or the task ended with its runtime.
        let mut found = with_connection!(&self.pool, "read by id", connection => read::<T>(&mut connection, &[id]))?;
        Ok(found.pop())
    }
}

async fn read<T: ById>(connection: &mut PgConnection, ids: &[i64]) -> Result<Vec<T>, Fault> {
    let rows = sqlx::query(T::STATEMENT).bind(ids).fetch_all(connection).await?;
    Ok(all(&rows)?)
}

async fn work<T: ById>(pool: Pool, mut queue: mpsc::UnboundedReceiver<Waiting<T>>) {
    let mut together = Vec::with_capacity(MOST);
    while queue.recv_many(&mut together, MOST).await > 0 {
        // Whoever finds that nobody answers reads alone, and is told why if that fails, too.
        if let Some(found) = read_together::<T>(&pool, &together).await {
            for Waiting { id, found: answer } in together.drain(..) {
                let place = found.binary_search_by_key(&id, T::id);
                // Whoever has given up does not hear of it.
                let _ = answer.send(place.ok().and_then(|place| found.get(place)).cloned());
            }
        }
        together.clear();
    }
}

async fn read_together<T: ById>(pool: &Pool, together: &[Waiting<T>]) -> Option<Vec<T>> {
    let ids: Vec<i64> = together.iter().map(|waiting| waiting.id).collect();
    let mut connection = timeout(PATIENCE, pool.take()).await.ok()?.ok()?;
    let found = pool.answer(1, read(&mut connection, &ids)).await.ok()?;
    connection.give_back();
    Some(found)
}
