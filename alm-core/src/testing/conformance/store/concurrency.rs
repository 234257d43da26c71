//! What many do at once could have been done one after the other.

use crate::testing::linearizability::drive;

use super::subject::Subject;

const CLIENTS: usize = 6;
const OPERATIONS: usize = 30;

pub(super) async fn commits_are_linearizable(subject: Subject) {
    drive::commits(vec![subject.store()], CLIENTS, OPERATIONS).await;
}

pub(super) async fn what_runs_in_an_environment_is_linearizable(subject: Subject) {
    drive::what_runs(vec![subject.store()], CLIENTS, OPERATIONS).await;
}

pub(super) async fn commits_through_several_handles_are_linearizable(subject: Subject) {
    let handles = vec![subject.store(), subject.another_handle().await, subject.another_handle().await];
    drive::commits(handles, CLIENTS, OPERATIONS).await;
}
