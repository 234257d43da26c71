//! Optimistic concurrency for callers: change it only if it is what I saw.

use crate::domain::{Revision, Subject};

use super::Error;

/// Which revisions of a resource a caller agrees to change or delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precondition(Option<Vec<Revision>>);

impl Precondition {
    /// Any revision.
    pub const fn none() -> Self {
        Self(None)
    }

    /// One of these. With none at all it never holds.
    pub fn one_of(revisions: impl Into<Vec<Revision>>) -> Self {
        Self(Some(revisions.into()))
    }

    /// Whether any revision will do.
    pub const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn check(&self, subject: Subject, actual: Revision) -> Result<(), Error> {
        match &self.0 {
            Some(agreed) if !agreed.contains(&actual) => Err(Error::PreconditionFailed { subject, actual }),
            _ => Ok(()),
        }
    }
}
