//! Tasks of a case, and how long they wait for what must come.

use std::{future::poll_fn, panic::resume_unwind, sync::Arc, task::Poll, time::Duration};

use futures_util::FutureExt;
use tokio::{sync::Barrier, task::JoinHandle};

tokio::task_local! {
    static PATIENCE: Duration;
}

/// Runs a case that waits so long for what must come.
pub(super) async fn with_patience<T>(patience: Duration, case: impl Future<Output = T>) -> T {
    PATIENCE.scope(patience, case).await
}

/// How long this case waits for what must come.
pub(super) fn patience() -> Duration {
    PATIENCE.get()
}

/// Starts a task of a case.
#[expect(clippy::disallowed_methods, reason = "a case runs on a runtime of its own, as its own host")]
pub(super) fn start<F>(task: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(PATIENCE.scope(patience(), task))
}

/// What came of a task; when it has panicked, so does the case.
pub(super) async fn ended<T>(task: JoinHandle<T>) -> T {
    task.await.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        Err(error) => panic!("a task of the case was lost: {error}"),
    })
}

/// Polls `future` until it is done or has waited so many times.
pub(super) async fn polled<T>(future: &mut (impl Future<Output = T> + Unpin), times: u32) -> Option<T> {
    let mut waited = 0;
    poll_fn(|cx| match future.poll_unpin(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => {
            waited += 1;
            if waited == times { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}

/// Polls `future` once: what comes of it if it does not wait.
pub(super) async fn polled_once<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    polled(future, 1).await
}

/// Starts all of `tasks` at the same moment, each on a task of its own; gives what came of them.
pub(super) async fn at_once<F>(tasks: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let tasks: Vec<_> = tasks.into_iter().collect();
    let barrier = Arc::new(Barrier::new(tasks.len()));
    let running: Vec<_> = tasks
        .into_iter()
        .map(|task| {
            let barrier = barrier.clone();
            start(async move {
                barrier.wait().await;
                task.await
            })
        })
        .collect();
    let mut answers = Vec::with_capacity(running.len());
    for task in running {
        answers.push(ended(task).await);
    }
    answers
}
