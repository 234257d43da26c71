//! The parts of ALM, which may run in one process or in several.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Rejected;

/// The part of ALM that an event comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SourceService {
    /// Applications.
    AppService,
    /// Versions.
    VersionService,
    /// Deployments.
    DeploymentService,
    /// The audit log.
    AuditService,
    /// Accounts, log-ins and permissions.
    AuthService,
}

impl SourceService {
    /// Every service.
    pub const ALL: [Self; 5] =
        [Self::AppService, Self::VersionService, Self::DeploymentService, Self::AuditService, Self::AuthService];

    /// The name as it stands in events and audit entries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AppService => "AppService",
            Self::VersionService => "VersionService",
            Self::DeploymentService => "DeploymentService",
            Self::AuditService => "AuditService",
            Self::AuthService => "AuthService",
        }
    }

    /// The name as it stands in settings.
    pub const fn short_name(self) -> &'static str {
        match self {
            Self::AppService => "app",
            Self::VersionService => "version",
            Self::DeploymentService => "deployment",
            Self::AuditService => "audit",
            Self::AuthService => "auth",
        }
    }

    /// The service of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.as_str() == name)
    }
}

impl fmt::Display for SourceService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The services that one process runs on its store. The others are elsewhere, with stores of their own.
///
/// ```
/// use alm_core::domain::{Services, SourceService};
///
/// let here: Services = "auth, app".parse().unwrap();
/// assert!(here.has(SourceService::AppService) && !here.has(SourceService::AuditService));
/// assert_eq!(here.to_string(), "app,auth");
/// assert_eq!("all".parse(), Ok(Services::ALL));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Services(u8);

impl Services {
    /// Every service.
    pub const ALL: Self = Self(0b1_1111);

    /// These services.
    pub fn of(services: impl IntoIterator<Item = SourceService>) -> Self {
        Self(services.into_iter().fold(0, |bits, service| bits | bit(service)))
    }

    /// Whether `service` is among them.
    pub const fn has(self, service: SourceService) -> bool {
        self.0 & bit(service) != 0
    }

    /// They, in the order of [`SourceService::ALL`].
    pub fn iter(self) -> impl Iterator<Item = SourceService> {
        SourceService::ALL.into_iter().filter(move |service| self.has(*service))
    }
}

const fn bit(service: SourceService) -> u8 {
    1 << service as u8
}

impl Default for Services {
    fn default() -> Self {
        Self::ALL
    }
}

impl FromStr for Services {
    type Err = Rejected;

    /// Reads `all`, or short names separated by commas.
    fn from_str(text: &str) -> Result<Self, Rejected> {
        if text.trim() == "all" {
            return Ok(Self::ALL);
        }
        let service = |name: &str| {
            let known = SourceService::ALL.into_iter().find(|service| service.short_name() == name);
            known.ok_or_else(|| {
                let names = SourceService::ALL.map(SourceService::short_name).join(", ");
                Rejected::new("not-a-service", format!("'{name}' is no service: they are {names}, or all"))
            })
        };
        Ok(Self::of(text.split(',').map(|name| service(name.trim())).collect::<Result<Vec<_>, _>>()?))
    }
}

impl fmt::Display for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().map(SourceService::short_name).collect::<Vec<_>>().join(","))
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_read_as_they_are_written() {
        for bits in 1..=Services::ALL.0 {
            let services = Services(bits);
            assert_eq!(services.to_string().parse(), Ok(services));
            assert_eq!(Services::of(services.iter()), services);
        }
    }

    #[test]
    fn what_is_no_service_is_refused() {
        for text in ["", ",", "apps", "app,", "App", "all,app", "gateway"] {
            assert!(text.parse::<Services>().is_err(), "{text:?}");
        }
    }
}
