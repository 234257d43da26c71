//! The comparison as proptest-state-machine wants it.

use std::{marker::PhantomData, sync::Arc};

use proptest_state_machine::StateMachineTest;
use tokio::runtime::{Builder, Runtime};

use crate::ports::Store;

use super::{command::Command, reference::Model, system::System};

/// Makes stores with nothing in them.
pub trait MakeStore {
    /// Another store each time. It is called on a tokio runtime of one thread.
    fn make() -> impl Future<Output = Arc<dyn Store>>;
}

/// The comparison of the real thing with the [`Model`], for those who write their own state machine test. Each case has a tokio
/// runtime of its own. [`Check`](super::Check) does the same with less to write.
///
/// ```
/// use std::sync::Arc;
/// use alm_core::{ports::Store, testing::{model::{Comparison, MakeStore}, property}};
/// use alm_store_memory::MemoryStore as MyStore;
/// use proptest_state_machine::prop_state_machine;
///
/// struct InMyStore;
///
/// impl MakeStore for InMyStore {
///     async fn make() -> Arc<dyn Store> {
///         Arc::new(MyStore::new())
///     }
/// }
///
/// prop_state_machine! {
///     #![proptest_config(property(10))]
///
///     // #[test]
///     fn my_store_does_what_the_model_does(sequential 1..20 => Comparison<InMyStore>);
/// }
/// # my_store_does_what_the_model_does();
/// ```
#[derive(Debug)]
pub struct Comparison<M>(PhantomData<M>);

impl<M: MakeStore> StateMachineTest for Comparison<M> {
    type SystemUnderTest = System;
    type Reference = Model;

    fn init_test(_: &Model) -> System {
        let runtime = runtime();
        let store = runtime.block_on(M::make());
        System::new(runtime, store)
    }

    fn apply(mut system: System, model: &Model, command: Command) -> System {
        system.assert_does_as(model, &command);
        system
    }

    fn teardown(mut system: System, model: Model) {
        system.assert_ends_as(model);
    }
}

/// The runtime that a store and its tasks live on.
pub(super) fn runtime() -> Arc<Runtime> {
    Arc::new(Builder::new_current_thread().enable_all().build().expect("a runtime is built"))
}
