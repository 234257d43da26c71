//! The one place where faults become true.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    changeset::Changeset,
    domain::Event,
    ports::{BackendError, BackendErrorKind, Outcome},
    runtime::yield_now,
};

use super::{Call, Fault, Operation, Plan};

/// Asks a plan about calls and lets them meet their faults. Clones count on together.
#[derive(Clone)]
pub(super) struct Injector {
    plan: Arc<dyn Plan>,
    calls: Arc<AtomicU64>,
    pub(super) message: Option<String>,
    pub(super) retry_after: Option<Duration>,
}

impl Injector {
    pub(super) fn of(plan: impl Plan + 'static) -> Self {
        Self { plan: Arc::new(plan), calls: Arc::default(), message: None, retry_after: None }
    }

    pub(super) fn fault(&self, operation: Operation) -> Fault {
        self.ask(operation, None, &[])
    }

    pub(super) fn fault_of_commit(&self, changeset: &Changeset) -> Fault {
        self.ask(Operation::Commit, Some(changeset), &[])
    }

    pub(super) fn fault_of_publish(&self, events: &[Arc<Event>]) -> Fault {
        self.ask(Operation::Publish, None, events)
    }

    fn ask(&self, operation: Operation, changeset: Option<&Changeset>, events: &[Arc<Event>]) -> Fault {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        self.plan.fault(&Call { operation, changeset, events, number })
    }

    /// Makes the call, or not, as `fault` says. What only a bus can do is left to the bus.
    pub(super) async fn meet<T, E: From<BackendError>>(
        &self,
        fault: Fault,
        operation: Operation,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        match fault {
            Fault::Refused(kind) => Err(self.error(kind, operation, Outcome::NotApplied).into()),
            Fault::RequestLost(kind) => Err(self.lost(kind, operation).into()),
            Fault::AnswerLost(kind) => {
                drop(call.await);
                Err(self.lost(kind, operation).into())
            }
            Fault::Delay(turns) => {
                give_way(turns).await;
                let answer = call.await;
                give_way(turns).await;
                answer
            }
            Fault::Hold(gate) => {
                gate.pass().await;
                call.await
            }
            Fault::Panic => panic!("{}", self.message.as_deref().unwrap_or("a fault on purpose")),
            Fault::None | Fault::Dropped | Fault::Duplicated | Fault::Reordered => call.await,
        }
    }

    fn lost(&self, kind: BackendErrorKind, operation: Operation) -> BackendError {
        let outcome = if operation.changes() { Outcome::Unknown } else { Outcome::NotApplied };
        self.error(kind, operation, outcome)
    }

    fn error(&self, kind: BackendErrorKind, operation: Operation, outcome: Outcome) -> BackendError {
        let retry_after = self.retry_after.filter(|_| kind == BackendErrorKind::Overloaded);
        let source = self.message.clone().map(Into::into);
        BackendError { kind, adapter: "faulty", operation: operation.as_str(), outcome, retry_after, source }
    }
}

impl fmt::Debug for Injector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Injector").field("calls", &self.calls).finish_non_exhaustive()
    }
}

async fn give_way(turns: u32) {
    for _ in 0..turns {
        yield_now().await;
    }
}
