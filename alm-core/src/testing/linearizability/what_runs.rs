//! What runs in an environment.

use std::collections::BTreeSet;

use crate::domain::{DeploymentId, Timestamp};

use super::specification::Specification;

/// One environment of an app, where nothing runs before the first call. What runs there is the deployment that finished last, of
/// several at the same time the one with the highest id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WhatRuns;

/// What is done about an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhatRunsOperation {
    /// A deployment is committed as successful.
    Finish {
        /// Which one. It was not successful before.
        deployment: DeploymentId,
        /// Since when.
        at: Timestamp,
    },
    /// A deployment is deleted.
    Delete {
        /// Which one.
        deployment: DeploymentId,
    },
    /// It is asked what runs.
    Read,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhatRunsAnswer {
    /// To `Finish` and `Delete`: it is so.
    Done,
    /// To `Delete`: there is no such deployment.
    Absent,
    /// To `Read`: this deployment runs, or none.
    Runs(Option<DeploymentId>),
}

impl Specification for WhatRuns {
    type State = BTreeSet<(Timestamp, DeploymentId)>;
    type Operation = WhatRunsOperation;
    type Answer = WhatRunsAnswer;

    fn initial(&self) -> Self::State {
        BTreeSet::new()
    }

    fn apply(
        &self,
        successful: &Self::State,
        operation: &Self::Operation,
        answer: Option<&Self::Answer>,
    ) -> Option<Self::State> {
        let mut after = successful.clone();
        let given = match *operation {
            WhatRunsOperation::Finish { deployment, at } => {
                after.insert((at, deployment));
                WhatRunsAnswer::Done
            }
            WhatRunsOperation::Delete { deployment } => {
                after.retain(|(_, id)| *id != deployment);
                if after.len() < successful.len() { WhatRunsAnswer::Done } else { WhatRunsAnswer::Absent }
            }
            WhatRunsOperation::Read => WhatRunsAnswer::Runs(successful.last().map(|(_, id)| *id)),
        };
        answer.is_none_or(|answer| *answer == given).then_some(after)
    }
}
