//! Reads that come at the same time share a statement, because what a statement costs is mostly the same for one and for many:
//! round trips, and the change from one process to another.
//!
//! What comes while a statement is answered goes with the next one, so nobody waits for company, and each statement is asked after
//! whoever shares it has asked.

mod by_id;
mod credentials;
mod pages;

use std::time::Duration;

use alm_core::ports::StoreError;
use sqlx::PgConnection;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    error::{Fault, corrupt},
    pool::{Lent, Pool, with_connection},
};

pub(crate) use credentials::{Held, IsRevoked};
pub(crate) use pages::{DeploymentsOf, VersionsOf};

/// How long they wait for a connection. After that each reads for itself.
const PATIENCE: Duration = Duration::from_millis(250);

/// What is asked of the database, so that many can be asked by one statement.
pub(crate) trait Question: Copy + Send + Sync + 'static {
    type Answer: Send;

    /// How many share a statement at most.
    const MOST: usize;

    /// The answers to all of them, in their order.
    fn answers(
        questions: &[Self],
        connection: &mut PgConnection,
    ) -> impl Future<Output = Result<Vec<Self::Answer>, Fault>> + Send;
}

/// Questions of one kind.
pub(crate) struct Shared<Q: Question> {
    pool: Pool,
    queue: mpsc::UnboundedSender<Waiting<Q>>,
}

/// Whoever waits for an answer.
struct Waiting<Q: Question> {
    question: Q,
    answered: oneshot::Sender<Q::Answer>,
}

impl<Q: Question> Shared<Q> {
    pub(crate) fn start(pool: Pool) -> Self {
        // What is in the queue is bounded by those who wait for it.
        let (queue, waiting) = mpsc::unbounded_channel();
        // It ends when no one can ask any more.
        tokio::spawn(work(pool.clone(), waiting));
        Self { pool, queue }
    }

    pub(crate) async fn ask(&self, question: Q) -> Result<Q::Answer, StoreError> {
        let (answered, answer) = oneshot::channel();
        let asked = self.queue.send(Waiting { question, answered });
        if asked.is_ok()
            && let Ok(answer) = answer.await
        {
            return Ok(answer);
        }
        // The statement failed, for which another who shared it may be the reason; or the task ended with its runtime.
        // In a box, because few come here, and all others would carry the room for it about.
        Box::pin(self.ask_alone(question)).await
    }

    async fn ask_alone(&self, question: Q) -> Result<Q::Answer, StoreError> {
        let mut answers = with_connection!(&self.pool, "read", connection => Q::answers(&[question], &mut connection))?;
        answers.pop().ok_or_else(|| corrupt("read", "there is no answer".to_owned()))
    }
}

async fn work<Q: Question>(pool: Pool, mut queue: mpsc::UnboundedReceiver<Waiting<Q>>) {
    let mut together = Vec::with_capacity(Q::MOST);
    // Kept as long as there is more to ask: to give it back and take it again costs a round trip.
    let mut kept = None;
    while queue.recv_many(&mut together, Q::MOST).await > 0 {
        // Whoever finds that nobody answers reads alone, and is told why if that fails, too.
        if let Some((connection, answers)) = answer_together(&pool, kept.take(), &together).await {
            for (waiting, answer) in together.drain(..).zip(answers) {
                // Whoever has given up does not hear of it.
                let _ = waiting.answered.send(answer);
            }
            if queue.is_empty() {
                connection.give_back();
            } else {
                kept = Some(connection);
            }
        }
        together.clear();
    }
}

async fn answer_together<Q: Question>(
    pool: &Pool,
    kept: Option<Lent>,
    together: &[Waiting<Q>],
) -> Option<(Lent, Vec<Q::Answer>)> {
    let questions: Vec<Q> = together.iter().map(|waiting| waiting.question).collect();
    let mut connection = match kept {
        Some(kept) => kept,
        None => timeout(PATIENCE, pool.take()).await.ok()?.ok()?,
    };
    let answers = pool.answer(1, Q::answers(&questions, &mut connection)).await.ok()?;
    Some((connection, answers))
}
