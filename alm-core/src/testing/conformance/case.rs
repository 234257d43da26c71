//! How a case is run: on a thread and a runtime of its own, until a deadline.

use std::{any::Any, panic::resume_unwind, thread, time::Duration};

use tokio::{runtime::Builder, time::timeout};

use super::Verdict;

/// Long enough for a slow machine with a database; a case that is not done by then waits for what will not come.
const DEADLINE: Duration = Duration::from_mins(1);

/// What a case that panicked left.
pub(super) struct Panic(Box<dyn Any + Send>);

impl Panic {
    pub(super) fn resume(self) -> ! {
        resume_unwind(self.0)
    }

    pub(super) fn message(&self) -> String {
        let text =
            self.0.downcast_ref::<String>().map(String::as_str).or_else(|| self.0.downcast_ref::<&str>().copied());
        text.unwrap_or("it panicked").to_owned()
    }
}

/// Runs `case` to its end. A thread of its own, so that it may be called from within another runtime, too.
pub(super) fn run(name: &str, case: impl Future<Output = Verdict> + Send) -> Result<Verdict, Panic> {
    thread::scope(|scope| {
        let body = || {
            let runtime = Builder::new_multi_thread().worker_threads(4).enable_all().build().expect("a tokio runtime");
            let in_time = runtime.block_on(async { timeout(DEADLINE, case).await });
            in_time.unwrap_or_else(|_| panic!("it is not done after {} s", DEADLINE.as_secs()))
        };
        let running = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, body).expect("a thread");
        running.join().map_err(Panic)
    })
}
