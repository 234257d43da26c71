//! A changeset made true within a transaction that is open: all of it, or an error after which the caller rolls back.

mod answers;
mod apps;
mod audit;
mod checkpoints;
mod credentials;
mod dead_letters;
mod deployments;
mod events;
mod guards;
mod ids;
mod parents;
mod rates;
mod retention;
mod revocations;
mod rows;
mod together;
mod tree;
mod users;
mod versions;

use alm_core::{
    changeset::{Changeset, Receipt, Write},
    domain::{NewAuditEntry, Position, Timestamp},
    ports::StoreError,
};
use sqlx::SqliteConnection;

pub(crate) use ids::allocate;
pub(crate) use rates::admit;
pub(crate) use retention::{forget_answers, trim};
pub(crate) use together::{Refused, apply_together, is_joinable};
pub(crate) use tree::grow;

/// What came of a changeset.
pub(crate) struct Applied {
    pub(crate) receipt: Receipt,
    /// The position of its last event, unless it has none or was committed before.
    pub(crate) head: Option<Position>,
}

/// Makes all the parts of a changeset true.
pub(crate) async fn apply(connection: &mut SqliteConnection, changeset: &Changeset) -> Result<Applied, StoreError> {
    // Only events tell that it was committed before.
    if !changeset.events().is_empty()
        && let Some(receipt) = events::receipt(connection, changeset.id()).await?
    {
        return Ok(Applied { receipt, head: None });
    }
    for guard in changeset.guards() {
        guards::check(connection, *guard).await?;
    }
    if let Some(checkpoint) = changeset.checkpoint() {
        checkpoints::advance(connection, checkpoint).await?;
        tracing::trace!(name: "checkpoint_moved", "a consumer has moved on, and its effect is to come");
    }
    // A consumer records what it has read by the hundred.
    let are_recorded =
        |one: &Write, next: &Write| matches!((one, next), (Write::RecordAudit(_), Write::RecordAudit(_)));
    for some in changeset.writes().chunk_by(are_recorded) {
        match &some[0] {
            Write::RecordAudit(_) => {
                audit::record(connection, &some.iter().filter_map(audit_entry).collect::<Vec<_>>()).await?;
            }
            one => write(connection, one, changeset.at()).await?,
        }
    }
    let head = events::append(connection, &[changeset]).await?;
    Ok(Applied { receipt: changeset.receipt(), head })
}

fn audit_entry(write: &Write) -> Option<&NewAuditEntry> {
    match write {
        Write::RecordAudit(entry) => Some(entry),
        _ => None,
    }
}

async fn write(connection: &mut SqliteConnection, write: &Write, at: Timestamp) -> Result<(), StoreError> {
    match write {
        Write::InsertApp(app) => apps::insert(connection, &[app]).await,
        Write::UpdateApp { app, expected } => apps::update(connection, app, *expected).await,
        Write::DeleteApp { id, expected } => apps::delete(connection, *id, *expected).await,
        Write::InsertVersion(version) => versions::insert(connection, &[version]).await,
        Write::UpdateVersion { version, expected } => versions::update(connection, version, *expected).await,
        Write::DeleteVersion { id, expected } => versions::delete(connection, *id, *expected).await,
        Write::InsertDeployment(deployment) => deployments::insert(connection, &[deployment]).await,
        Write::UpdateDeployment { deployment, expected } => {
            deployments::update(connection, deployment, *expected).await
        }
        Write::DeleteDeployment { id, expected } => deployments::delete(connection, *id, *expected).await,
        Write::InsertUser(record) => users::insert(connection, record).await,
        Write::UpdateUser { user, expected } => users::update(connection, user, *expected).await,
        Write::SetPassword { username, expected, old, new } => {
            users::set_password(connection, username, *expected, old, new).await
        }
        Write::RehashPassword { username, old, new } => users::rehash(connection, username, old, new).await,
        Write::DeleteUser { username } => users::delete(connection, username).await,
        Write::InsertCredential(credential) => credentials::insert(connection, credential).await,
        Write::UpdateCredential { credential, expected } => {
            credentials::update(connection, credential, *expected).await
        }
        Write::DeleteCredential { id } => credentials::delete(connection, *id).await,
        Write::CredentialGone { id, until } => revocations::keep(connection, *id, *until, at).await,
        Write::RememberOutcome(record) => answers::remember(connection, &[record], at).await,
        Write::BuryEvent(letter) => dead_letters::bury(connection, letter).await,
        Write::SettleLetter { consumer, log, position } => {
            dead_letters::settle(connection, consumer, *log, *position).await
        }
        Write::ParentLearned { parent, app_id } => parents::learn(connection, *parent, *app_id).await,
        Write::ParentGone { parent } => parents::part(connection, *parent).await,
        _ => Err(StoreError::Unsupported("this write")),
    }
}
