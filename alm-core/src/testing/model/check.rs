//! Many random stories, each told to the model and to the real thing.

use std::{ops::Range, sync::Arc};

use proptest::test_runner::{TestError, TestRunner};
use proptest_state_machine::ReferenceStateMachine;

use crate::{ports::Store, testing::property};

use super::{comparison::runtime, reference::Model, system::System};

/// For so long, in milliseconds, a failure is made smaller at most: on a slow store each step takes its time.
const SHRINKING: u32 = 60_000;

/// Checks that the services over a store do what the model does: 100 cases of fewer than 100 commands. `make` makes a store with
/// nothing in it, for each case another one.
///
/// ```
/// # use alm_store_memory::MemoryStore as MyStore;
/// use std::sync::Arc;
/// use alm_core::ports::Store;
///
/// // #[test]
/// fn my_store_does_what_the_model_does() {
///     alm_core::testing::model::check(|| async { Arc::new(MyStore::new()) as Arc<dyn Store> });
/// }
/// # my_store_does_what_the_model_does();
/// ```
///
/// # Panics
/// They differ, or it is called where a tokio runtime already runs. [`Check::run`] says more.
pub fn check(make: impl AsyncFn() -> Arc<dyn Store>) {
    Check::new().run(make);
}

/// How many cases, and how long they are.
///
/// ```
/// # use std::sync::Arc;
/// # use alm_core::ports::Store;
/// # use alm_store_memory::MemoryStore as MyStore;
/// use alm_core::testing::model::Check;
///
/// Check::new().cases(10).commands(1..20).run(|| async { Arc::new(MyStore::new()) as Arc<dyn Store> });
/// ```
#[derive(Clone, Debug)]
#[must_use = "`run` runs it"]
pub struct Check {
    cases: u32,
    commands: Range<usize>,
}

impl Default for Check {
    fn default() -> Self {
        Self { cases: 100, commands: 1..100 }
    }
}

impl Check {
    /// 100 cases of at least one and less than 100 commands.
    pub fn new() -> Self {
        Self::default()
    }

    /// So many cases.
    pub fn cases(self, cases: u32) -> Self {
        Self { cases, ..self }
    }

    /// So many commands in each case.
    pub fn commands(self, commands: Range<usize>) -> Self {
        Self { commands, ..self }
    }

    /// Runs it. `make` makes a store with nothing in it, for each case another one; it is called on a tokio runtime of one thread,
    /// with IO and time as far as tokio has these features, which is the same for all cases.
    ///
    /// # Panics
    /// - The real thing and the model differ. The message has the fewest commands found that lead there, what differed, and the
    ///   seed that gives the same again: `PROPTEST_RNG_SEED=…`.
    /// - It is called where a tokio runtime already runs: call it from a plain `#[test]`.
    pub fn run(self, make: impl AsyncFn() -> Arc<dyn Store>) {
        let mut config = property(self.cases);
        config.max_shrink_time = SHRINKING;
        let seed = config.rng_seed;
        let runtime = runtime();
        let strategy = Model::sequential_strategy(self.commands);
        let outcome = TestRunner::new(config).run(&strategy, |(mut model, commands, seen)| {
            let store = runtime.block_on(make());
            let mut system = System::new(runtime.clone(), store);
            for command in &commands {
                if let Some(seen) = &seen {
                    // The strategy leaves out first what was not even tried.
                    seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                }
                model.obey(command);
                system.assert_does_as(&model, command);
            }
            system.assert_ends_as(model);
            Ok(())
        });
        match outcome {
            Ok(()) => {}
            Err(TestError::Fail(reason, (_, commands, _))) => {
                let commands: Vec<_> =
                    commands.iter().zip(1..).map(|(command, place)| format!("{place:>4}. {command:?}")).collect();
                let commands = commands.join("\n");
                panic!("the store does not do what the model does: {reason}\n{commands}\nPROPTEST_RNG_SEED={seed}");
            }
            Err(TestError::Abort(reason)) => panic!("the model was not compared: {reason}\nPROPTEST_RNG_SEED={seed}"),
        }
    }
}
