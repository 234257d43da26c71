//! Commits: a changeset in a transaction of its own, or several that came at the same time in one.

mod accounts;
mod apps;
mod audit;
mod consumers;
mod credentials;
mod deployments;
mod events;
mod group;
mod guards;
mod idempotency;
mod line;
mod parents;
mod revocations;
mod statement;
mod together;
mod transaction;
mod versions;

use alm_core::{
    changeset::{Changeset, Write},
    domain::{NewAuditEntry, Position, Revision, Subject, Timestamp},
    ports::{Contention, StoreError, Unique},
};
use sqlx::PgConnection;

use crate::error::Fault;

pub(crate) use events::receipt;
pub(crate) use group::{Groups, Joined};
pub(crate) use line::Line;
pub(crate) use transaction::{commit, commit_in};

use events::Sealing;
use statement::Statement;

/// A write, and when its changeset was decided.
#[derive(Clone, Copy)]
struct Decided<'c> {
    write: &'c Write,
    at: Timestamp,
}

fn decided(changeset: &Changeset) -> impl Iterator<Item = Decided<'_>> {
    changeset.writes().iter().map(|write| Decided { write, at: changeset.at() })
}

/// Makes all of a changeset true in the transaction of `connection`, or fails; then the transaction must be undone. Gives the
/// head of the log that is reached by it, if its events have got their positions.
///
/// Whether the changeset was committed before is not asked first: then the last step fails, or one before it, and only whoever
/// fails has to ask. So the usual commit pays nothing for it.
async fn apply(
    connection: &mut PgConnection,
    changeset: &Changeset,
    sealing: Sealing,
) -> Result<Option<Position>, Fault> {
    guards::check(connection, changeset.guards()).await?;
    if let Some(checkpoint) = changeset.checkpoint() {
        consumers::advance(connection, checkpoint).await?;
        tracing::trace!(name: "checkpoint_moved", "a consumer has moved on, and its effect is to come");
    }
    make(connection, &decided(changeset).collect::<Vec<_>>()).await?;
    // The order of the log is taken when all row locks are held: of two commits that change the same row, the second takes its
    // place after the first is committed.
    events::append(connection, changeset, sealing).await
}

/// Only those writes go together whose refusal tells which of them was refused.
fn in_one_statement(a: &Decided<'_>, b: &Decided<'_>) -> bool {
    matches!(
        (a.write, b.write),
        (Write::DeleteVersion { .. }, Write::DeleteVersion { .. })
            | (Write::DeleteDeployment { .. }, Write::DeleteDeployment { .. })
    )
}

/// The values of a run of one kind of write.
macro_rules! values {
    ($run:expr, $kind:pat => $value:expr) => {
        values!($run, $kind, _ => $value)
    };
    ($run:expr, $kind:pat, $at:pat => $value:expr) => {
        $run.iter()
            .filter_map(|decided| match (decided.write, decided.at) {
                ($kind, $at) => Some($value),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
}
use values;

/// Makes the writes in their order, runs of such as may go together at once.
async fn make(connection: &mut PgConnection, writes: &[Decided<'_>]) -> Result<(), Fault> {
    let mut recorded: Vec<&NewAuditEntry> = Vec::new();
    for run in writes.chunk_by(in_one_statement) {
        match run[0].write {
            Write::DeleteVersion { .. } => {
                let gone = values!(run, Write::DeleteVersion { id, expected } => (*id, *expected));
                versions::delete(connection, &gone).await?;
            }
            Write::DeleteDeployment { .. } => {
                let gone = values!(run, Write::DeleteDeployment { id, expected } => (*id, *expected));
                deployments::delete(connection, &gone).await?;
            }
            Write::RecordAudit(_) => recorded.extend(values!(run, Write::RecordAudit(entry) => entry)),
            _ => one(connection, run[0]).await?,
        }
    }
    // Last, because from here on whoever else records has to wait until this transaction ends. Nothing else reads or writes
    // audit entries, so the order among the other writes does not matter.
    audit::record(connection, &recorded).await
}

/// A write of a kind that goes alone.
async fn one(connection: &mut PgConnection, Decided { write, at }: Decided<'_>) -> Result<(), Fault> {
    let refused = |error| Fault::of_write(error, write);
    let mut statement = Statement::default();
    match write {
        Write::InsertApp(app) => {
            apps::insert(&mut statement, &[app]);
            statement.build().execute(connection).await.map(drop).map_err(refused)
        }
        Write::InsertVersion(version) => {
            versions::insert(&mut statement, &[version]);
            statement.build().execute(connection).await.map(drop).map_err(refused)
        }
        Write::InsertDeployment(deployment) => {
            deployments::insert(&mut statement, &[deployment]);
            statement.build().execute(connection).await.map(drop).map_err(refused)
        }
        Write::UpdateDeployment { deployment, expected } => {
            deployments::update(&mut statement, &[(deployment, *expected)]);
            if statement.build().fetch_optional(&mut *connection).await?.is_some() {
                return Ok(());
            }
            Err(deployments::why_not(connection, deployment.id).await?)
        }
        Write::RememberOutcome(record) => {
            statement.push("WITH ");
            idempotency::remember(&mut statement, &[(record, at)]);
            let remembered = statement.push(" SELECT FROM remembered").build().fetch_optional(connection).await?;
            remembered.map(drop).ok_or_else(|| StoreError::AlreadyExists(Unique::IdempotencyKey).into())
        }
        Write::UpdateApp { app, expected } => {
            if apps::update(connection, app, *expected).await.map_err(refused)? {
                return Ok(());
            }
            Err(apps::why_not(connection, app.id).await?)
        }
        Write::DeleteApp { id, expected } => {
            if apps::delete(connection, *id, *expected).await? {
                return Ok(());
            }
            Err(apps::why_not(connection, *id).await?)
        }
        Write::UpdateVersion { version, expected } => {
            if versions::update(connection, version, *expected).await? {
                return Ok(());
            }
            Err(versions::why_not(connection, version.id).await?)
        }
        Write::InsertUser(record) => accounts::insert(connection, record).await.map_err(refused),
        Write::UpdateUser { user, expected } => {
            if accounts::update(connection, user, *expected).await? {
                return Ok(());
            }
            Err(accounts::why_not(connection, &user.username).await?)
        }
        Write::SetPassword { username, expected, old, new } => {
            if accounts::set_password(connection, username, *expected, old, new).await? {
                return Ok(());
            }
            Err(accounts::why_not(connection, username).await?)
        }
        Write::RehashPassword { username, old, new } => Ok(accounts::rehash(connection, username, old, new).await?),
        Write::DeleteUser { username } => {
            let gone = accounts::delete(connection, username).await?;
            if gone { Ok(()) } else { Err(StoreError::NotFound(Subject::User(username.clone())).into()) }
        }
        Write::InsertCredential(credential) => credentials::insert(connection, credential).await.map_err(refused),
        Write::UpdateCredential { credential, expected } => {
            if credentials::update(connection, credential, *expected).await? {
                return Ok(());
            }
            Err(credentials::why_not(connection, credential).await?)
        }
        Write::DeleteCredential { id } => {
            let gone = credentials::delete(connection, *id).await?;
            // Whose session it would have been, no one knows.
            if gone { Ok(()) } else { Err(StoreError::NotFound(Subject::ApiKey(*id)).into()) }
        }
        Write::CredentialGone { id, until } => Ok(revocations::keep(connection, *id, *until, at).await?),
        Write::BuryEvent(letter) => Ok(consumers::bury(connection, letter).await?),
        Write::SettleLetter { consumer, log, position } => {
            consumers::settle(connection, consumer, *log, *position).await
        }
        Write::ParentLearned { parent, app_id } => Ok(parents::learn(connection, *parent, *app_id).await?),
        Write::ParentGone { parent } => Ok(parents::part(connection, *parent).await?),
        _ => Err(StoreError::Unsupported("this write").into()),
    }
}

/// The first of `wanted` that is not among `done`, where each of `done` counts once.
fn first_missing<T: Copy>(wanted: &[T], number: impl Fn(T) -> i64, mut done: Vec<i64>) -> Option<T> {
    done.sort_unstable();
    wanted.iter().copied().find(|wanted| match done.binary_search(&number(*wanted)) {
        Ok(place) => {
            done.remove(place);
            false
        }
        Err(_) => true,
    })
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
