//! What is asked for, and where it is.

use crate::domain::{AppId, EnvironmentName, Subject};

/// What a request is about, and where that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What it is about.
    pub subject: Subject,
    /// Where that is; none of what belongs to no app, such as an account or all apps, and as long as it is not known.
    pub place: Option<Place>,
}

/// An app, or one environment of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The app.
    pub app: AppId,
    /// The environment, of a deployment.
    pub environment: Option<EnvironmentName>,
}

impl Target {
    /// `subject`, in `place`.
    pub fn new(subject: Subject, place: impl Into<Option<Place>>) -> Self {
        Self { subject, place: place.into() }
    }
}

impl Place {
    /// An app.
    pub fn app(app: AppId) -> Self {
        Self { app, environment: None }
    }

    /// An environment of an app.
    pub fn environment(app: AppId, environment: EnvironmentName) -> Self {
        Self { app, environment: Some(environment) }
    }
}

impl From<Subject> for Target {
    fn from(subject: Subject) -> Self {
        Self { subject, place: None }
    }
}
