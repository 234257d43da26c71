//! Who decides what becomes of calls.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Call, Fault, Operation};

/// Decides what becomes of each call. A closure is a plan, and a [`Fault`] is the plan of which each call meets that fault.
///
/// A plan is asked when the call arrives and before anything happens, so it can also look at what is sent, and do something
/// meanwhile.
///
/// ```
/// use std::sync::Arc;
/// use alm_core::{ports::{BackendErrorKind, Reader}, testing::{Call, Fault, Faulty, Operation, fixtures::app_id}};
/// use alm_store_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let plan = |call: &Call<'_>| match call.operation {
///     Operation::App => Fault::Refused(BackendErrorKind::Timeout),
///     _ => Fault::None,
/// };
/// let store = Faulty::over(Arc::new(MemoryStore::new()), plan);
/// assert!(store.app(app_id(1)).await.is_err());
/// assert!(store.users(None, 10).await.is_ok());
/// # }
/// ```
pub trait Plan: Send + Sync {
    /// What becomes of this call.
    fn fault(&self, call: &Call<'_>) -> Fault;
}

impl<F: Fn(&Call<'_>) -> Fault + Send + Sync> Plan for F {
    fn fault(&self, call: &Call<'_>) -> Fault {
        self(call)
    }
}

impl Plan for Fault {
    fn fault(&self, _: &Call<'_>) -> Fault {
        self.clone()
    }
}

impl<P: Plan + ?Sized> Plan for Arc<P> {
    fn fault(&self, call: &Call<'_>) -> Fault {
        P::fault(self, call)
    }
}

/// The faults that the next calls of one operation meet, one after the other; then, and for every other operation, none.
///
/// ```
/// use std::sync::Arc;
/// use alm_core::{Alm, Context, Principal, domain::NewApp, ports::{BackendErrorKind, Outcome}};
/// use alm_core::testing::{Fault, Faulty, Operation, Script};
/// use alm_store_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let script = Script::on(Operation::Commit, [Fault::AnswerLost(BackendErrorKind::Timeout)]);
/// let alm = Alm::builder(Arc::new(Faulty::over(Arc::new(MemoryStore::new()), script))).build();
/// let me = Context::new(Principal::system());
/// let billing = || NewApp::parse("billing".into(), String::new(), Default::default());
///
/// // The answer is lost, but the app is there: its name is taken.
/// let lost = alm.apps().create(&me, billing()?).await.unwrap_err();
/// assert_eq!(lost.outcome(), Outcome::Unknown);
/// let again = alm.apps().create(&me, billing()?).await.unwrap_err();
/// assert_eq!(again.outcome(), Outcome::NotApplied);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Script {
    operation: Operation,
    faults: Mutex<VecDeque<Fault>>,
}

impl Script {
    /// The next calls of `operation` meet these faults.
    pub fn on(operation: Operation, faults: impl IntoIterator<Item = Fault>) -> Self {
        Self { operation, faults: Mutex::new(faults.into_iter().collect()) }
    }

    /// Adds a fault for the call after those that the script tells of.
    pub fn push(&self, fault: Fault) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).push_back(fault);
    }

    /// Whether each of its faults was met.
    pub fn is_done(&self) -> bool {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl Plan for Script {
    fn fault(&self, call: &Call<'_>) -> Fault {
        if call.operation != self.operation {
            return Fault::None;
        }
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or_default()
    }
}

/// A plan that a test exchanges while it runs. Clones are the same switch; a new one is off, which is to say that every call
/// is made.
///
/// ```
/// use std::sync::Arc;
/// use alm_core::{ports::{BackendErrorKind, Reader}, testing::{Fault, Faulty, Switch, fixtures::app_id}};
/// use alm_store_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let faults = Switch::default();
/// let store = Faulty::over(Arc::new(MemoryStore::new()), faults.clone());
/// faults.set(Fault::Refused(BackendErrorKind::Unavailable));
/// assert!(store.app(app_id(1)).await.is_err(), "the store is gone");
/// faults.off();
/// assert!(store.app(app_id(1)).await.is_ok(), "and back");
/// # }
/// ```
#[derive(Clone)]
pub struct Switch(Arc<Mutex<Arc<dyn Plan>>>);

impl Switch {
    /// Calls that arrive from now on meet the faults of `plan`.
    pub fn set(&self, plan: impl Plan + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(plan);
    }

    /// Calls that arrive from now on are made.
    pub fn off(&self) {
        self.set(Fault::None);
    }
}

impl Default for Switch {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Arc::new(Fault::None))))
    }
}

impl fmt::Debug for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switch").finish_non_exhaustive()
    }
}

impl Plan for Switch {
    fn fault(&self, call: &Call<'_>) -> Fault {
        // Not under the lock: the plan may turn the switch.
        let plan = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        plan.fault(call)
    }
}
