//! A resource under compare-and-set.

use std::{fmt::Debug, hash::Hash};

use crate::domain::Revision;

use super::specification::Specification;

/// A value with a revision, such as an app: it is read, and replaced by whoever knows its revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionRegister<V> {
    /// Its revision before the first call.
    pub revision: Revision,
    /// Its value before the first call.
    pub value: V,
}

/// What a [`RevisionRegister`] is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterOperation<V> {
    /// What it is.
    Read,
    /// To be `value` from now on, at the next revision.
    Write {
        /// The revision that it must have.
        expected: Revision,
        /// What it shall be.
        value: V,
    },
}

/// What a [`RevisionRegister`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterAnswer<V> {
    /// To a read.
    Value {
        /// Its revision.
        revision: Revision,
        /// Its value.
        value: V,
    },
    /// To a write: it is so.
    Done,
    /// To a write: it has another revision, and nothing was changed.
    Conflict,
}

impl<V: Clone + Eq + Hash + Debug> Specification for RevisionRegister<V> {
    type State = (Revision, V);
    type Operation = RegisterOperation<V>;
    type Answer = RegisterAnswer<V>;

    fn initial(&self) -> Self::State {
        (self.revision, self.value.clone())
    }

    fn apply(
        &self,
        state: &Self::State,
        operation: &Self::Operation,
        answer: Option<&Self::Answer>,
    ) -> Option<Self::State> {
        let (given, after) = match operation {
            RegisterOperation::Read => {
                let (revision, value) = state.clone();
                (RegisterAnswer::Value { revision, value }, state.clone())
            }
            RegisterOperation::Write { expected, value } if *expected == state.0 => {
                (RegisterAnswer::Done, (expected.next(), value.clone()))
            }
            RegisterOperation::Write { .. } => (RegisterAnswer::Conflict, state.clone()),
        };
        answer.is_none_or(|answer| *answer == given).then_some(after)
    }
}
