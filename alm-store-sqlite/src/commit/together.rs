//! Changesets made true together, by a few statements for all of them.

use alm_core::{
    changeset::{Changeset, Write},
    domain::Position,
    ports::StoreError,
};
use sqlx::SqliteConnection;

use super::{answers, apps, deployments, events, guards, versions};

/// One of the changesets is refused, or there was a fault. Which of them and why is told by each of them by itself, unless what was
/// said here has ended the transaction.
pub(crate) struct Refused(pub(crate) Option<StoreError>);

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self(Some(error))
    }
}

/// Whether a changeset can be made true together with others like it, with the same outcome as one after the other.
///
/// Those that can only add, so no guard stops holding on account of another, and when none is refused the order of their rows
/// does not matter. They have events, so one that is repeated is refused.
pub(crate) fn is_joinable(changeset: &Changeset) -> bool {
    let adds = |write: &Write| {
        matches!(
            write,
            Write::InsertApp(_) | Write::InsertVersion(_) | Write::InsertDeployment(_) | Write::RememberOutcome(_)
        )
    };
    !changeset.events().is_empty() && changeset.checkpoint().is_none() && changeset.writes().iter().all(adds)
}

/// Makes joinable changesets true, and gives the position of their last event. When they are refused, the caller rolls back.
pub(crate) async fn apply_together(
    connection: &mut SqliteConnection,
    changesets: &[&Changeset],
) -> Result<Option<Position>, Refused> {
    if !guards::all_hold(connection, changesets.iter().flat_map(|changeset| changeset.guards()).copied()).await? {
        return Err(Refused(None));
    }
    let (mut apps, mut versions, mut deployments, mut answers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for write in changesets.iter().flat_map(|changeset| changeset.writes()) {
        match write {
            Write::InsertApp(app) => apps.push(app),
            Write::InsertVersion(version) => versions.push(version),
            Write::InsertDeployment(deployment) => deployments.push(deployment),
            Write::RememberOutcome(record) => answers.push(record),
            _ => return Err(Refused(None)),
        }
    }
    apps::insert(connection, &apps).await?;
    versions::insert(connection, &versions).await?;
    deployments::insert(connection, &deployments).await?;
    // What has expired at the earliest time has for all.
    if let Some(at) = changesets.iter().map(|changeset| changeset.at()).min() {
        answers::remember(connection, &answers, at).await?;
    }
    Ok(events::append(connection, changesets).await?)
}
