//! What a case is, and how it is run: on a thread and a runtime of its own, until a deadline.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, resume_unwind},
    thread,
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::{runtime::Builder, time::timeout};

use super::{Report, Verdict, tasks::with_patience};

/// How many times its patience a case may take, and how long at least: one that is not done by then hangs.
const PATIENCES: u32 = 3;
const AT_LEAST: Duration = Duration::from_mins(1);

/// What an adapter of a port can do: [`StoreCapability`](super::StoreCapability), [`BusCapability`](super::BusCapability).
pub trait Capability: Copy + fmt::Debug + fmt::Display + Send + Sync + 'static {
    /// What the cases get at the adapter by.
    #[doc(hidden)]
    type Subject: Send + 'static;

    /// Whether `subject` can do it, by the harness's statement.
    #[doc(hidden)]
    fn is_stated(self, subject: &Self::Subject) -> bool;

    /// Checks that `subject`, which can't do it, refuses to.
    #[doc(hidden)]
    fn refused(self, subject: Self::Subject) -> BoxFuture<'static, ()>;
}

/// Something that every adapter of a port must do.
pub struct Case<C: Capability> {
    pub(super) group: &'static str,
    pub(super) name: &'static str,
    pub(super) needs: &'static [C],
    pub(super) run: fn(C::Subject) -> BoxFuture<'static, ()>,
}

impl<C: Capability> Case<C> {
    /// What it is about.
    pub fn group(&self) -> &'static str {
        self.group
    }

    /// What must hold.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What an adapter must be able to do for it to make sense. If it can't, the case checks that it says so.
    pub fn needs(&self) -> &'static [C] {
        self.needs
    }

    async fn verdict(&self, subject: C::Subject) -> Verdict {
        match self.needs.iter().find(|needed| !needed.is_stated(&subject)) {
            None => {
                (self.run)(subject).await;
                Verdict::Passed
            }
            Some(lacking) => {
                lacking.refused(subject).await;
                Verdict::Unsupported(lacking.to_string())
            }
        }
    }

    /// Runs it to its end, on a thread of its own so that it may be called from within another runtime, too.
    fn run(&self, patience: Duration, fresh: impl Future<Output = Fresh<C>> + Send) -> Result<Verdict, Panic> {
        thread::scope(|scope| {
            let body = || {
                let runtime = Builder::new_multi_thread().worker_threads(4).enable_all().build();
                runtime.expect("a tokio runtime").block_on(self.run_and_clean_up(patience, fresh))
            };
            let running =
                thread::Builder::new().name(self.name.to_owned()).spawn_scoped(scope, body).expect("a thread");
            running.join().and_then(|verdict| verdict)
        })
    }

    async fn run_and_clean_up(
        &self,
        patience: Duration,
        fresh: impl Future<Output = Fresh<C>> + Send,
    ) -> Result<Verdict, Panic> {
        let (subject, clean_up) = fresh.await;
        let deadline = AT_LEAST.max(patience * PATIENCES);
        let case = async {
            let in_time = timeout(deadline, with_patience(patience, self.verdict(subject))).await;
            in_time.unwrap_or_else(|_| panic!("it is not done after {} s", deadline.as_secs()))
        };
        let verdict = AssertUnwindSafe(case).catch_unwind().await;
        clean_up.await;
        verdict
    }
}

impl<C: Capability> fmt::Debug for Case<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).field("needs", &self.needs).finish_non_exhaustive()
    }
}

/// What is lent to a case, and what cleans up behind it.
pub(super) type Fresh<C> = (<C as Capability>::Subject, BoxFuture<'static, ()>);

/// What a case that panicked left.
type Panic = Box<dyn Any + Send>;

fn message(panic: &Panic) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked").to_owned()
}

/// Runs the case of that name, and panics as it does.
pub(super) fn check<C, F>(cases: &[Case<C>], name: &str, patience: Duration, fresh: F)
where
    C: Capability,
    F: Future<Output = Fresh<C>> + Send,
{
    let found = cases.iter().find(|case| case.name == name);
    let found = found.unwrap_or_else(|| panic!("there is no case named {name}"));
    if let Err(panic) = found.run(patience, fresh) {
        resume_unwind(panic);
    }
}

/// Runs all cases, one after the other, whatever comes of them.
pub(super) fn run_all<C, F>(cases: &[Case<C>], patience: Duration, fresh: impl Fn() -> F) -> Report
where
    C: Capability,
    F: Future<Output = Fresh<C>> + Send,
{
    let rows = cases.iter().map(|case| {
        let verdict = case.run(patience, fresh()).unwrap_or_else(|panic| Verdict::Failed(message(&panic)));
        (case.name, verdict)
    });
    Report { rows: rows.collect() }
}
