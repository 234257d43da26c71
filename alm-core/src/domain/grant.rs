//! Roles that are good in one place.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use super::{AppId, EnvironmentName, FieldError, Rejected, Role};

/// A role, everywhere or in one place. Written as a scope: `auditor`, `user:7` (in app 7), `deployer:7/prod` (deployments of app 7 to
/// `prod`), `deployer:*/prod` (of any app).
///
/// ```
/// use alm_core::domain::Grant;
///
/// let grant = Grant::parse("deployer:7/prod").unwrap();
/// assert_eq!(grant.app.unwrap().get(), 7);
/// assert_eq!(grant.to_string(), "deployer:7/prod");
/// assert!(Grant::parse("deployer:07").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// In this app; none: in every app.
    pub app: Option<AppId>,
    /// In this environment; none: in every one, and in what belongs to none.
    pub environment: Option<EnvironmentName>,
}

impl Grant {
    /// The most that one account or key may have: they stand in each of its tokens.
    pub const MAX: usize = 32;

    /// `role`, everywhere.
    pub fn everywhere(role: Role) -> Self {
        Self { role, app: None, environment: None }
    }

    /// Reads what [`Display`](fmt::Display) writes, and nothing else.
    ///
    /// # Errors
    /// `text` is no grant.
    pub fn parse(text: &str) -> Result<Self, Rejected> {
        let detail = || {
            let roles = Role::ALL.map(Role::as_str).join(", ");
            Rejected::new(
                "not-a-grant",
                format!(
                    "must be ROLE, ROLE:APP or ROLE:APP/ENVIRONMENT, where ROLE is one of {roles}, APP the id of an app or *, such as deployer:7/prod"
                ),
            )
        };
        let (role, place) = match text.split_once(':') {
            None => (text, None),
            Some((role, place)) => (role, Some(place)),
        };
        let mut grant = Self::everywhere(Role::parse(role).ok_or_else(detail)?);
        if let Some(place) = place {
            let (app, environment) = match place.split_once('/') {
                None => (place, None),
                Some((app, environment)) => (app, Some(environment)),
            };
            if app != "*" {
                let id = app.parse().ok().and_then(AppId::new).filter(|id| id.to_string() == app);
                grant.app = Some(id.ok_or_else(detail)?);
            } else if environment.is_none() {
                // It has a shorter form.
                return Err(detail());
            }
            grant.environment = environment.map(EnvironmentName::parse).transpose().map_err(|_| detail())?;
        }
        Ok(grant)
    }
}

impl Grant {
    /// Reads several, at most [`MAX`](Self::MAX).
    ///
    /// # Errors
    /// Each text that is no grant, with a pointer to its place (`/0`).
    pub fn parse_all(texts: &[String]) -> Result<BTreeSet<Self>, Vec<FieldError>> {
        if texts.len() > Self::MAX {
            return Err(vec![Rejected::new("too-many", format!("must have at most {} items", Self::MAX)).at("")]);
        }
        let parsed = texts
            .iter()
            .enumerate()
            .map(|(place, text)| Self::parse(text).map_err(|error| error.at(format!("/{place}"))));
        let (grants, errors): (Vec<_>, Vec<_>) = parsed.partition(Result::is_ok);
        if errors.is_empty() {
            Ok(grants.into_iter().flatten().collect())
        } else {
            Err(errors.into_iter().filter_map(Result::err).collect())
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.role.fmt(f)?;
        match (self.app, &self.environment) {
            (None, None) => Ok(()),
            (Some(app), None) => write!(f, ":{app}"),
            (None, Some(environment)) => write!(f, ":*/{environment}"),
            (Some(app), Some(environment)) => write!(f, ":{app}/{environment}"),
        }
    }
}

impl TryFrom<String> for Grant {
    type Error = Rejected;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Grant> for String {
    fn from(grant: Grant) -> String {
        grant.to_string()
    }
}
