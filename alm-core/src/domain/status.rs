//! The status machine of a deployment: one table that the code, the docs and the tests read.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How far a deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentStatus {
    /// Asked for; nothing has happened yet.
    Pending,
    /// Under way.
    Running,
    /// Done: its version runs in its environment.
    Successful,
    /// Ended without effect.
    Failed,
    /// Called off.
    Canceled,
}

use DeploymentStatus::{Canceled, Failed, Pending, Running, Successful};

/// Each status with those that may follow it. A status that nothing may follow is final.
pub const TRANSITIONS: [(DeploymentStatus, &[DeploymentStatus]); 5] = [
    (Pending, &[Running, Successful, Failed, Canceled]),
    (Running, &[Successful, Failed, Canceled]),
    (Successful, &[]),
    (Failed, &[]),
    (Canceled, &[]),
];

impl DeploymentStatus {
    /// Every status, in the order of [`TRANSITIONS`].
    pub const ALL: [Self; 5] = [Pending, Running, Successful, Failed, Canceled];

    /// The statuses that may follow this one.
    pub fn allowed(self) -> &'static [Self] {
        TRANSITIONS.iter().find(|(from, _)| *from == self).map_or(&[], |(_, to)| to)
    }

    /// Whether nothing may follow.
    pub fn is_final(self) -> bool {
        self.allowed().is_empty()
    }

    /// The status itself when it may follow `self`.
    ///
    /// # Errors
    /// The table has no such transition.
    pub fn to(self, to: Self) -> Result<Self, IllegalTransition> {
        if self.allowed().contains(&to) { Ok(to) } else { Err(IllegalTransition { from: self, to }) }
    }

    /// The name as it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Pending => "pending",
            Running => "running",
            Successful => "successful",
            Failed => "failed",
            Canceled => "canceled",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

impl fmt::Display for DeploymentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A status change that [`TRANSITIONS`] does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a deployment that is {from} cannot become {to}")]
pub struct IllegalTransition {
    /// The status it has.
    pub from: DeploymentStatus,
    /// The status that was asked for.
    pub to: DeploymentStatus,
}

impl IllegalTransition {
    /// What could have been asked for instead.
    pub fn allowed(&self) -> &'static [DeploymentStatus] {
        self.from.allowed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_one_row_for_each_status_and_only_these_transitions() {
        let rows: Vec<_> = TRANSITIONS.iter().map(|(from, _)| *from).collect();
        assert_eq!(rows, DeploymentStatus::ALL);
        let legal: Vec<String> = DeploymentStatus::ALL
            .iter()
            .flat_map(|from| DeploymentStatus::ALL.iter().map(move |to| (*from, *to)))
            .filter(|(from, to)| from.to(*to).is_ok())
            .map(|(from, to)| format!("{from}>{to}"))
            .collect();
        assert_eq!(
            legal,
            [
                "pending>running",
                "pending>successful",
                "pending>failed",
                "pending>canceled",
                "running>successful",
                "running>failed",
                "running>canceled",
            ]
        );
    }

    #[test]
    fn names_are_read_back() {
        for status in DeploymentStatus::ALL {
            assert_eq!(DeploymentStatus::parse(status.as_str()), Some(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        assert_eq!(DeploymentStatus::parse("Pending"), None);
    }
}
