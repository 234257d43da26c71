//! Commits: a changeset in a transaction.

mod accounts;
mod apps;
mod audit;
mod consumers;
mod deployments;
mod events;
mod idempotency;
mod transaction;
mod versions;

use alm_core::{
    changeset::{Changeset, Guard, Receipt, Write},
    domain::{NewAuditEntry, Revision, Subject, Timestamp},
    ports::{Contention, StoreError},
};
use sqlx::PgConnection;

use crate::error::Fault;

pub(crate) use events::receipt;
pub(crate) use transaction::{commit, commit_in};

/// Makes all of a changeset true in the transaction of `connection`, or fails; then the transaction must be undone.
///
/// Whether the changeset was committed before is not asked first: then the last step fails, or one before it, and only whoever
/// fails has to ask. So the usual commit pays nothing for it.
async fn apply(connection: &mut PgConnection, changeset: &Changeset) -> Result<Receipt, Fault> {
    for guard in changeset.guards() {
        check(connection, *guard).await?;
    }
    if let Some(checkpoint) = changeset.checkpoint() {
        consumers::advance(connection, checkpoint).await?;
        tracing::trace!(name: "checkpoint_moved", "a consumer has moved on, and its effect is to come");
    }
    make(connection, changeset.writes(), changeset.at()).await?;
    // The order of the log is taken when all row locks are held: of two commits that change the same row, the second takes its
    // place after the first is committed.
    events::append(connection, changeset).await?;
    Ok(Receipt { changeset: changeset.id(), at: changeset.at() })
}

/// A guard takes a lock that lets the parent be changed but not be deleted, so a child and the end of its parent exclude each
/// other: one of them waits, and then sees what the other has done.
async fn check(connection: &mut PgConnection, guard: Guard) -> Result<(), Fault> {
    let holds = match guard {
        Guard::AppExists(id) => apps::hold(connection, id).await?,
        Guard::VersionExists(id) => versions::hold(connection, id).await?,
        _ => return Err(StoreError::Unsupported("this guard").into()),
    };
    if holds { Ok(()) } else { Err(StoreError::GuardFailed(guard).into()) }
}

/// Makes the writes in their order. Those of a kind that follow each other and may be many go together.
async fn make(connection: &mut PgConnection, writes: &[Write], at: Timestamp) -> Result<(), Fault> {
    let mut recorded: Vec<&NewAuditEntry> = Vec::new();
    for together in writes.chunk_by(may_go_together) {
        match &together[0] {
            Write::DeleteVersion { .. } => versions::delete(connection, together).await?,
            Write::DeleteDeployment { .. } => deployments::delete(connection, together).await?,
            _ => {
                for write in together {
                    match write {
                        Write::RecordAudit(entry) => recorded.push(entry),
                        write => one(connection, write, at).await?,
                    }
                }
            }
        }
    }
    // Last, because from here on whoever else records has to wait until this transaction ends. Nothing else reads or writes
    // audit entries, so the order among the other writes does not matter.
    audit::record(connection, &recorded).await
}

fn may_go_together(a: &Write, b: &Write) -> bool {
    matches!(
        (a, b),
        (Write::DeleteVersion { .. }, Write::DeleteVersion { .. })
            | (Write::DeleteDeployment { .. }, Write::DeleteDeployment { .. })
    )
}

async fn one(connection: &mut PgConnection, write: &Write, at: Timestamp) -> Result<(), Fault> {
    match write {
        Write::InsertApp(app) => apps::insert(connection, app).await.map_err(|error| Fault::of_write(error, write)),
        Write::UpdateApp { app, expected } => {
            let changed =
                apps::update(connection, app, *expected).await.map_err(|error| Fault::of_write(error, write))?;
            if changed { Ok(()) } else { Err(apps::why_not(connection, app.id).await?) }
        }
        Write::DeleteApp { id, expected } => {
            if apps::delete(connection, *id, *expected).await? {
                return Ok(());
            }
            Err(apps::why_not(connection, *id).await?)
        }
        Write::InsertVersion(version) => {
            versions::insert(connection, version).await.map_err(|error| Fault::of_write(error, write))
        }
        Write::UpdateVersion { version, expected } => {
            if versions::update(connection, version, *expected).await? {
                return Ok(());
            }
            Err(versions::why_not(connection, version.id).await?)
        }
        Write::InsertDeployment(deployment) => {
            deployments::insert(connection, deployment).await.map_err(|error| Fault::of_write(error, write))
        }
        Write::UpdateDeployment { deployment, expected } => {
            if deployments::update(connection, deployment, *expected).await? {
                return Ok(());
            }
            Err(deployments::why_not(connection, deployment.id).await?)
        }
        Write::InsertUser(record) => {
            accounts::insert(connection, record).await.map_err(|error| Fault::of_write(error, write))
        }
        Write::SetPassword { username, password_hash } => {
            let changed = accounts::set_password(connection, username, password_hash).await?;
            if changed { Ok(()) } else { Err(StoreError::NotFound(Subject::User(username.clone())).into()) }
        }
        Write::DeleteUser { username } => {
            let gone = accounts::delete(connection, username).await?;
            if gone { Ok(()) } else { Err(StoreError::NotFound(Subject::User(username.clone())).into()) }
        }
        Write::RememberOutcome(record) => idempotency::remember(connection, record, at).await,
        Write::BuryEvent(letter) => Ok(consumers::bury(connection, letter).await?),
        _ => Err(StoreError::Unsupported("this write").into()),
    }
}

/// Why what was to be changed at a revision was not.
fn not_changed(is_there: bool, subject: Subject) -> Fault {
    Fault::Refused(if is_there {
        StoreError::Conflict(Contention::Revision(subject))
    } else {
        StoreError::NotFound(subject)
    })
}

fn at_revision(revision: Revision) -> i64 {
    crate::row::bigint(revision.get())
}
