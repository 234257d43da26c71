//! What an object does when it is called by one at a time.

use std::{fmt::Debug, hash::Hash};

/// What an object does when it is called by one at a time.
///
/// ```
/// use alm_core::testing::linearizability::Specification;
///
/// /// Counts how often it was asked.
/// struct Counter;
///
/// impl Specification for Counter {
///     type State = u32;
///     type Operation = ();
///     type Answer = u32;
///
///     fn initial(&self) -> u32 {
///         0
///     }
///
///     fn apply(&self, count: &u32, (): &(), answer: Option<&u32>) -> Option<u32> {
///         let next = count + 1;
///         answer.is_none_or(|answer| *answer == next).then_some(next)
///     }
/// }
/// ```
pub trait Specification {
    /// What the object remembers. States that are equal behave the same.
    type State: Clone + Eq + Hash + Debug;
    /// What it is asked for.
    type Operation: Debug;
    /// What it answers.
    type Answer: Debug;

    /// What it remembers before the first call.
    fn initial(&self) -> Self::State;

    /// What it remembers after `operation` was asked for in `state` and answered with `answer`; `None` if it does not answer so.
    /// No answer stands for whichever answer it gives.
    fn apply(
        &self,
        state: &Self::State,
        operation: &Self::Operation,
        answer: Option<&Self::Answer>,
    ) -> Option<Self::State>;
}
