//! What is asked for, and where it is.

use crate::domain::{AppId, EnvironmentName, Grant, Subject};

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

    /// Whether it is where `grant` is good. What is in no place, or in one that is not known, is only in a grant for everywhere.
    pub fn is_within(&self, grant: &Grant) -> bool {
        let place = self.place.as_ref();
        let app = grant.app.is_none_or(|app| place.is_some_and(|place| place.app == app));
        let environment = grant.environment.as_ref();
        app && environment.is_none_or(|name| place.and_then(|place| place.environment.as_ref()) == Some(name))
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
