//! Tasks of a case.

use std::{panic::resume_unwind, sync::Arc};

use tokio::{sync::Barrier, task::JoinHandle};

/// Starts a task of a case.
#[expect(clippy::disallowed_methods, reason = "a case runs on a runtime of its own, as its own host")]
pub(super) fn start<F>(task: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(task)
}

/// What came of a task; when it has panicked, so does the case.
pub(super) async fn ended<T>(task: JoinHandle<T>) -> T {
    task.await.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        Err(error) => panic!("a task of the case was lost: {error}"),
    })
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
