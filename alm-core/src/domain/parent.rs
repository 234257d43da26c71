//! What hangs on what another service holds.

use std::fmt;

use super::{AppId, VersionId};

/// Names a resource that another service holds and that something here hangs on: a version on its app, a deployment on its
/// version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParentId {
    /// An app.
    App(AppId),
    /// A version.
    Version(VersionId),
}

impl fmt::Display for ParentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(id) => write!(f, "app {id}"),
            Self::Version(id) => write!(f, "version {id}"),
        }
    }
}

/// What a store knows of a parent that lives elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It is live, as far as was heard.
    Live {
        /// The app that it is, or is of.
        app_id: AppId,
    },
    /// It is gone, and does not come back: no id is used twice.
    Gone,
}
